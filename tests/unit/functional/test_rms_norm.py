"""The norm against its formula, in value and gradient, and where it stands in for a model's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from assent.functional import rms_norm as rms_norm_module
from assent.functional.rms_norm import rms_norm
from assent.models.loading import load_causal_lm
from assent.models.quick_layers import quick_layers
from tests.checkpoints import Shape


@pytest.mark.parametrize("at_once", [7, 10_000])
def test_it_equals_the_formula(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rms_norm_module, "_ROWS", at_once)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 5, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(6, generator=generator, dtype=torch.float64, requires_grad=True)
    cotangent = torch.randn(3, 5, 6, generator=generator, dtype=torch.float64)
    ours = rms_norm(x, weight, 0.1, torch.float64)
    plain = x / (x.square().mean(-1, keepdim=True) + 0.1).sqrt() * weight
    torch.testing.assert_close(ours, plain, rtol=1e-13, atol=1e-13)
    gradients = [torch.autograd.grad((found * cotangent).sum(), (x, weight)) for found in (ours, plain)]
    for our, their in zip(*gradients, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-12, atol=1e-12)


def test_a_frozen_weight_gets_no_gradient_and_bf16_is_given_where_asked_for() -> None:
    x = torch.randn(4, 8, requires_grad=True)
    found = rms_norm(x, torch.ones(8), 1e-6, torch.bfloat16)
    assert found.dtype == torch.bfloat16
    found.float().sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32


class _OneMoreRMSNorm(nn.Module):
    """As Gemma's: its weight is what is added to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((8,), 0.3))
        self.eps = 1e-6

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * (1.0 + self.weight)


def test_only_norms_that_are_just_that_are_replaced(checkpoint: Callable[[Shape], Path]) -> None:
    model = load_causal_lm(checkpoint("llama"))
    model.extra = _OneMoreRMSNorm()
    x = torch.randn(2, 3, model.config.hidden_size)
    before = model.model.norm(x)
    with quick_layers(model):
        assert "forward" in vars(model.model.norm)
        assert "forward" not in vars(model.extra)
        torch.testing.assert_close(model.model.norm(x), before, rtol=0, atol=1e-5)
    assert "forward" not in vars(model.model.norm)
