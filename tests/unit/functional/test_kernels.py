"""Each compiled kernel against plain torch in float64, in value and gradient, on one thread and on two."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from torch import Tensor

from assent import kernels
from assent.functional.gated_unit import silu_product
from assent.functional.logprobs import linear_logprobs
from assent.functional.rms_norm import rms_norm
from assent.functional.rotary import rotated
from assent.functional.sampling import sample_tokens
from assent.kernels import fits

Work = Callable[..., Tensor]
TOKENS = torch.arange(70) % 37


def head(hidden: Tensor, weight: Tensor) -> Tensor:
    logprobs, entropies = linear_logprobs(hidden, weight, None, TOKENS, 0.7, entropy=True)
    assert entropies is not None
    return torch.stack([logprobs, entropies])


def head_alone(hidden: Tensor, weight: Tensor) -> Tensor:
    return linear_logprobs(hidden, weight, None, TOKENS, 1.3)[0]


def norm(x: Tensor, weight: Tensor) -> Tensor:
    return rms_norm(x, weight, 0.1, x.dtype)


def turned(x: Tensor) -> Tensor:
    angles = torch.linspace(-3.0, 3.0, 70 * 4).view(70, 4).repeat(1, 2).to(x.dtype)
    return rotated(x, angles.cos(), angles.sin())


WORKS: dict[str, tuple[Work, list[tuple[int, ...]]]] = {
    "head": (head, [(70, 8), (37, 8)]),
    "head without entropy": (head_alone, [(70, 8), (37, 8)]),
    "norm": (norm, [(70, 9), (9,)]),
    "rotary": (turned, [(70, 3, 8)]),
    "gate": (silu_product, [(70, 9), (70, 9)]),
}


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def tables_of(sizes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [3.0 * torch.randn(size, generator=generator) for size in sizes]


def outcome(work: Work, tables: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Value and gradients."""
    given = [table.to(dtype, copy=True).requires_grad_() for table in tables]
    found = work(*given)
    cotangent = torch.randn(found.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return [found.detach(), *torch.autograd.grad((found.double() * cotangent).sum(), given)]


@pytest.mark.parametrize("name", WORKS)
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 3e-6), (torch.bfloat16, 0.03)])
def test_value_and_gradients(name: str, dtype: torch.dtype, near: float, threads: int) -> None:
    work, sizes = WORKS[name]
    tables = [table.to(dtype).float() for table in tables_of(sizes)]
    assert fits(tables[0].to(dtype))
    assert not fits(tables[0].double())
    for ours, theirs in zip(outcome(work, tables, dtype), outcome(work, tables, torch.float64), strict=True):
        assert float((ours.double() - theirs).norm()) <= near * float(theirs.norm())


@pytest.mark.parametrize("name", WORKS)
def test_the_number_of_threads_changes_nothing(name: str) -> None:
    work, sizes = WORKS[name]
    found = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(outcome(work, tables_of(sizes), torch.float32))
    torch.set_num_threads(before)
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


def test_banned_tokens_and_wide_gaps_are_no_numbers_gone_wrong() -> None:
    bias = torch.zeros(37)
    bias[5], bias[6] = -torch.inf, 1e4
    hidden = torch.zeros(3, 8)
    logprobs, entropies = linear_logprobs(hidden, torch.zeros(37, 8), bias, torch.tensor([5, 6, 7]), entropy=True)
    assert entropies is not None
    assert logprobs.tolist() == [-torch.inf, 0.0, -1e4]
    assert entropies.abs().max() < 1e-30


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tokens_are_drawn_as_in_float64(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = (4 * torch.randn(300, 1000, generator=generator)).to(dtype)
    logits[:, 100:400] = -torch.inf
    uniform = torch.rand(300, generator=generator, dtype=torch.float64)
    tokens, logprobs = sample_tokens(logits, 0.8, uniform)
    theirs, exact = sample_tokens(logits.double(), 0.8, uniform)
    assert (tokens != theirs).sum() <= 1, "a number that falls on the edge between two may be rounded to the other"
    torch.testing.assert_close(logprobs.double(), exact, rtol=0, atol=1e-5)


def test_a_gradient_that_is_asked_for_twice_is_the_same() -> None:
    """The logits that were kept are written over by the first."""
    hidden, weight = tables_of([(9, 8), (50, 8)])
    for table in (hidden, weight):
        table.requires_grad_()
    logprobs, _ = linear_logprobs(hidden, weight, None, torch.arange(9))
    first, second = (torch.autograd.grad(logprobs.sum(), (hidden, weight), retain_graph=True) for _ in range(2))
    assert all(torch.equal(*both) for both in zip(first, second, strict=True))


def test_without_numba_torch_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_found", [])
    monkeypatch.setitem(sys.modules, "assent.kernels.layers", None)
    assert "layers" in (kernels.missing() or "")
    gates, values = tables_of([(3, 4), (3, 4)])
    assert not fits(gates)
    assert torch.equal(silu_product(gates, values), torch.nn.functional.silu(gates) * values)
