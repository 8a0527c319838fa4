"""What is not known when people are judged by their answers: how far apart the two items of each answer really lie.

Two ways to average over it, alike to the fit that uses them. `ItemLatents`: each item has a strength, and a normal
distribution over all strengths is fitted; right where items are shared, as strengths are then well known.
`PairLatents`: each pair of items has a difference of its own, averaged over by quadrature as in item response theory
(Bock & Aitkin 1981); right however few answers there are, and unmoved by what the pairs of one ranking have in common.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.sparse import coo_array, csr_array

from assent.feedback.answers import Answers
from assent.feedback.intervals import Floats
from assent.feedback.strengths import MASSES, Islands, differences, find_strengths, outcome

# An even number: none at 0, where no answer is likelier than another, so that it would never die out.
_NODES, _SHARES = np.polynomial.hermite_e.hermegauss(26)
_NODES, _SHARES = _NODES * np.sqrt(2.0), _SHARES / _SHARES.sum()  # two items of variance 1 differ with variance 2


class Latents(Protocol):
    """Differences of strength that answers may be about, given the people."""

    apart: Floats  # [N, Q] first less second, in standard deviations of an item
    masses: Floats  # [N, Q] how likely each is; rows sum to 1
    weight: Floats  # [N] how much each answer counts
    number: float  # how many strengths, or differences of pairs, are averaged over

    def learn(self, scale: Floats, shift: Floats, tie: float) -> float:
        """Bring them up to date for people whose answers follow `outcome(scale * apart + shift)`, [N] each.

        Returns the scale that was taken out so that items have variance 1: reliabilities are to be multiplied by it.
        """
        ...

    def information(self, full: Floats, scale: Floats, slope: Floats, curvature: Floats) -> tuple[Floats, Floats]:
        """The people's information [2P, 2P], reliabilities first, that is left of `full`, were all differences known;
        and the covariance of its slope. Slopes and curvatures of the answers are [N, Q]."""
        ...


class ItemLatents:
    """By a normal distribution over the items' strengths, N(0, 1) before any answer."""

    def __init__(self, answers: Answers) -> None:
        self._answers, self._islands = answers, Islands(answers)
        self._found = find_strengths(self._islands, np.zeros(len(answers)), np.zeros(len(answers)), 0.0, steps=1)
        self.weight = answers.weight
        self.number = float(len(answers.item_ids))
        self._spread_out()

    def learn(self, scale: Floats, shift: Floats, tie: float) -> float:
        """As the protocol says."""
        found = find_strengths(self._islands, scale, shift, tie, start=self._found, steps=3)
        unit = float(np.sqrt(np.mean(found.mean**2 + found.variance)))
        found.mean, found.variance, found.spread = found.mean / unit, found.variance / unit**2, found.spread / unit**2
        self._found = found
        self._spread_out()
        return unit

    def information(self, full: Floats, scale: Floats, slope: Floats, curvature: Floats) -> tuple[Floats, Floats]:
        """By Louis (1982), with slopes taken as linear in the strengths."""
        answers, count = self._answers, len(self._answers.person_ids)
        of_a = self.weight * ((slope - curvature * scale[:, None] * self.apart) @ MASSES)
        of_b = -self.weight * scale * (curvature @ MASSES)
        linked = np.zeros((2 * count, len(answers.item_ids)))
        for offset, value in ((0, of_a), (count, of_b)):
            np.add.at(linked, (answers.people + offset, answers.first), value)
            np.add.at(linked, (answers.people + offset, answers.second), -value)
        left = full.copy()
        for items, _, covariance in self._islands.covariances(self.weight * scale**2 * (curvature @ MASSES), 1.0):
            part = linked[:, items]
            left -= np.einsum("pck,ckl,qcl->pq", part, covariance, part, optimize=True)
        return left, left

    def _spread_out(self) -> None:
        self.apart = differences(self._answers, self._found)
        self.masses = np.broadcast_to(MASSES, self.apart.shape)


class PairLatents:
    """By quadrature over each pair's own difference, N(0, 2) before any answer."""

    def __init__(self, answers: Answers) -> None:
        low, high = np.minimum(answers.first, answers.second), np.maximum(answers.first, answers.second)
        both = low * np.int64(len(answers.item_ids)) + high
        _, self._pair = np.unique(both, return_inverse=True)
        self._pairs = int(self._pair.max()) + 1
        self._sign = np.where(answers.first == low, 1.0, -1.0)
        self._answers = answers
        # A pair counts as its weightiest answer does, and within it an answer in proportion to that one.
        self._count = np.zeros(self._pairs)
        np.maximum.at(self._count, self._pair, answers.weight)
        self.number = float(self._count.sum())
        self._within = answers.weight / np.maximum(self._count[self._pair], 1e-300)
        self.weight = answers.weight
        self.apart = self._sign[:, None] * _NODES
        self.masses = np.broadcast_to(_SHARES, self.apart.shape)

    def learn(self, scale: Floats, shift: Floats, tie: float) -> float:
        """As the protocol says."""
        apart = self._sign[:, None] * _NODES
        said = outcome(scale[:, None] * apart + shift[:, None], self._answers.preference[:, None], tie)
        log_mass = np.tile(np.log(_SHARES), (self._pairs, 1))
        np.add.at(log_mass, self._pair, self._within[:, None] * said.value)
        mass = np.exp(log_mass - log_mass.max(axis=1, keepdims=True))
        mass /= mass.sum(axis=1, keepdims=True)
        unit = float(np.sqrt(self._count @ (mass @ _NODES**2) / self._count.sum() / 2.0))
        self.apart, self.masses = apart / unit, mass[self._pair]
        return unit

    def information(self, full: Floats, scale: Floats, slope: Floats, curvature: Floats) -> tuple[Floats, Floats]:
        """By Louis (1982); the slope's covariance over islands of items, as the pairs of one ranking hang together
        (the sandwich of Varin, Reid & Firth 2011)."""
        left = full.copy()
        root = np.sqrt(self._count)[self._pair]  # weights are counted once: in the square of a slope by root and root
        per_unit = (self.weight / np.maximum(root, 1e-150))[:, None] * slope
        average = self._of_people(per_unit)
        for node in range(self.apart.shape[1]):
            by_b = per_unit[:, node] * np.sqrt(self.masses[:, node])
            of_node = self._by_pair(by_b * self.apart[:, node], by_b)
            left -= (of_node.T @ of_node).toarray()
        left += (average.T @ average).toarray()
        return left, self._slope_covariance(slope)

    def _slope_covariance(self, slope: Floats) -> Floats:
        island = np.zeros(self._pairs, dtype=np.int64)
        island[self._pair] = Islands(self._answers).island[self._answers.first]
        together = coo_array((np.ones(self._pairs), (island, np.arange(self._pairs)))).tocsr()
        joined = together @ self._of_people(self.weight[:, None] * slope)
        return np.asarray((joined.T @ joined).toarray(), dtype=np.float64)

    def _of_people(self, slope: Floats) -> csr_array:
        """[pairs, 2P] slopes of the likelihood by reliability and bias, averaged over differences."""
        likely = slope * self.masses
        return self._by_pair((likely * self.apart).sum(axis=1), likely.sum(axis=1))

    def _by_pair(self, by_a: Floats, by_b: Floats) -> csr_array:
        """[pairs, 2P] sums of what answers [N] say of their person's reliability and bias."""
        count = len(self._answers.person_ids)
        rows = np.concatenate([self._pair, self._pair])
        columns = np.concatenate([self._answers.people, self._answers.people + count])
        return coo_array((np.concatenate([by_a, by_b]), (rows, columns)), shape=(self._pairs, 2 * count)).tocsr()
