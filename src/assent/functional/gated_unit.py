"""The gate of a SwiGLU unit (Shazeer 2020) in one pass over memory, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from assent.kernels import call, fits


def silu_product(gates: Float[Tensor, "*S D"], values: Float[Tensor, "*S D"]) -> Float[Tensor, "*S D"]:
    """silu(gates) · values."""
    if not fits(gates, values) or gates.dtype != values.dtype:
        return F.silu(gates) * values
    found: Tensor = _SiluProduct.apply(gates, values)  # type: ignore[no-untyped-call]
    return found


class _SiluProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, values: Tensor) -> Tensor:
        gates, values = gates.contiguous(), values.contiguous()
        ctx.save_for_backward(gates, values)
        out = torch.empty_like(gates)
        call("layers.gate", _rows(gates), _rows(values), _rows(out))
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        gates, values = ctx.saved_tensors
        in_gates, in_values = torch.empty_like(gates), torch.empty_like(values)
        given = gradients[0].to(gates.dtype)
        call("layers.gate_back", *map(_rows, (given, gates, values, in_gates, in_values)))
        return in_gates, in_values


def _rows(table: Tensor) -> Tensor:
    return table.reshape(-1, table.shape[-1])
