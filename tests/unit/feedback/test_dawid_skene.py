"""Dawid and Skene's model: one round by hand, against plain loops, and recovery of people and truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from assent.feedback import Verdicts, dawid_skene, flag_verdicts, mark_verdicts
from assent.types.feedback import JudgedTask, Ranking


def crowd(
    seed: int, accuracy: list[float], units: int, classes: int = 2
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Truth [U] and answers [P, U]; errors go to the other classes evenly."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, units, p=[0.7, *([0.3 / (classes - 1)] * (classes - 1))])
    wrong = (truth + rng.integers(1, classes, (len(accuracy), units))) % classes
    return truth, np.where(rng.random(wrong.shape) < np.array(accuracy)[:, None], truth, wrong)


def fitted(said: NDArray[np.int64], classes: int) -> Verdicts:
    people, units = np.indices(said.shape)
    return dawid_skene(people.ravel(), units.ravel(), said.ravel(), classes)


def by_plain_loops(said: list[list[int]], classes: int, rounds: int, prior: float) -> list[list[float]]:
    """The same in the words of the paper, one cell at a time."""
    people, units = len(said), len(said[0])
    chance = [[sum(row[u] == c for row in said) / people for c in range(classes)] for u in range(units)]
    for _ in range(rounds):
        share = [(sum(chance[u][c] for u in range(units)) + 1) / (units + classes) for c in range(classes)]
        updated = []
        for u in range(units):
            row = []
            for c in range(classes):
                likelihood = share[c]
                for p in range(people):
                    count = [0.0] * classes
                    for other in range(units):
                        count[said[p][other]] += chance[other][c]
                    count = [n + prior * (0.5 if k == c else 0.5 / (classes - 1)) for k, n in enumerate(count)]
                    likelihood *= count[said[p][u]] / sum(count)
                row.append(likelihood)
            updated.append([value / sum(row) for value in row])
        chance = updated
    return chance


def test_against_plain_loops() -> None:
    _, said = crowd(0, [0.9, 0.7, 0.6], 12, classes=3)
    found = fitted(said, 3)
    assert found.converged
    assert found.chance == pytest.approx(np.array(by_plain_loops(said.tolist(), 3, found.rounds, 1.0)), abs=1e-9)


def test_recovers_people_and_beats_the_majority() -> None:
    accuracy = [0.95, 0.9, 0.6, 0.55, 0.5, 0.2, 0.55]
    truth, said = crowd(1, accuracy, 1500)
    found = fitted(said, 2)
    right = np.array([np.mean(row == truth) for row in said])
    assert np.abs((found.accuracy - right) / found.accuracy_error).max() < 4.0
    majority = float(np.mean((said.mean(axis=0) > 0.5) == truth))
    assert float(np.mean(found.chance.argmax(axis=1) == truth)) > majority + 0.05
    assert found.prevalence[1] == pytest.approx(0.3, abs=0.05)
    assert found.confusion.sum(axis=2) == pytest.approx(1.0)


def judged(person: int, task: int, flagged: bool, marks: tuple[float, float]) -> JudgedTask:
    ranking = Ranking(0, person, task, (2 * task, 2 * task + 1), (1, 2), marks=tuple({"kind": m} for m in marks))
    return JudgedTask(ranking, task, (0, 1), flags=("unsafe",) if flagged else ())


def test_flags_and_marks() -> None:
    rng = np.random.default_rng(0)
    unsafe, kind = rng.random(120) < 0.3, rng.random((120, 2)) < 0.5
    said = [
        judged(person, task, bool(unsafe[task]) != (rng.random() < 0.15), tuple(0.8 if k else 0.3 for k in kind[task]))
        for task in range(120)
        for person in range(4)
    ]
    flags = flag_verdicts(said, "unsafe")
    assert flags.unit_ids == tuple(range(120))
    assert float(np.mean((flags.chance[:, 1] > 0.5) == unsafe)) > 0.93
    marks = mark_verdicts(said, "kind", [0.5])
    assert marks.unit_ids == tuple(range(240))
    assert ((marks.chance[:, 1] > 0.5) == kind.ravel()).all()
    assert not math.isclose(marks.accuracy[0], 1.0, abs_tol=1e-6), "nobody is taken to be certain"


@pytest.mark.parametrize(
    ("columns", "number"), [(([1], [1], [2]), 2), (([], [], []), 2), (([1], [1], [0]), 1), (([1], [1], [-1]), 2)]
)
def test_what_it_refuses(columns: tuple[list[int], list[int], list[int]], number: int) -> None:
    with pytest.raises(ValueError):
        dawid_skene(*columns, number)
    with pytest.raises(ValueError, match="cuts must rise"):
        mark_verdicts([], "kind", [0.5, 0.2])
