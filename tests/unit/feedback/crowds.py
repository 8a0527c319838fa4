"""Crowds with known reliabilities, biases and tastes, whose answers are drawn from the model itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assent.feedback import Answers
from assent.types.feedback import JudgedTask, Ranking, ranks_from_utilities

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Crowd:
    """The answers, and what is true of items and people."""

    answers: Answers
    strengths: Floats
    reliability: Floats
    side: Floats


def draw(seed: int, people: Floats, side: Floats, strengths: Floats, pairs: NDArray[np.int64], tie: float = 0) -> Crowd:
    """Answers of people (rows [N, 3] of `pairs`: person, first, second) by Davidson's model."""
    rng = np.random.default_rng(seed)
    person, first, second = pairs.T
    d = people[person] * (strengths[first] - strengths[second]) + side[person]
    likely, even, unlikely = np.exp(d / 2), tie, np.exp(-d / 2)
    u = rng.random(len(d)) * (likely + even + unlikely)
    said = np.where(u < likely, 1.0, np.where(u < likely + even, 0.5, 0.0))
    ids = range(len(people)), range(len(strengths))
    answers = Answers.of(person, first, second, said, None, *ids)
    return Crowd(answers, strengths, people, side)


def shared_items(
    seed: int, reliability: Floats, side: Floats | None = None, items: int = 30, each: int = 100, tie: float = 0
) -> Crowd:
    """Everybody compares random pairs of the same items."""
    rng = np.random.default_rng(seed)
    count = len(reliability) * each
    person = np.repeat(np.arange(len(reliability)), each)
    first = rng.integers(items, size=count)
    second = (first + rng.integers(1, items, size=count)) % items
    side = np.zeros(len(reliability)) if side is None else side
    pairs = np.stack([person, first, second], axis=1)
    return draw(seed + 1, reliability, side, rng.normal(size=items), pairs, tie)


def own_pairs(seed: int, reliability: Floats, side: Floats, tasks: int, overlap: int) -> Crowd:
    """Tasks of two completions that occur nowhere else, each judged by `overlap` people."""
    rng = np.random.default_rng(seed)
    rows = []
    for task in range(tasks):
        for person in rng.permutation(len(reliability))[:overlap]:
            turned = int(rng.integers(2))
            rows.append((int(person), 2 * task + turned, 2 * task + 1 - turned))
    return draw(seed + 1, reliability, side, rng.normal(size=2 * tasks), np.array(rows))


def rankings(seed: int, reliability: Floats, tasks: int, completions: int, overlap: int) -> list[JudgedTask]:
    """Tasks of several completions ranked by Plackett and Luce, in a random order shown."""
    rng = np.random.default_rng(seed)
    found: list[JudgedTask] = []
    for task in range(tasks):
        strengths = rng.normal(size=completions)
        ids = tuple(range(completions * task, completions * (task + 1)))
        for person in rng.permutation(len(reliability))[:overlap]:
            utilities = reliability[person] * strengths + rng.gumbel(size=completions)
            ranking = Ranking(len(found), int(person), task, ids, ranks_from_utilities(utilities.tolist()))
            found.append(JudgedTask(ranking, task, tuple(rng.permutation(completions).tolist())))
    return found
