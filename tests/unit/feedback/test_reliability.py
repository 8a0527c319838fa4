"""A person counts by how often others agree with them."""

from __future__ import annotations

import random

import pytest

from assent.feedback import reliability_weights
from assent.types.feedback import Ranking


def ranking(number: int, task: int, person: int, ranks: tuple[int, ...]) -> Ranking:
    return Ranking(number, person, task, (2 * task, 2 * task + 1), ranks)


def campaign(chances: dict[int, float], tasks: int, overlap: int) -> list[Ranking]:
    """Pairs whose first is better; each person says so with their own chance."""
    rng = random.Random(0)
    found = []
    for task in range(tasks):
        for person in rng.sample(sorted(chances), overlap):
            found.append(ranking(len(found), task, person, (1, 2) if rng.random() < chances[person] else (2, 1)))
    return found


def test_weights_are_in_proportion_to_how_far_people_are_from_guessing() -> None:
    chances = {1: 0.9, 2: 0.9, 3: 0.7, 4: 0.5, 5: 0.1, 6: 0.9, 7: 0.8}
    judged = campaign(chances, 4000, 3)
    weights = reliability_weights(judged)
    assert sum(weights[each.person_id] for each in judged) / len(judged) == pytest.approx(1.0)
    # 2p - 1 is 0.8, 0.8, 0.4, 0, -0.8, 0.8 and 0.6
    assert weights[3] / weights[1] == pytest.approx(0.5, abs=0.1)
    assert weights[7] / weights[1] == pytest.approx(0.75, abs=0.1)
    assert weights[2] / weights[6] == pytest.approx(1.0, abs=0.1)
    assert weights[4] < 0.15 * weights[1]
    assert weights[5] == 0.0, "who agrees with the adversary gains nothing by it"


def test_who_never_met_anybody_is_an_average_person() -> None:
    judged = [*campaign({1: 0.9, 2: 0.9, 3: 0.9}, 300, 2), ranking(9999, 9999, 7, (1, 2))]
    weights = reliability_weights(judged)
    assert weights[7] == pytest.approx(1.0, abs=0.1)


def test_without_a_shared_task_everybody_counts_alike() -> None:
    judged = [ranking(i, i, i % 3, (1, 2)) for i in range(9)]
    assert reliability_weights(judged) == {0: 1.0, 1: 1.0, 2: 1.0}
