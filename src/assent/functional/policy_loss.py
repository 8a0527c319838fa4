"""Losses of the policy. Sums over the batch's valid tokens, divided by a count that is global."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from assent.functional.masking import Denominator, masked_sum, zero_masked


def ppo_policy_loss(
    logprobs: Float[Tensor, "B T"],
    old_logprobs: Float[Tensor, "B T"],
    advantages: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    clip_low: float,
    clip_high: float,
    num_valid_tokens: Denominator,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """The clipped surrogate, to be minimised (Schulman et al. 2017, eq. 7), and what to watch beside it.

    loss = -Σ min(ratio · A, clip(ratio, 1 - clip_low, 1 + clip_high) · A) / num_valid_tokens, with
    ratio = exp(logprobs - old_logprobs). Old log-probabilities and advantages are constants. Equal clips are PPO's,
    a higher `clip_high` is DAPO's; with infinite clips the gradient on the first step is that of A2C.

    Returns:
        The loss, and detached scalar *sums over valid tokens*: add them over microbatches and ranks and divide by
        num_valid_tokens. `clip_fraction` counts the tokens whose clipped term is the smaller one and which therefore
        get no gradient; `approx_kl` sums ratio - 1 - log ratio, the k3 estimate of KL(π_old ‖ π) in nats, never
        negative; `ratio` sums the ratio, of mean 1 in expectation.

    Raises:
        ValueError: a clip is negative.
    """
    if not (clip_low >= 0 and clip_high >= 0):
        raise ValueError(f"clips must not be negative, got low {clip_low} and high {clip_high}")
    advantages = zero_masked(advantages.detach(), mask)
    log_ratio = zero_masked(logprobs - old_logprobs.detach(), mask)
    ratio = log_ratio.exp()
    unclipped = ratio * advantages
    clipped = ratio.clamp(1.0 - clip_low, 1.0 + clip_high) * advantages
    loss = -masked_sum(torch.minimum(unclipped, clipped), mask) / num_valid_tokens
    with torch.no_grad():
        stats = {
            "clip_fraction": (clipped < unclipped).sum().to(ratio.dtype),
            "approx_kl": (torch.expm1(log_ratio) - log_ratio).clamp(min=0.0).sum(),
            "ratio": masked_sum(ratio, mask),
        }
    return loss, stats


def policy_gradient_loss(
    logprobs: Float[Tensor, "B T"],
    advantages: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    num_valid_tokens: Denominator,
) -> Float[Tensor, ""]:
    """-Σ A · log π / num_valid_tokens: REINFORCE with returns as A (Williams 1992), A2C with advantages.

    Advantages are constants. The gradient is that of `ppo_policy_loss` where the ratio is 1.
    """
    return -(zero_masked(advantages.detach(), mask) * zero_masked(logprobs, mask)).sum() / num_valid_tokens
