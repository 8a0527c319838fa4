"""What is true of each unit and how each person errs, from categorical answers such as flags (Dawid & Skene 1979).

Every person has a confusion matrix: what they say, given what is so. It and the truth are found together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from assent.feedback.answers import Ints
from assent.feedback.intervals import Floats
from assent.types.feedback import JudgedTask

ROUNDS = 500
TOLERANCE = 1e-7  # on the largest change of a chance in a round


@dataclass(frozen=True)
class Verdicts:
    """What was found of units and people."""

    unit_ids: tuple[int, ...]  # [U]
    chance: Floats  # [U, C] of each class being so
    prevalence: Floats  # [C]
    person_ids: tuple[int, ...]  # [P]
    confusion: Floats  # [P, C, C] chance of saying the second given that the first is so
    accuracy: Floats  # [P] chance of saying what is so, on a unit drawn by prevalence
    accuracy_error: Floats  # [P] its standard error, binomial in the number of answers
    rounds: int
    converged: bool


def dawid_skene(people: ArrayLike, units: ArrayLike, classes: ArrayLike, number: int, prior: float = 1.0) -> Verdicts:
    """Fit by expectation-maximisation, from the majority's view on.

    Where the majority errs on most units, everything is found the other way round; nothing in the answers could tell.

    Args:
        people: [N] person ids.
        units: [N] unit ids.
        classes: [N] what was said, 0..number-1.
        number: of classes, at least 2.
        prior: answers that each person is taken to have given for each true class, half of them right and the others
            spread evenly; it keeps one answer from meaning certainty, and says that people know something.

    Raises:
        ValueError: no answers, lengths that differ, a class outside 0..number-1, or a negative prior.
    """
    said = np.asarray(classes, dtype=np.int64)
    person_ids, person = np.unique(np.asarray(people, dtype=np.int64), return_inverse=True)
    unit_ids, unit = np.unique(np.asarray(units, dtype=np.int64), return_inverse=True)
    if not len(said) or not len(person) == len(unit) == len(said):
        raise ValueError(f"needs answers, as many people and units: {len(person)}, {len(unit)}, {len(said)}")
    if number < 2 or said.min() < 0 or said.max() >= number or prior < 0:
        raise ValueError(f"classes must lie in 0..{number - 1}, and the prior be at least 0")
    chance = np.zeros((len(unit_ids), number))
    np.add.at(chance, (unit, said), 1.0)
    chance /= chance.sum(axis=1, keepdims=True)
    believed = prior * (0.5 * np.eye(number) + 0.5 * (1.0 - np.eye(number)) / (number - 1))
    moved, rounds = np.inf, 0
    while moved > TOLERANCE and rounds < ROUNDS:
        confusion, prevalence = _maximise(chance, person, unit, said, len(person_ids), believed)
        updated = _expect(confusion, prevalence, person, unit, said, len(unit_ids))
        moved, chance = float(np.abs(updated - chance).max()), updated
        rounds += 1
    accuracy = np.einsum("pcc,c->p", confusion, prevalence)
    answers = np.bincount(person) + prior
    error = np.sqrt(accuracy * (1.0 - accuracy) / answers)
    return Verdicts(
        tuple(unit_ids.tolist()),
        chance,
        prevalence,
        tuple(person_ids.tolist()),
        confusion,
        accuracy,
        error,
        rounds,
        moved <= TOLERANCE,
    )


def flag_verdicts(judged: Iterable[JudgedTask], flag: str) -> Verdicts:
    """Whether a flag is rightly set on each task: class 1 is that it is.

    Raises:
        ValueError: nothing was judged.
    """
    rows = [(each.ranking.person_id, each.task_id, int(flag in each.flags)) for each in judged]
    people, units, said = zip(*rows, strict=True) if rows else ((),) * 3
    return dawid_skene(people, units, said, 2)


def mark_verdicts(judged: Iterable[JudgedTask], criterion: str, cuts: Sequence[float]) -> Verdicts:
    """The class of each completion's true mark for a criterion; units are completions.

    Args:
        judged: judgements that did not mark by the criterion are left out.
        criterion: its name.
        cuts: rising marks at which a higher class begins, e.g. 0.5 for two classes.

    Raises:
        ValueError: nobody marked by it, or cuts that do not rise.
    """
    if not cuts or list(cuts) != sorted(set(cuts)):
        raise ValueError(f"cuts must rise, got {list(cuts)}")
    rows = [
        (each.ranking.person_id, completion, int(np.searchsorted(cuts, marks[criterion], side="right")))
        for each in judged
        for completion, marks in zip(each.ranking.completion_ids, each.ranking.marks, strict=False)
        if criterion in marks
    ]
    people, units, said = zip(*rows, strict=True) if rows else ((),) * 3
    return dawid_skene(people, units, said, len(cuts) + 1)


def _maximise(
    chance: Floats, person: Ints, unit: Ints, said: Ints, count: int, believed: Floats
) -> tuple[Floats, Floats]:
    """Confusion [P, C, C] and prevalence [C], given the chances of the classes."""
    number = chance.shape[1]
    by_said = np.zeros((count, number, number))  # [P, said, so]
    np.add.at(by_said, (person, said), chance[unit])
    confusion = by_said.transpose(0, 2, 1) + believed
    total = confusion.sum(axis=2, keepdims=True)
    confusion = np.divide(confusion, total, out=np.full_like(confusion, 1.0 / number), where=total > 0)
    prevalence: Floats = (chance.sum(axis=0) + 1.0) / (len(chance) + number)
    return confusion, prevalence


def _expect(confusion: Floats, prevalence: Floats, person: Ints, unit: Ints, said: Ints, count: int) -> Floats:
    """Chances of the classes [U, C], given how people err."""
    log_chance = np.tile(np.log(prevalence), (count, 1))
    np.add.at(log_chance, unit, np.log(np.maximum(confusion, 1e-300))[person, :, said])
    chance = np.exp(log_chance - log_chance.max(axis=1, keepdims=True))
    found: Floats = chance / chance.sum(axis=1, keepdims=True)
    return found
