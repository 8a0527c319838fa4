"""What is known of each person who judged, and of the crowd, for those who have to decide whom to ask again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from assent.feedback.agreement import Agreement, agreement_by_person, mark_agreements, pairwise_agreement
from assent.feedback.alpha import Alpha, mark_alphas, ranking_alpha
from assent.feedback.annotators import Annotators, fit_annotators
from assent.feedback.answers import answers_of
from assent.feedback.bias import first_wins, longer_wins, self_consistency
from assent.feedback.intervals import Interval
from assent.types.feedback import JudgedTask

CAP = 2.0  # times an equal share: the most that one person may add to what the others are measured by


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error."""

    value: float
    error: float

    def as_dict(self) -> dict[str, float]:
        """Ready for JSON."""
        return {"value": self.value, "error": self.error}

    def __str__(self) -> str:
        """Two decimals, for sentences."""
        return f"{self.value:.2f} ± {self.error:.2f}"


@dataclass(frozen=True)
class PersonFacts:
    """One person's. What cannot be known of them is None."""

    person_id: int
    judgements: int
    share: float  # of all judgements
    reliability: Estimate | None  # logits per standard deviation of quality; None for who met nobody
    side_bias: Estimate | None  # logits for what is shown first
    first_wins: Interval | None
    longer_wins: Interval | None
    agreement: Interval | None  # with others, on pairs that both ranked strictly
    self_consistency: Interval | None  # None for who judged nothing twice
    median_seconds: float | None  # None where no time was taken

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {name: each.as_dict() if hasattr(each, "as_dict") else each for name, each in vars(self).items()}


@dataclass(frozen=True)
class CrowdFacts:
    """Everybody's."""

    people: tuple[PersonFacts, ...]  # by person id
    judgements: int
    first_wins: Interval | None
    longer_wins: Interval | None
    self_consistency: Interval | None
    agreement: Agreement
    alpha: Alpha  # ordinal, of the ranks
    criteria: dict[str, tuple[Agreement, Alpha]]  # by the marks for each; alpha is for intervals

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        overall = {
            name: None if each is None else each.as_dict()
            for name in ("first_wins", "longer_wins", "self_consistency", "agreement", "alpha")
            for each in (getattr(self, name),)
        }
        criteria = {name: {"agreement": a.as_dict(), "alpha": b.as_dict()} for name, (a, b) in self.criteria.items()}
        people = [each.as_dict() for each in self.people]
        return {"people": people, "overall": {"judgements": self.judgements, **overall, "criteria": criteria}}


def crowd_facts(judged: Sequence[JudgedTask], seed: int, resamples: int = 1000) -> CrowdFacts:
    """All that these judgements say of those who gave them.

    Args:
        judged: of whatever tasks; with lengths, if what is longer is to be looked at.
        seed: of the intervals.
        resamples: of each interval.
    """
    by_person: dict[int, list[JudgedTask]] = defaultdict(list)
    for each in judged:
        by_person[each.ranking.person_id].append(each)
    rankings = [each.ranking for each in judged]
    agreed = agreement_by_person(rankings, seed, resamples)
    answers = answers_of(judged, sorted(by_person))
    fitted = fit_annotators(answers.capped(CAP)) if len(answers) else None
    known = set(agreed) if fitted is None or fitted.over == "pairs" else set(by_person)
    alphas = mark_alphas(rankings, "interval", seed, resamples)
    people = []
    for person, own in sorted(by_person.items()):
        model = fitted if person in known else None
        people.append(_of_person(person, own, len(judged), model, agreed.get(person), seed, resamples))
    return CrowdFacts(
        tuple(people),
        len(judged),
        first_wins(judged, seed, resamples),
        longer_wins(judged, seed, resamples),
        self_consistency(judged, seed, resamples),
        pairwise_agreement(rankings, seed, resamples),
        ranking_alpha(rankings, seed, resamples),
        {name: (each, alphas[name]) for name, each in mark_agreements(rankings, seed, resamples).items()},
    )


def _of_person(
    person: int,
    own: Sequence[JudgedTask],
    total: int,
    fitted: Annotators | None,
    agreed: Interval | None,
    seed: int,
    resamples: int,
) -> PersonFacts:
    reliability = side = None
    if fitted is not None:
        row = fitted.person_ids.index(person)
        reliability = Estimate(float(fitted.reliability[row]), float(fitted.reliability_error[row]))
        side = Estimate(float(fitted.side_bias[row]), float(fitted.side_error[row]))
    timed = [each.seconds for each in own if each.seconds > 0]
    return PersonFacts(
        person,
        len(own),
        len(own) / total,
        reliability,
        side,
        first_wins(own, seed, resamples),
        longer_wins(own, seed, resamples),
        agreed,
        self_consistency(own, seed, resamples),
        median(timed) if timed else None,
    )
