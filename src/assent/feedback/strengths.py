"""Strengths of items from pairwise answers (Bradley & Terry 1952), as the normal distribution nearest the posterior.

Items that no chain of comparisons joins say nothing of each other, so each such island is solved by itself, all islands
of a size at a time: two completions per task are as quick as a few dozen items that everybody compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from assent.feedback.answers import Answers, Ints
from assent.feedback.intervals import Floats

LONGEST_STEP = 4.0  # of a Newton step, in units of strength
NODES, MASSES = np.polynomial.hermite_e.hermegauss(9)  # of a standard normal: where to look, and with what share
MASSES = MASSES / MASSES.sum()


@dataclass(frozen=True)
class Slopes:
    """What an answer says at a difference d of strengths: log-likelihood, its slope, and less its curvature, in d."""

    value: Floats
    slope: Floats
    curvature: Floats


def outcome(difference: Floats, preference: Floats, tie: float) -> Slopes:
    """Davidson's (1970) model of an answer: P(first) : P(tie) : P(second) = e^{d/2} : tie : e^{-d/2}.

    Without ties (`tie` 0) it is Bradley and Terry's, P(first) = sigmoid(d). Arrays broadcast.
    """
    half = np.abs(difference) / 2.0
    small = np.exp(-2.0 * half)  # P(less likely side) and P(tie), each over P(likelier side)
    even = tie * np.exp(-half)
    total = 1.0 + small + even
    expected = 0.5 * np.sign(difference) * (1.0 - small) / total
    curvature = 0.25 * (1.0 + small) / total - expected**2
    with np.errstate(divide="ignore"):
        tied = np.log(tie) if tie > 0 else 0.0
    value = (preference - 0.5) * difference + (preference == 0.5) * tied - half - np.log(total)
    return Slopes(value, preference - 0.5 - expected, curvature)


class Islands:
    """Items that are joined by comparisons, grouped by how many they are."""

    def __init__(self, answers: Answers) -> None:
        size = len(answers.item_ids)
        graph = coo_array((np.ones(len(answers)), (answers.first, answers.second)), shape=(size, size))
        self.number, island = connected_components(graph, directed=False)
        self.island: Ints = island.astype(np.int64)  # of each item
        members = np.bincount(island)
        order = np.argsort(island, kind="stable")
        self.place: Ints = np.empty(size, dtype=np.int64)  # of each item within its island
        self.place[order] = np.arange(size) - np.repeat(np.cumsum(members) - members, members)
        self.answers = answers
        self._sizes = [self._of_size(island, members, order, int(count)) for count in np.unique(members[members > 0])]

    def _of_size(self, island: Ints, members: Ints, order: Ints, count: int) -> tuple[Ints, Ints, Ints]:
        """Items [C, count] of the islands of a size, rows of their answers, and the island of each such row."""
        items = order[members[island[order]] == count].reshape(-1, count)
        number = np.full(len(members), -1, dtype=np.int64)
        number[island[items[:, 0]]] = np.arange(len(items))
        of_answer = number[island[self.answers.first]] if len(self.answers) else np.empty(0, dtype=np.int64)
        rows = np.flatnonzero(of_answer >= 0)
        return items, rows, of_answer[rows]

    def covariances(self, curvature: Floats, prior: float) -> Iterator[tuple[Ints, Ints, Floats]]:
        """(items [C, k], rows of answers, inverses [C, k, k] of prior precision plus the answers' curvature [N])."""
        first, second = self.place[self.answers.first], self.place[self.answers.second]
        for items, rows, island in self._sizes:
            count = items.shape[1]
            matrix = np.zeros((len(items), count, count))
            i, j, amount = first[rows], second[rows], curvature[rows]
            for one, other, sign in ((i, i, 1.0), (j, j, 1.0), (i, j, -1.0), (j, i, -1.0)):
                np.add.at(matrix, (island, one, other), sign * amount)
            matrix += prior * np.eye(count)
            yield items, rows, np.asarray(np.linalg.inv(matrix), dtype=np.float64)


@dataclass
class Strengths:
    """A normal distribution over the strengths."""

    mean: Floats  # [I]
    variance: Floats  # [I]
    spread: Floats  # [N] variance of the difference that each answer is about
    curvature: Floats  # [N] that each answer adds along its difference; it made the variances


def find_strengths(
    islands: Islands,
    scale: Floats,
    shift: Floats,
    tie: float,
    prior: float = 1.0,
    start: Strengths | None = None,
    steps: int = 100,
    tolerance: float = 1e-8,
) -> Strengths:
    """The normal distribution over strengths that is nearest to their posterior (Opper & Archambeau 2009).

    Its mean and precision are where the posterior's slope and curvature, averaged over that distribution itself,
    say so; with few answers per item that is a good deal closer than a normal about the mode.

    Args:
        islands: of the answers.
        scale: [N] by which each answer multiplies the difference of strengths: the person's reliability.
        shift: [N] what it adds: the person's leaning to what is shown first.
        tie: see `outcome`.
        prior: precision of the strengths' normal prior about 0.
        start: where to begin.
        steps: at most.
        tolerance: on the largest change of a mean.
    """
    answers, size = islands.answers, len(islands.answers.item_ids)
    found = start
    if found is None:
        wide = Strengths(np.zeros(size), np.full(size, 1.0 / prior), np.full(len(answers), 2.0 / prior), np.zeros(0))
        found = replace(wide, curvature=_averaged(answers, wide, scale, shift, tie)[1])
    for _ in range(steps):
        pull, curvature = _averaged(answers, found, scale, shift, tie)
        # Where all agree, wide variances ask for narrow ones and these for wide ones again: half of the way each time.
        curvature = np.where(found.curvature > 0, np.sqrt(curvature * found.curvature), curvature)
        gradient = np.bincount(answers.first, pull, size) - np.bincount(answers.second, pull, size)
        moved = _moved(islands, found, gradient - prior * found.mean, curvature, prior)
        largest = float(np.abs(moved.mean - found.mean).max(initial=0.0))
        found = moved
        if largest < tolerance:
            break
    return found


def _averaged(answers: Answers, found: Strengths, scale: Floats, shift: Floats, tie: float) -> tuple[Floats, Floats]:
    """Slope and curvature that each answer adds along its difference of strengths [N], averaged over them."""
    d = scale[:, None] * differences(answers, found) + shift[:, None]
    said = outcome(d, answers.preference[:, None], tie)
    return answers.weight * scale * (said.slope @ MASSES), answers.weight * scale**2 * (said.curvature @ MASSES)


def differences(answers: Answers, found: Strengths) -> Floats:
    """Differences of strength that each answer may be about: [N, 9] at the nodes whose shares are `MASSES`."""
    middle = found.mean[answers.first] - found.mean[answers.second]
    return middle[:, None] + np.sqrt(np.maximum(found.spread, 0.0))[:, None] * NODES


def _moved(islands: Islands, found: Strengths, gradient: Floats, curvature: Floats, prior: float) -> Strengths:
    """A Newton step of the mean, and variances by the curvature."""
    answers = islands.answers
    step, variance = np.zeros_like(found.mean), np.zeros_like(found.mean)
    spread, number = np.zeros(len(answers)), np.zeros(len(found.mean), dtype=np.int64)
    for items, rows, covariance in islands.covariances(curvature, prior):
        step[items] = np.einsum("ckl,cl->ck", covariance, gradient[items])
        variance[items] = np.diagonal(covariance, axis1=1, axis2=2)
        number[items] = np.arange(len(items))[:, None]
        first, second = answers.first[rows], answers.second[rows]
        together = covariance[number[first], islands.place[first], islands.place[second]]
        spread[rows] = variance[first] + variance[second] - 2.0 * together
    step *= min(1.0, LONGEST_STEP / max(float(np.abs(step).max(initial=0.0)), 1e-300))
    return Strengths(found.mean + step, variance, spread, curvature)
