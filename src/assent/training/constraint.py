"""A bound on the mean cost of what the policy writes, beside the score that it is rewarded for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from assent.config.algorithm import OnPolicySettings
from assent.functional import updated_log_multiplier


class Constraint:
    """The multiplier λ, and what it makes of scores and costs.

    The policy is rewarded with score − λ · cost: for a given λ the best one is π ∝ π_ref · e^{(score − λ cost)/β}.
    Dai et al. 2024 also divide by 1 + λ, which would weaken the score against the KL penalty as λ grows.

    Args:
        settings: `cost_limit`, and how λ moves; without a limit costs are only reported.
    """

    def __init__(self, settings: OnPolicySettings) -> None:
        self.settings = settings
        self.log_multiplier = math.log(settings.cost_multiplier)

    @property
    def multiplier(self) -> float:
        """λ, in reward per unit of cost; 0 without a limit."""
        return 0.0 if self.settings.cost_limit is None else math.exp(self.log_multiplier)

    def combined(self, scores: Sequence[float], costs: Sequence[float]) -> list[float]:
        """Score − λ · cost of each completion."""
        return [score - self.multiplier * cost for score, cost in zip(scores, costs, strict=True)]

    def observe(self, costs: Sequence[float]) -> None:
        """Move λ by what a step's rollouts cost."""
        s = self.settings
        if s.cost_limit is not None:
            self.log_multiplier = updated_log_multiplier(
                self.log_multiplier,
                sum(costs) / len(costs),
                s.cost_limit,
                s.cost_learning_rate,
                s.cost_multiplier_max,
            )

    def describe(self, scores: Sequence[float], costs: Sequence[float]) -> dict[str, float]:
        """Mean score as it was before any cost, mean cost, and λ as it stood for these rollouts."""
        return {
            "score": sum(scores) / len(scores),
            "cost": sum(costs) / len(costs),
            "cost_multiplier": self.multiplier,
        }
