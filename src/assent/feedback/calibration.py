"""How noisy simulated people must be to agree with each other as often as real ones do.

InstructGPT's labellers agreed on 72.6 ± 1.5 % of pairs (Ouyang et al. 2022). The noise of simulated people is Gumbel,
so the agreement that a scale of noise leads to has a closed form and is bisected without drawing a judgement.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from assent.feedback.intervals import Floats
from assent.feedback.simulated import TIE_MARGIN, SimulatedPerson, Temper, with_noise
from assent.types.errors import SettingsError
from assent.types.feedback import AnyMarks
from assent.types.seeds import derive_seed

_LOWEST, _HIGHEST = 1e-4, 1e2  # scales of noise between which to look, in units of utility


def calibrate_noise(
    people: Sequence[SimulatedPerson],
    sets: Sequence[Sequence[AnyMarks]],
    target: float,
    seed: int,
    lengths: Sequence[Sequence[float]] | None = None,
) -> list[SimulatedPerson]:
    """The same people with the one scale of noise at which two of them agree on a share `target` of strict pairs.

    Two different people are drawn at random, all tempers included, as are the completions of a set.

    Args:
        people: at least two.
        sets: the gold marks of completions as people will see them together, [S][K].
        target: the wanted share, e.g. 0.73.
        seed: of the stand-in lengths.
        lengths: words of each completion, [S][K]; none: independent draws of 30 ± 10 words.

    Raises:
        SettingsError: no scale of noise gives that agreement, e.g. too many careless people, or completions all alike.
        ValueError: fewer than two people, no sets, a set of one.
    """
    pairs = [_Pairs(person, sets, lengths or _stand_in_lengths(sets, seed)) for person in _at_least_two(people)]
    highest, lowest = _agreement(pairs, _LOWEST), _agreement(pairs, _HIGHEST)
    if not lowest <= target <= highest:
        raise SettingsError(
            f"people.agreement = {target:g} cannot be reached: these {len(people)} simulated people agree on "
            f"{highest:.3f} of pairs without noise and on {lowest:.3f} when all is noise",
            "change people.agreement, lower people.careless_share, people.adversarial_share or people.biased_share, "
            "or calibrate on completions that differ more in quality",
        )
    low, high = math.log(_LOWEST), math.log(_HIGHEST)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _agreement(pairs, math.exp(middle)) > target else (low, middle)
    return with_noise(people, math.exp((low + high) / 2))


def expected_agreement(
    people: Sequence[SimulatedPerson],
    sets: Sequence[Sequence[AnyMarks]],
    seed: int,
    lengths: Sequence[Sequence[float]] | None = None,
) -> float:
    """The share of strict pairs of completions on which two different people agree, at the noise that they have.

    Arguments and errors are those of `calibrate_noise`; the noise of the first person counts for all.
    """
    pairs = [_Pairs(person, sets, lengths or _stand_in_lengths(sets, seed)) for person in _at_least_two(people)]
    return _agreement(pairs, people[0].noise)


class _Pairs:
    """One person's differences of utility, first minus second, on all pairs of completions [P], and their bonus."""

    def __init__(
        self, person: SimulatedPerson, sets: Sequence[Sequence[AnyMarks]], lengths: Sequence[Sequence[float]]
    ) -> None:
        differences: list[float] = []
        first_chance: list[float] = []
        for marks, words in zip(sets, lengths, strict=True):
            leanings = person.leanings(marks, words, first=None)
            differences += [a - b for a, b in combinations(leanings, 2)]
            first_chance += [1.0 / len(marks)] * math.comb(len(marks), 2)
        if not differences:
            raise ValueError("calibration needs sets of at least two completions")
        self.differences = np.asarray(differences)
        self.first_chance = np.asarray(first_chance)
        self.careless = person.temper is Temper.CARELESS
        self.bonus = person.bias if person.temper is Temper.POSITION_BIASED else 0.0

    def strictly_first(self, noise: float, sign: float) -> Floats:
        """P(the first of each pair is preferred), or the second with sign -1; they sum to less than 1 as ties exist.

        The order shown is random, so either of the two is the one shown first with chance 1/K each.
        """
        unit = 1.0 if self.careless else noise
        shifts = ((self.bonus, self.first_chance), (-self.bonus, self.first_chance), (0.0, 1 - 2 * self.first_chance))
        total = np.zeros_like(self.differences)
        for shift, chance in shifts:
            total += chance * _sigmoid(sign * (self.differences + shift) / unit - TIE_MARGIN)
        return total


def _agreement(people: Sequence[_Pairs], noise: float) -> float:
    first = np.stack([each.strictly_first(noise, 1.0) for each in people])
    second = np.stack([each.strictly_first(noise, -1.0) for each in people])
    agree = _over_two_people(first) + _over_two_people(second)
    return float(agree / _over_two_people(first + second))


def _over_two_people(chances: Floats) -> float:
    """Σ over pairs of completions and over two different people of the product of their chances; [people, P]."""
    return float(((chances.sum(axis=0) ** 2 - (chances**2).sum(axis=0)) / 2).sum())


def _sigmoid(x: Floats) -> Floats:
    result: Floats = 0.5 * (1.0 + np.tanh(0.5 * x))
    return result


def _stand_in_lengths(sets: Sequence[Sequence[AnyMarks]], seed: int) -> list[list[float]]:
    rng = random.Random(derive_seed(seed, "lengths"))
    return [[max(1.0, rng.gauss(30.0, 10.0)) for _ in marks] for marks in sets]


def _at_least_two(people: Sequence[SimulatedPerson]) -> Sequence[SimulatedPerson]:
    if len(people) < 2:
        raise ValueError(f"agreement is between two people, got {len(people)}")
    return people
