"""Whether a new policy takes the old one's place: people decide, within the KL budget."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from assent.evaluation.win_rate import PeopleWinRate
from assent.feedback.intervals import Interval


@dataclass(frozen=True)
class Verdict:
    """A decision with everything that it rests on."""

    promoted: bool
    reasons: tuple[str, ...]  # in words; what speaks against comes with the figure and the limit
    people: Interval | None
    gold: Interval | None
    kl: float  # nats per sequence from the reference
    kl_budget: float
    criteria: Mapping[str, Mapping[str, float]]  # criterion -> {"old": mean mark, "new": mean mark}

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            **asdict(self),
            "reasons": list(self.reasons),
            "people": self.people.as_dict() if self.people else None,
            "gold": self.gold.as_dict() if self.gold else None,
            "criteria": {name: dict(means) for name, means in self.criteria.items()},
        }


def decide(
    people: PeopleWinRate | Interval | None,
    gold: Interval | None,
    kl: float,
    kl_budget: float,
    criteria: Mapping[str, Mapping[str, float]] | None = None,
) -> Verdict:
    """Promote only if the lower bound of people's preference is above one half and the KL is within the budget.

    Where no people were asked (a reward function takes their place) the gold interval, i.e. that function's win rate,
    decides by the same rule, and the reasons say so. A fall in a criterion is a reason shown, not a veto.
    """
    asked = people.interval if isinstance(people, PeopleWinRate) else people
    judged = asked or gold
    who = "people prefer" if asked else "no people were asked; the scoring function prefers"
    against, remarks = [], []
    if judged is None:
        against.append(
            "nobody compared the new policy with the old one: people.kind is none, and there is no gold judge"
            " (people.marks, or a bundled task)"
        )
    elif judged.low > 0.5:
        remarks.append(f"{who} the new policy in {_share(judged)} of pairs")
    else:
        against.append(f"{who} the new policy in {_share(judged)} of pairs: the lower bound is not above 50 %")
    if math.isfinite(kl) and kl <= kl_budget:
        remarks.append(f"KL from the reference is {kl:.2f} nats, within the budget of {kl_budget:g}")
    else:
        against.append(f"KL from the reference is {kl:.2f} nats, above loop.kl_budget = {kl_budget:g}")
    if asked and gold and gold.high < 0.5:
        remarks.append(f"the gold judge disagrees with people: {_share(gold)}")
    for name, means in (criteria or {}).items():
        if means["new"] < means["old"]:
            remarks.append(f"{name} fell from {means['old']:.3f} to {means['new']:.3f}")
    return Verdict(not against, (*against, *remarks), asked, gold, kl, kl_budget, dict(criteria or {}))


def _share(interval: Interval) -> str:
    return f"{interval.value:.1%} [{interval.low:.1%}, {interval.high:.1%}]"
