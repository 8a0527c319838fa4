"""How reliable each person is and how much they lean to what is shown first, found together with what they judged.

The model: person p prefers i, shown first, to j with chance sigmoid(a_p (s_i - s_j) + b_p). The reliability a_p may be
0 (a guess) or less (an adversary). It is Bradley and Terry's (1952) with the person of Chen et al. (2013, Crowd-BT) and
a side bias, and in the terms of item response theory a two-parameter model, fitted as there by maximising what is left
after the strengths are averaged out (Bock & Aitkin 1981), so that few answers per item do no harm: were strengths
fitted beside the people, everyone would be found right where nobody else was asked.

Priors: s ~ N(0, 1), which sets the unit of a; a ~ N(m, v) and b ~ N(0, 1), with m and v estimated from the people who
judged, m as if one more of reliability 1 had, v as if two more of variance 1 had. Each a is N(0, 5²) besides: weak, but
it keeps people finite who never disagree, for whom the likelihood rises for ever (so for coefficients of a logistic
model Gelman et al. 2008, for Bradley-Terry's strengths Caron & Doucet 2012).
Ties are Davidson's (1970), with one readiness to tie. Which sign is right, only the majority tells: if adversaries have
more to say than everybody else, they are found reliable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri

from assent.feedback.answers import Answers
from assent.feedback.intervals import Floats
from assent.feedback.latents import ItemLatents, Latents, PairLatents
from assent.feedback.strengths import Islands, find_strengths, outcome

ROUNDS = 400
TOLERANCE = 1e-3  # on the largest change of a reliability or a bias in a round
EXPECTED = 1.0  # the reliability of the one person more; what people are taken for of whom nothing is known
FARTHEST = 5.0  # each reliability is N(0, 5²) besides; at 5, 9 of 10 answers on two items drawn at random are right
WELL_KNOWN = 12.0  # answers for each strength, from which on their normal distribution is close enough


@dataclass(frozen=True)
class Annotators:
    """What was found of people and items; errors are standard errors."""

    person_ids: tuple[int, ...]  # [P]
    reliability: Floats  # [P] a: logits per standard deviation of quality; 0 a guess, below 0 adversarial
    reliability_error: Floats  # [P]
    side_bias: Floats  # [P] b: logits for what is shown first
    side_error: Floats  # [P]
    item_ids: tuple[int, ...]  # [I]
    strengths: Floats  # [I] in standard deviations of the prior
    strength_error: Floats  # [I]
    tie: float  # Davidson's readiness to tie; 0 where nobody ever did
    over: Literal["items", "pairs"]  # what was averaged out
    rounds: int
    converged: bool

    def discernment(self) -> Floats:
        """How far from a guess each person is on two items drawn from the prior, [P]: 1 always right, 0 a guess,
        -1 always wrong. It is the mean of 2 P(right) - 1."""
        half_normal = ndtri(0.5 + (np.arange(1000) + 0.5) / 2000)
        found: Floats = np.tanh(self.reliability[:, None] * half_normal / np.sqrt(2.0)).mean(axis=1)
        return found


def fit_annotators(
    answers: Answers, over: Literal["auto", "items", "pairs"] = "auto", tolerance: float = TOLERANCE
) -> Annotators:
    """Fit all people and items by expectation-maximisation, with what is not known of the items averaged out.

    People without an answer are given the mean of the others, and the prior's errors.

    Args:
        answers: who preferred what; cap them first (`Answers.capped`) where somebody may have sent in too many.
        over: items, where they are shared; pairs, where each is a completion that one task holds (see
            `assent.feedback.latents`); auto: items from `WELL_KNOWN` answers for each strength on.
        tolerance: on the largest change in a round, at which to stop.

    Raises:
        ValueError: no answers.
    """
    if not len(answers) or answers.weight.sum() <= 0:
        raise ValueError("a model of people needs at least one answer")
    islands = Islands(answers)
    if over == "auto":
        strengths = len(answers.item_ids) - islands.number
        over = "items" if answers.weight.sum() >= WELL_KNOWN * strengths else "pairs"
    state = _State(answers, ItemLatents(answers) if over == "items" else PairLatents(answers))
    moved, rounds = np.inf, 0
    while moved > tolerance and rounds < ROUNDS:
        moved = state.improve()
        rounds += 1
    state.turn()
    reliability_error, side_error = state.errors()
    people = answers.people
    found = find_strengths(islands, state.reliability[people], state.side[people], state.tie)
    return Annotators(
        answers.person_ids,
        state.reliability,
        reliability_error,
        state.side,
        side_error,
        answers.item_ids,
        found.mean,
        np.sqrt(found.variance),
        state.tie,
        over,
        rounds,
        bool(moved <= tolerance),
    )


class _State:
    """Where the fit stands."""

    def __init__(self, answers: Answers, latents: Latents) -> None:
        self.answers, self.latents = answers, latents
        self.judged = answers.weight_of_people() > 0
        count = len(answers.person_ids)
        self.mean, self.spread = 1.0, 1.0  # of the people's reliabilities: m and v
        self.reliability, self.side = np.ones(count), np.zeros(count)
        self.uncertain = np.zeros(count)  # variances of the reliabilities, were the items known
        tied = answers.preference == 0.5
        share = float(answers.weight[tied].sum() / answers.weight.sum())
        self.tie = 2.0 * share / max(1.0 - share, 1e-3)

    def improve(self) -> float:
        """One round; returns how far a reliability or a bias moved at the most."""
        before, side = self.reliability, self.side
        people = self.answers.people
        # What the likelihood cannot tell apart, the items' scale and the people's, would creep to where it belongs
        # if it were not set in each round (Liu, Rubin & Wu 1998).
        unit = self._scale(self.latents.learn(self.reliability[people], self.side[people], self.tie))
        self.reliability, self.mean, self.spread = self.reliability * unit, self.mean * unit, self.spread * unit**2
        self._maximise()
        self.reliability = np.where(self.judged, self.reliability, self.reliability[self.judged].mean())
        about = (self.reliability - self.mean) ** 2 + self.uncertain
        self.spread = float((about[self.judged].sum() + 2.0) / (self.judged.sum() + 2.0))
        return float(max(np.abs(self.reliability - before).max(), np.abs(self.side - side).max()))

    def _scale(self, unit: float) -> float:
        """By what to multiply the reliabilities where the items ask for `unit`, and the prior for less.

        The x = scale² at which -n log(x) / 2 - n unit² / (2 x), what n items say, less x sum(a²) / (2 FARTHEST²) is
        greatest. With the items' own scale a crowd that always agrees would be driven up against its prior for ever.
        """
        pull, number = float((self.reliability[self.judged] ** 2).sum()) / FARTHEST**2, self.latents.number
        return float(np.sqrt(2.0 * number * unit**2 / (number + np.sqrt(number**2 + 4.0 * number * pull * unit**2))))

    def turn(self) -> None:
        """If the people taken together came out below 0, read everything the other way round."""
        if self.mean < 0:
            self.mean, self.reliability = -self.mean, -self.reliability

    def errors(self) -> tuple[Floats, Floats]:
        """Standard errors of reliabilities and biases, from the curvature and the covariance of the slope."""
        slope, curvature = self._slopes()
        left, covariance = self.latents.information(
            self._information(curvature), self.reliability[self.answers.people], slope, curvature
        )
        count = len(self.reliability)
        prior = np.diag(np.r_[np.full(count, 1.0 / self.spread + 1.0 / FARTHEST**2), np.ones(count)])
        inverse = np.linalg.pinv(left + prior, hermitian=True)
        error = np.sqrt(np.diagonal(inverse @ (covariance + prior) @ inverse))
        return error[:count], error[count:]

    def _slopes(self) -> tuple[Floats, Floats]:
        """Slope and curvature of each answer's likelihood at each difference that it may be about, [N, Q]."""
        people = self.answers.people
        d = self.reliability[people, None] * self.latents.apart + self.side[people, None]
        said = outcome(d, self.answers.preference[:, None], self.tie)
        return said.slope, said.curvature

    def _sum(self, values: Floats) -> Floats:
        """By person [P], of [N, Q]: averaged over differences, added up over answers."""
        average = (values * self.latents.masses).sum(axis=1)
        total = np.bincount(self.answers.people, self.latents.weight * average, len(self.reliability))
        return total.astype(np.float64)

    def _maximise(self) -> None:
        """A Newton step for all people and their mean on the expected likelihood, and one for the readiness to tie."""
        slope, curvature = self._slopes()
        apart = self.latents.apart
        down = self._sum(slope * apart) - (self.reliability - self.mean) / self.spread - self.reliability / FARTHEST**2
        across = self._sum(slope) - self.side
        aa = self._sum(curvature * apart**2) + 1.0 / self.spread + 1.0 / FARTHEST**2
        bb = self._sum(curvature) + 1.0
        ab = self._sum(curvature * apart)
        determinant = aa * bb - ab**2
        self.uncertain = bb / determinant
        moved = float(np.clip(self._step_of_mean((bb * down - ab * across) / determinant), -1.0, 1.0))
        self.mean += moved
        down = down + moved / self.spread
        step_a, step_b = (bb * down - ab * across) / determinant, (aa * across - ab * down) / determinant
        length = np.maximum(1.0, np.hypot(step_a, step_b))
        self.reliability, self.side = self.reliability + step_a / length, self.side + step_b / length
        if self.tie > 0:
            self._maximise_tie()

    def _step_of_mean(self, steps: Floats) -> float:
        """By how much the mean moves in one Newton step with the people, who would move so if it stayed, [P]."""
        off = (self.reliability - self.mean + steps)[self.judged].sum() + EXPECTED - self.mean
        held = self.judged.sum() + 1.0 - self.uncertain[self.judged].sum() / self.spread
        return float(off / held)

    def _maximise_tie(self) -> None:
        """A Newton step in its logarithm; half a tie in one answer as a prior keeps it finite where all are ties."""
        people = self.answers.people
        half = np.exp(0.5 * (self.reliability[people, None] * self.latents.apart + self.side[people, None]))
        chance = self.tie / (self.tie + half + 1.0 / half)
        even = self.tie / (2.0 + self.tie)
        tied = self.answers.preference[:, None] == 0.5
        surplus = float(self._sum(tied - chance).sum()) + 0.5 - even
        steepness = float(self._sum(chance * (1.0 - chance)).sum()) + even * (1.0 - even)
        self.tie *= float(np.exp(np.clip(surplus / steepness, -1.0, 1.0)))

    def _information(self, curvature: Floats) -> Floats:
        """[2P, 2P] of the answers, were all differences known: reliabilities first, then biases."""
        apart, count = self.latents.apart, len(self.reliability)
        rows = np.arange(count)
        full = np.zeros((2 * count, 2 * count))
        full[rows, rows] = self._sum(curvature * apart**2)
        full[rows + count, rows + count] = self._sum(curvature)
        full[rows, rows + count] = full[rows + count, rows] = self._sum(curvature * apart)
        return full
