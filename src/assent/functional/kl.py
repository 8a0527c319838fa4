"""Estimators of KL(π ‖ π_ref) from sampled tokens, in nats, and the adaptive coefficient.

With x ~ π and logr = log π(x) - log π_ref(x) (Schulman 2020, "Approximating KL divergence"): k1 = logr is unbiased,
k2 = ½ logr² biased but of low variance, k3 = e^{-logr} - 1 + logr unbiased and never negative. They are *estimators*.
As losses, differentiated through π, k1 has an expected gradient of zero and k3 that of another divergence, KL(π_ref ‖
π): put k1 into the reward (`assent.functional.rewards.shape_rewards`) to train against the KL, or take `kl_loss`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from assent.functional.masking import Denominator, masked_sum, zero_masked

MAX_RELATIVE_ERROR = 0.2  # Ziegler et al. 2019, section 2.2


def kl_k1(
    logprobs: Float[Tensor, "*S"], ref_logprobs: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"] | None = None
) -> Float[Tensor, "*S"]:
    """logr per token, in nats: unbiased, of either sign, 0 where masked."""
    logr = logprobs - ref_logprobs
    return logr if mask is None else zero_masked(logr, mask)


def kl_k2(
    logprobs: Float[Tensor, "*S"], ref_logprobs: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"] | None = None
) -> Float[Tensor, "*S"]:
    """½ logr² per token, in nats: never negative, biased to second order in logr, 0 where masked."""
    return 0.5 * kl_k1(logprobs, ref_logprobs, mask).square()


def kl_k3(
    logprobs: Float[Tensor, "*S"], ref_logprobs: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"] | None = None
) -> Float[Tensor, "*S"]:
    """e^{-logr} - 1 + logr per token, in nats: unbiased and never negative, 0 where masked."""
    logr = kl_k1(logprobs, ref_logprobs, mask)
    # expm1, because exp(-logr) - 1 loses every digit of a small logr; the clamp removes what rounding leaves below 0
    return (torch.expm1(-logr) + logr).clamp(min=0.0)


def sequence_kl(
    logprobs: Float[Tensor, "B T"], ref_logprobs: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]
) -> Float[Tensor, " B"]:
    """k1 summed over each sequence's valid tokens, in nats: the figure the KL budget and the controller are about."""
    return masked_sum(kl_k1(logprobs, ref_logprobs, mask), mask, dim=-1)


def kl_loss(
    logprobs: Float[Tensor, "B T"],
    old_logprobs: Float[Tensor, "B T"],
    ref_logprobs: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    estimator: Literal["k2", "k3"],
    denominator: Denominator,
    weights: Float[Tensor, "B T"] | None = None,
) -> Float[Tensor, ""]:
    """A penalty in nats whose gradient, not only whose value, is that of KL(π ‖ π_ref): to be added to a loss.

    `k2`: Σ ½ logr² / denominator. Its gradient is logr · ∇ log π, the KL's own while the tokens come from π itself.
    `k3`: Σ ratio · k3 / denominator with ratio = π/π_old, and the gradient through both. That is
    ratio · logr · ∇ log π, the KL's own for tokens that come from π_old (DeepSeek-V3.2 2025, section 3.1).
    Either is about each token's distribution where it stands: only a penalty inside the reward also counts what a
    token does to the KL of those after it.

    Args:
        weights: constants to multiply each token's term by; 1 if not given.
    """
    logr = kl_k1(logprobs, ref_logprobs.detach(), mask)
    if estimator == "k2":
        terms = 0.5 * logr.square()
    else:
        ratio = zero_masked(logprobs - old_logprobs.detach(), mask).exp()
        terms = ratio * (torch.expm1(-logr) + logr)
    if weights is not None:
        terms = terms * zero_masked(weights.detach(), mask)
    return masked_sum(terms, mask) / denominator


def adaptive_kl_coef(kl_coef: float, observed_kl: float, target_kl: float, horizon: float, n: int) -> float:
    """The next KL coefficient: β ← β(1 + e·n/horizon), e = clip(observed/target - 1, ±0.2) (Ziegler et al. 2019).

    Args:
        kl_coef: β now, in reward per nat.
        observed_kl: mean sequence KL of this batch, in nats summed over a sequence.
        target_kl: the sequence KL to hold, in nats.
        horizon: completions over which β can change by a factor of about e^0.2.
        n: completions in this batch.

    Raises:
        ValueError: a target or horizon that is not positive, a KL that is not finite, or a batch of 5 horizons or more
            (one step could then make β negative).
    """
    if not (target_kl > 0 and horizon > 0):
        raise ValueError(f"target_kl and horizon must be positive, got {target_kl} and {horizon}")
    if not math.isfinite(observed_kl):
        raise ValueError(f"observed_kl must be finite, got {observed_kl}")
    if not 0 <= n * MAX_RELATIVE_ERROR < horizon:
        raise ValueError(f"n must lie in [0, {horizon / MAX_RELATIVE_ERROR:g}) for horizon {horizon:g}, got {n}")
    error = min(max(observed_kl / target_kl - 1.0, -MAX_RELATIVE_ERROR), MAX_RELATIVE_ERROR)
    return kl_coef * (1.0 + error * n / horizon)


@dataclass(frozen=True)
class AdaptiveKLController:
    """The controller's whole state, a value to be saved with the checkpoint; see `adaptive_kl_coef`."""

    kl_coef: float  # reward per nat
    target_kl: float  # nats, summed over a sequence
    horizon: float  # completions

    def updated(self, observed_kl: float, n: int) -> AdaptiveKLController:
        """The state after a batch of `n` completions with this mean sequence KL, in nats.

        Raises:
            ValueError: as `adaptive_kl_coef`.
        """
        return replace(self, kl_coef=adaptive_kl_coef(self.kl_coef, observed_kl, self.target_kl, self.horizon, n))
