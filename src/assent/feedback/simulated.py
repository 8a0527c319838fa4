"""Simulated people: latent values on each criterion, noise, and the flaws that real crowds have.

They stand in for people where the truth must be known. Their judgements are recorded as simulated, always.
A person's noise is Gumbel, so an ordinary person follows Bradley–Terry on each pair and Plackett–Luce on a ranking.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from assent.config.people import PeopleSettings
from assent.types.feedback import (
    CRITERIA,
    AnyMarks,
    Assignment,
    Judgement,
    LabelKind,
    PersonKind,
    marks_in_order,
    ranks_from_utilities,
)
from assent.types.seeds import derive_seed

TIE_MARGIN = 0.1  # in units of the noise: what a person cannot tell apart; one pair in twenty of equals ties
MIN_LENGTH_SPREAD = 3.0  # words; completions closer in length than this look equally long


class Temper(StrEnum):
    """How a simulated person goes about judging."""

    ORDINARY = "ordinary"
    POSITION_BIASED = "position-biased"  # likes what is shown first
    LENGTH_BIASED = "length-biased"  # likes what is longer than the rest
    CARELESS = "careless"  # does not read
    ADVERSARIAL = "adversarial"  # prefers what they find worse


BIAS_STRENGTH: dict[Temper, float] = {Temper.POSITION_BIASED: 0.06, Temper.LENGTH_BIASED: 0.03}
"""In units of utility (a mark is in [0, 1]): for being shown first; per standard deviation of length in words."""


@dataclass(frozen=True)
class SimulatedPerson:
    """A person made of numbers. What they say of a task depends on their seed and the task's id alone."""

    name: str
    values: tuple[float, ...]  # weights of the criteria; they sum to 1
    fluency_weight: float  # the mean of the marks is scaled by fluency to this power
    temper: Temper
    bias: float  # see BIAS_STRENGTH; 0 where the temper has none
    noise: float  # scale of the Gumbel noise, in units of utility
    seed: int
    criteria: tuple[str, ...] = CRITERIA  # what the world's marks are about

    def liking(self, marks: AnyMarks) -> float:
        """The person's honest utility of one completion, in [0, 1], before bias and noise."""
        given = marks.criteria()
        weighted = sum(weight * given[name] for name, weight in zip(self.criteria, self.values, strict=True))
        return weighted * math.pow(max(marks.fluency, 0.0), self.fluency_weight)

    def leanings(self, marks: Sequence[AnyMarks], lengths: Sequence[float], first: int | None) -> list[float]:
        """Utilities [K] without noise; `first` is the completion shown first (None: position left out)."""
        if self.temper is Temper.CARELESS:
            return [0.0] * len(marks)
        likings = [self.liking(each) for each in marks]
        if self.temper is Temper.ADVERSARIAL:
            return [-liking for liking in likings]
        if self.temper is Temper.LENGTH_BIASED:
            return [u + self.bias * z for u, z in zip(likings, standardised(lengths), strict=True)]
        if self.temper is Temper.POSITION_BIASED and first is not None:
            return [u + self.bias * (index == first) for index, u in enumerate(likings)]
        return likings

    def judge(self, assignment: Assignment, marks: Sequence[AnyMarks], mark_criteria: bool = False) -> Judgement:
        """This person's judgement of a task, given the gold marks [K] of its completions in the task's own order.

        Args:
            assignment: the task, as this person is shown it.
            marks: what is true of each completion.
            mark_criteria: give a mark per criterion too.

        Raises:
            ValueError: not one mark per completion.
        """
        if len(marks) != len(assignment.completions):
            raise ValueError(
                f"task {assignment.task_id}: {len(assignment.completions)} completions, {len(marks)} marks"
            )
        rng = random.Random(derive_seed(self.seed, "judge", assignment.task_id))
        lengths = [float(len(text.split())) for text in assignment.completions]
        leanings = self.leanings(marks, lengths, assignment.order_shown[0])
        # With neither noise nor leaning nothing would decide: the careless always roll dice.
        noise = 1.0 if self.temper is Temper.CARELESS else self.noise
        utilities = [leaning + noise * _gumbel(rng) for leaning in leanings]
        return Judgement(
            ranks=_ranks(utilities, assignment.label, TIE_MARGIN * noise),
            order_shown=assignment.order_shown,
            label=assignment.label,
            marks=self._marks(assignment.task_id, marks) if mark_criteria else (),
            seconds=self._seconds(sum(lengths), rng),
        )

    def _marks(self, task_id: int, marks: Sequence[AnyMarks]) -> tuple[Mapping[str, float], ...]:
        """Marks in tenths per criterion: the gold ones with this person's noise, in the sense of their temper."""
        rng = random.Random(derive_seed(self.seed, "marks", task_id))
        found = []
        for each in marks:
            said = {}
            for name, true in each.criteria().items():
                seen = true * each.fluency
                if self.temper is Temper.CARELESS:
                    seen = rng.random()
                elif self.temper is Temper.ADVERSARIAL:
                    seen = 1.0 - seen
                said[name] = round(min(1.0, max(0.0, seen + self.noise * rng.gauss(0.0, 1.0))), 1)
            found.append(said)
        return tuple(found)

    def _seconds(self, words: float, rng: random.Random) -> float:
        """Reading at some four words a second and a moment to decide; the careless click."""
        if self.temper is Temper.CARELESS:
            return round(1.0 + 2.0 * rng.random(), 1)
        return round((3.0 + words / 4.0) * math.exp(0.3 * rng.gauss(0.0, 1.0)), 1)

    def profile(self) -> dict[str, Any]:
        """All that makes this person, ready for JSON and stored beside the name; `from_profile` reads it back."""
        return {
            "kind": PersonKind.SIMULATED.value,
            "temper": self.temper.value,
            "values": dict(zip(self.criteria, self.values, strict=True)),
            "fluency_weight": self.fluency_weight,
            "bias": self.bias,
            "noise": self.noise,
            "seed": self.seed,
        }

    @classmethod
    def from_profile(cls, name: str, profile: Mapping[str, Any]) -> SimulatedPerson:
        """The person whose `profile()` this is.

        Raises:
            ValueError: the profile is not a simulated person's.
        """
        if profile.get("kind") != PersonKind.SIMULATED.value:
            raise ValueError(f"{name} is not a simulated person: profile kind {profile.get('kind')!r}")
        names = tuple(marks_in_order(profile["values"]))  # JSON keeps no order of names
        return cls(
            name,
            tuple(float(profile["values"][criterion]) for criterion in names),
            float(profile["fluency_weight"]),
            Temper(profile["temper"]),
            float(profile["bias"]),
            float(profile["noise"]),
            int(profile["seed"]),
            names,
        )


def make_crowd(
    count: int,
    settings: PeopleSettings,
    seed: int,
    prefix: str = "labeller",
    noise: float = 0.1,
    criteria: tuple[str, ...] = CRITERIA,
) -> list[SimulatedPerson]:
    """`count` people whose tempers have the settings' shares, each share rounded to whole people.

    Their noise is a guess until `calibrate_noise` has set it. Names are `prefix-01`, `prefix-02`, …

    Raises:
        ValueError: fewer than one person.
    """
    if count < 1:
        raise ValueError(f"a crowd needs at least one person, got {count}")
    tempers = _tempers(count, settings)
    random.Random(derive_seed(seed, "tempers", prefix)).shuffle(tempers)
    return [
        _make_person(f"{prefix}-{index:02d}", temper, seed, noise, criteria)
        for index, temper in enumerate(tempers, start=1)
    ]


def with_noise(people: Sequence[SimulatedPerson], noise: float) -> list[SimulatedPerson]:
    """The same people with another scale of noise, e.g. evaluators with what the labellers were calibrated to."""
    return [replace(person, noise=noise) for person in people]


def standardised(lengths: Sequence[float]) -> list[float]:
    """Lengths [K] minus their mean, over their standard deviation but at least `MIN_LENGTH_SPREAD` words."""
    mean = sum(lengths) / len(lengths)
    spread = math.sqrt(sum((length - mean) ** 2 for length in lengths) / len(lengths))
    return [(length - mean) / max(spread, MIN_LENGTH_SPREAD) for length in lengths]


def _tempers(count: int, settings: PeopleSettings) -> list[Temper]:
    shares = (
        (Temper.CARELESS, settings.careless_share),
        (Temper.ADVERSARIAL, settings.adversarial_share),
        (Temper.POSITION_BIASED, settings.biased_share),
        (Temper.LENGTH_BIASED, settings.biased_share),
    )
    tempers = [temper for temper, share in shares for _ in range(int(share * count + 0.5))][:count]
    return tempers + [Temper.ORDINARY] * (count - len(tempers))


def _make_person(name: str, temper: Temper, seed: int, noise: float, criteria: tuple[str, ...]) -> SimulatedPerson:
    own_seed = derive_seed(seed, "person", name)
    rng = random.Random(own_seed)
    # Dirichlet(8, 8, 8) where there are three criteria: mean 1/3 each, standard deviation 0.094.
    draws = [rng.gammavariate(8.0, 1.0) for _ in criteria]
    return SimulatedPerson(
        name,
        tuple(draw / sum(draws) for draw in draws),
        rng.uniform(0.75, 1.5),
        temper,
        BIAS_STRENGTH.get(temper, 0.0),
        noise,
        own_seed,
        criteria,
    )


def _gumbel(rng: random.Random) -> float:
    return -math.log(-math.log(max(rng.random(), 1e-300)))


def _ranks(utilities: Sequence[float], label: LabelKind, tie_margin: float) -> tuple[int, ...]:
    if label is LabelKind.BEST_OF_K:
        best = max(range(len(utilities)), key=utilities.__getitem__)
        return tuple(1 if index == best else 2 for index in range(len(utilities)))
    return ranks_from_utilities(utilities, tie_margin)
