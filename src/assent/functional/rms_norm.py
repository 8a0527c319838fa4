"""Root-mean-square normalisation (Zhang and Sennrich 2019) in few passes over memory, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from assent.kernels import call, fits

_SUMMED = 32  # rows whose part of the weight's gradient a kernel sums at once
_ROWS = 2**18  # elements worked on at once, so that they stay in the processor's cache


def rms_norm(
    x: Float[Tensor, "*S D"], weight: Float[Tensor, " D"], epsilon: float, dtype: torch.dtype
) -> Float[Tensor, "*S D"]:
    """x / √(mean(x²) + epsilon) · weight, computed in at least fp32 and returned in `dtype`."""
    found: Tensor = _RmsNorm.apply(x, weight, epsilon, dtype)  # type: ignore[no-untyped-call]
    return found


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        scale = torch.empty(len(rows), 1, dtype=torch.promote_types(x.dtype, torch.float32), device=x.device)
        out = torch.empty(rows.shape, dtype=dtype, device=x.device)
        ctx.save_for_backward(rows, weight, scale)
        if fits(rows, weight, out):
            call("layers.norm", rows, weight, epsilon, scale.view(-1), out)
            return out.view(x.shape)
        for some in _slices(rows):
            wide = rows[some].to(scale.dtype)
            scale[some] = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_().div_(x.shape[-1])
            scale[some] = scale[some].add_(epsilon).rsqrt_()
            out[some] = (wide * scale[some]).mul_(weight)
        return out.view(x.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        rows, weight, scale = ctx.saved_tensors
        (gradient,) = gradients
        given = gradient.reshape(rows.shape)
        in_x = torch.empty_like(rows)
        if fits(rows, weight, given):
            parts = scale.new_empty(-(-len(rows) // _SUMMED), len(weight))
            call("layers.norm_back", given, rows, weight, scale.view(-1), in_x, parts)
            in_weight = parts.sum(dim=0).to(weight.dtype) if ctx.needs_input_grad[1] else None
            return in_x.view(gradient.shape), in_weight, None, None
        in_weight = torch.zeros_like(weight, dtype=scale.dtype) if ctx.needs_input_grad[1] else None
        for some in _slices(rows):
            normal = rows[some].to(scale.dtype) * scale[some]
            wide = given[some].to(scale.dtype)
            product = wide * normal
            if in_weight is not None:
                in_weight += product.sum(dim=0)
            along = (product @ weight.to(scale.dtype))[:, None] / rows.shape[1]
            in_x[some] = (wide * weight).addcmul_(normal, along, value=-1.0).mul_(scale[some])
        in_weight = None if in_weight is None else in_weight.to(weight.dtype)
        return in_x.view(gradient.shape), in_weight, None, None


def _slices(rows: Tensor) -> list[slice]:
    size = max(1, _ROWS // rows.shape[1])
    return [slice(begin, begin + size) for begin in range(0, len(rows), size)]
