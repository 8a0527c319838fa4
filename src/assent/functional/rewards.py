"""From one score per completion to one reward per token, with the KL penalty in it."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from assent.functional.kl import kl_k1
from assent.functional.masking import scatter_last


def shape_rewards(
    score: Float[Tensor, " B"],
    logprobs: Float[Tensor, "B T"],
    ref_logprobs: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    kl_coef: float,
) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"]]:
    """Rewards [B, T] in reward units and k1 [B, T] in nats (Ziegler et al. 2019, eq. 2, spread over the tokens).

    Every valid token pays -kl_coef · (log π - log π_ref); the score is added once, on the last valid token. Masked
    positions are 0. Both results are constants of the update: no gradient flows through them.

    Raises:
        ValueError: a row has no valid token for its score to land on.
    """
    kl = kl_k1(logprobs.detach(), ref_logprobs.detach(), mask)
    return scatter_last(score.detach(), mask) - kl_coef * kl, kl


def penalise_missing_eos(
    score: Float[Tensor, " B"], finished: Bool[Tensor, " B"], penalty: float
) -> Float[Tensor, " B"]:
    """The score, less `penalty` (reward units) where the policy did not end its completion itself.

    Raises:
        ValueError: the penalty is negative, which would reward running on.
    """
    if not penalty >= 0:
        raise ValueError(f"the penalty for a missing end token is subtracted and must not be negative, got {penalty}")
    return torch.where(finished, score, score - penalty)


def overlong_penalty(lengths: Int[Tensor, " B"], max_new_tokens: int, buffer: int) -> Float[Tensor, " B"]:
    """What a completion of this many tokens pays, from 0 to 1 in reward units: DAPO's (Yu et al. 2025, eq. 13).

    It is 0 up to max_new_tokens - buffer, rises linearly over the buffer, and is 1 from max_new_tokens on.

    Raises:
        ValueError: the buffer is not within 1 and max_new_tokens.
    """
    if not 1 <= buffer <= max_new_tokens:
        raise ValueError(f"the buffer must lie between 1 and max_new_tokens {max_new_tokens}, got {buffer}")
    return ((lengths - (max_new_tokens - buffer)) / buffer).clamp(0.0, 1.0)
