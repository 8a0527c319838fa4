"""Sums, means and last tokens under a mask. What lies under the mask, NaN and inf included, never matters.

Every function of this package clears the masked positions of its *inputs* before it computes with them. Clearing
outputs would not do: the gradient of `where(mask, exp(x), 0)` is 0 · inf = NaN wherever a masked `x` overflows.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Denominator = float | int | Tensor
"""A count to divide by, global over microbatches and ranks: a number, or a scalar tensor that needs no gradient."""


def zero_masked(x: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """`x` where the mask is true and 0 elsewhere; no gradient reaches the masked positions."""
    return torch.where(mask, x, torch.zeros_like(x))


def masked_sum(x: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"], dim: int | None = None) -> Float[Tensor, "*R"]:
    """Sum of the valid entries, over all dimensions or over `dim`; 0 where nothing is valid."""
    cleared = zero_masked(x, mask)
    return cleared.sum() if dim is None else cleared.sum(dim=dim)


def masked_mean(
    x: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"], denominator: Denominator | None = None
) -> Float[Tensor, ""]:
    """Sum of the valid entries divided by `denominator`, or by their number where none is given.

    Pass the global count as `denominator` when the batch is one part of a larger one; the parts then add up to the
    mean of the whole. With no valid entry the mean is 0.
    """
    if denominator is None:
        denominator = mask.sum().clamp(min=1)
    return masked_sum(x, mask) / denominator


def masked_var(x: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"]) -> Float[Tensor, ""]:
    """Population variance (divided by n, not n - 1) of the valid entries, in squared units of `x`."""
    return masked_mean((zero_masked(x, mask) - masked_mean(x, mask)).square(), mask)


def whiten(
    x: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"], shift_mean: bool = True, epsilon: float = 1e-8
) -> Float[Tensor, "*S"]:
    """The valid entries scaled to variance 1 and, if `shift_mean`, moved to mean 0; masked positions are 0.

    The convention is that of lm-human-preferences (Ziegler et al. 2019): population variance, divided by
    sqrt(var + epsilon), the mean put back where it is not to be shifted. PPO whitens rewards without shifting and
    advantages with it. The moments are those of the batch given, so whiten before splitting it into microbatches.
    """
    mean = masked_mean(x, mask)
    whitened = (zero_masked(x, mask) - mean) * torch.rsqrt(masked_var(x, mask) + epsilon)
    return zero_masked(whitened if shift_mean else whitened + mean, mask)


def last_token_index(mask: Bool[Tensor, "B T"]) -> Int[Tensor, " B"]:
    """Position of the last true entry of each row: the last real token whatever the side of the padding.

    Raises:
        ValueError: a row has no true entry, so it has no last token.
    """
    empty = ~mask.any(dim=-1)
    if bool(empty.any()):
        raise ValueError(f"rows {empty.nonzero().flatten().tolist()} of the mask are all false: no last token")
    positions = torch.arange(mask.shape[-1], device=mask.device)
    return torch.where(mask, positions, -1).amax(dim=-1)


def gather_last(x: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, " B"]:
    """The entry of each row at its last valid position, e.g. a reward model's score.

    Raises:
        ValueError: a row has no valid position.
    """
    return x.gather(-1, last_token_index(mask)[:, None]).squeeze(-1)


def scatter_last(score: Float[Tensor, " B"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """Zeros, with each row's score at its last valid position. The inverse of `gather_last`.

    Raises:
        ValueError: a row has no valid position, so its score would be lost.
    """
    return score.new_zeros(mask.shape).scatter(-1, last_token_index(mask)[:, None], score[:, None])
