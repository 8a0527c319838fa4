"""Rotary positions (Su et al. 2021) in one pass over memory, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from assent.kernels import call, fits


def rotated(
    x: Float[Tensor, "N H D"], cosines: Float[Tensor, "N D"], sines: Float[Tensor, "N D"]
) -> Float[Tensor, "N H D"]:
    """Each head's halves (a, b) as (a cos - b sin, b cos + a sin), in the dtype of x. The angles get no gradient."""
    if not fits(x, cosines, sines):
        half = x.shape[-1] // 2
        other = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
        return (x * cosines[:, None] + other * sines[:, None]).to(x.dtype)
    found: Tensor = _Rotated.apply(x, cosines, sines)  # type: ignore[no-untyped-call]
    return found


class _Rotated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        ctx.save_for_backward(cosines, sines)
        return _turned(x, cosines, sines, 1.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        # Turned back by the angles of the other half, which in practice are the same ones.
        cosines, sines = ctx.saved_tensors
        return _turned(gradients[0], cosines, sines.roll(sines.shape[-1] // 2, dims=-1), -1.0), None, None


def _turned(x: Tensor, cosines: Tensor, sines: Tensor, sign: float) -> Tensor:
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    call("layers.rotate", x, cosines, sines, sign, out)
    return out
