"""The Lagrange multiplier of a bound on the mean cost."""

from __future__ import annotations

import math


def updated_log_multiplier(
    log_multiplier: float, mean_cost: float, limit: float, learning_rate: float, maximum: float
) -> float:
    """log λ ← min(log λ + η λ (mean cost − limit), log maximum): gradient ascent on λ (cost − limit) in log λ.

    The policy maximises score − λ · cost. λ rises while the mean cost is above its limit and falls while it is below,
    and being an exponential it never leaves 0 (Dai et al. 2024, "Safe RLHF").

    Args:
        log_multiplier: log λ, λ in reward per unit of cost.
        mean_cost: of the policy's rollouts, in units of cost.
        limit: what the mean cost may be.
        learning_rate: η; 0 holds λ.
        maximum: λ goes no higher.

    Raises:
        ValueError: a mean cost that is not finite, a negative learning rate, or a maximum that is not positive.
    """
    if not (math.isfinite(mean_cost) and learning_rate >= 0 and maximum > 0):
        raise ValueError(f"got mean cost {mean_cost}, learning rate {learning_rate} and maximum {maximum}")
    moved = log_multiplier + learning_rate * math.exp(log_multiplier) * (mean_cost - limit)
    return min(moved, math.log(maximum))
