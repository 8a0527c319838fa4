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
    _require_clips(clip_low, clip_high)
    advantages = zero_masked(advantages.detach(), mask)
    log_ratio = zero_masked(logprobs - old_logprobs.detach(), mask)
    loss, clipped = _clipped_surrogate(log_ratio.exp(), advantages, mask, clip_low, clip_high)
    return loss / num_valid_tokens, _statistics(log_ratio, mask, clipped)


def sequence_ratio_policy_loss(
    logprobs: Float[Tensor, "B T"],
    old_logprobs: Float[Tensor, "B T"],
    advantages: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    clip_low: float,
    clip_high: float,
    denominator: Denominator,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """GSPO's surrogate, to be minimised (Zheng et al. 2025, eq. 5): PPO's, with one ratio for a whole sequence.

    loss = -Σ min(s · A, clip(s, 1 - clip_low, 1 + clip_high) · A) / denominator over valid tokens, where
    s = exp(mean over the sequence's valid tokens of logprobs - old_logprobs). Being a geometric mean, s moves far less
    than a token's ratio, and the clips are smaller by orders of magnitude. The paper's mean over sequences is had with
    advantages divided by their sequence's length (`divided_by_length`) and the number of sequences as denominator.

    Returns:
        The loss, and the sums of `ppo_policy_loss`: `clip_fraction` counts the tokens of clipped sequences,
        `approx_kl` and `ratio` are those of single tokens.

    Raises:
        ValueError: a clip is negative.
    """
    _require_clips(clip_low, clip_high)
    advantages = zero_masked(advantages.detach(), mask)
    log_ratio = zero_masked(logprobs - old_logprobs.detach(), mask)
    ratio = divided_by_length(log_ratio, mask).sum(dim=-1, keepdim=True).exp()
    loss, clipped = _clipped_surrogate(ratio, advantages, mask, clip_low, clip_high)
    return loss / denominator, _statistics(log_ratio, mask, clipped)


def detached_ratio_policy_loss(
    logprobs: Float[Tensor, "B T"],
    old_logprobs: Float[Tensor, "B T"],
    advantages: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    clip_low: float,
    clip_high: float,
    denominator: Denominator,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """CISPO's loss, to be minimised (MiniMax 2025, eq. 4): the policy gradient under a bounded importance weight.

    loss = -Σ w · A · log π / denominator with w = clip(ratio, 1 - clip_low, 1 + clip_high) held constant. Where PPO's
    clip takes a token out of the gradient, here it keeps its gradient at the bounded weight.

    Returns:
        The loss, and the sums of `ppo_policy_loss`: `clip_fraction` counts the tokens whose weight was bounded.

    Raises:
        ValueError: a clip is negative.
    """
    _require_clips(clip_low, clip_high)
    log_ratio = zero_masked((logprobs - old_logprobs).detach(), mask)
    ratio = log_ratio.exp()
    weight = ratio.clamp(1.0 - clip_low, 1.0 + clip_high)
    loss = policy_gradient_loss(logprobs, weight * zero_masked(advantages, mask), mask, denominator)
    return loss, _statistics(log_ratio, mask, weight != ratio)


def divided_by_length(x: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """`x` over its sequence's number of valid tokens, 0 where masked.

    A sum of it over all tokens is a sum over sequences of their token means.
    """
    return zero_masked(x, mask) / mask.sum(dim=-1, keepdim=True).clamp(min=1)


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


def _clipped_surrogate(
    ratio: Float[
        Tensor,
        (
            B  # T
        ),
    ],
    advantages: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    clip_low: float,
    clip_high: float,
) -> tuple[Float[Tensor, ""], Bool[Tensor, "B T"]]:
    """The negated sum over valid tokens, and where the clipped term is the smaller one."""
    unclipped = ratio * advantages
    clipped = ratio.clamp(1.0 - clip_low, 1.0 + clip_high) * advantages
    return -masked_sum(torch.minimum(unclipped, clipped), mask), clipped < unclipped


@torch.no_grad()
def _statistics(
    log_ratio: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"], clipped: Bool[Tensor, "B T"]
) -> dict[str, Tensor]:
    """Sums over valid tokens. `log_ratio` is 0 where masked, so that only the ratio needs the mask."""
    return {
        "clip_fraction": (clipped & mask).sum().to(log_ratio.dtype),
        "approx_kl": (torch.expm1(log_ratio) - log_ratio).clamp(min=0.0).sum(),
        "ratio": masked_sum(log_ratio.exp(), mask),
    }


def _require_clips(clip_low: float, clip_high: float) -> None:
    if not (clip_low >= 0 and clip_high >= 0):
        raise ValueError(f"clips must not be negative, got low {clip_low} and high {clip_high}")
