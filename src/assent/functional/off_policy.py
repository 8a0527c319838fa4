"""Weights that make up for a sampler whose probabilities are not quite the trainer's.

The generator writes with π_rollout (another kernel, precision or older weights), the trainer recomputes π_old. The
importance weight π_old / π_rollout turns an expectation under the one into one under the other. Its variance grows
with the mismatch, so it is truncated or masked, at the price of some bias.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from assent.functional.group_advantages import spread_over_tokens
from assent.functional.masking import zero_masked


def rollout_ratio(
    old_logprobs: Float[Tensor, "B T"],
    rollout_logprobs: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    level: Literal["token", "sequence"],
) -> Float[Tensor, "B T"]:
    """π_old / π_rollout of each token, or of the whole sequence on each of its tokens; constant, 0 where masked.

    The token's weight is biased, as it leaves out what the sampler did before; the sequence's is not, and varies more.
    """
    gap = zero_masked((old_logprobs - rollout_logprobs).detach(), mask)
    if level == "sequence":
        return spread_over_tokens(gap.sum(dim=-1).exp(), mask)
    return zero_masked(gap.exp(), mask)


def truncated_weights(ratio: Float[Tensor, "B T"], high: float) -> Float[Tensor, "B T"]:
    """min(ratio, high): truncated importance sampling (Ionides 2008; for rollouts Yao et al. 2025).

    Raises:
        ValueError: the bound is not positive.
    """
    if not high > 0:
        raise ValueError(f"the bound of importance weights must be positive, got {high}")
    return ratio.clamp(max=high)


def kept_by_ratio(
    ratio: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"], low: float, high: float
) -> Bool[Tensor, "B T"]:
    """Valid tokens whose ratio lies in [low, high]; the others are rejected (IcePop 2025; Liu et al. 2025).

    Take the rejected ones out of the loss *and* of its denominator. Those kept are still weighted by their ratio.

    Raises:
        ValueError: the bounds do not hold 1 between them.
    """
    if not 0 <= low <= 1 <= high:
        raise ValueError(f"the bounds of importance weights must hold 1 between them, got {low} and {high}")
    return torch.where(mask, (ratio >= low) & (ratio <= high), torch.zeros_like(mask))
