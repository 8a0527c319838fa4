"""Log-probabilities and entropies, against values worked by hand, and the chunked form against the plain one."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from assent.functional import entropy_of, linear_logprobs, logprobs_of
from assent.functional import logprobs as logprobs_module

LOGITS = torch.log(torch.tensor([[[1.0, 3.0], [1.0, 1.0]]]))  # softmax: (1/4, 3/4), (1/2, 1/2)


def test_logprobs_at_temperature_one_and_half() -> None:
    tokens = torch.tensor([[1, 0]])
    torch.testing.assert_close(logprobs_of(LOGITS, tokens), torch.tensor([[math.log(3 / 4), math.log(1 / 2)]]))
    # dividing by 1/2 squares the odds: 1 : 9
    torch.testing.assert_close(logprobs_of(LOGITS, tokens, 0.5), torch.tensor([[math.log(9 / 10), math.log(1 / 2)]]))


def test_entropy() -> None:
    # ¼ ln 4 + ¾ ln (4/3) = 0.346574 + 0.215762 = 0.562335; two equal outcomes: ln 2
    torch.testing.assert_close(entropy_of(LOGITS), torch.tensor([[0.5623351, math.log(2.0)]]))


def test_entropy_with_a_banned_token_has_finite_gradients() -> None:
    logits = torch.tensor([[[0.0, 0.0, -math.inf]]], requires_grad=True)
    entropy = entropy_of(logits)
    (gradient,) = torch.autograd.grad(entropy.sum(), logits)
    torch.testing.assert_close(entropy.detach(), torch.tensor([[math.log(2.0)]]))
    torch.testing.assert_close(gradient, torch.zeros(1, 1, 3))  # the uniform distribution is the maximum


def test_low_precision_logits_are_widened_before_the_softmax() -> None:
    logits = torch.randn(2, 3, 50, generator=torch.Generator().manual_seed(0)).bfloat16()
    tokens = torch.zeros(2, 3, dtype=torch.long)
    assert logprobs_of(logits, tokens, 0.7).dtype == torch.float32
    assert torch.equal(logprobs_of(logits, tokens, 0.7), logprobs_of(logits.float(), tokens, 0.7))
    assert entropy_of(logits).dtype == torch.float32
    assert logprobs_of(logits.double(), tokens).dtype == torch.float64


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        logprobs_of(LOGITS, torch.tensor([[1, 0]]), temperature)


def _head(rows: int, bias: bool) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = [(rows, 4), (50, 4)] + ([(50,)] if bias else [])
    leaves = [torch.randn(s, generator=generator, dtype=torch.float64, requires_grad=True) for s in shapes]
    tokens = torch.randint(50, (rows,), generator=generator)
    # different weights for each output, so that neither a transposed row nor a swapped output goes unseen
    return leaves, tokens, torch.randn(2, rows, generator=generator, dtype=torch.float64)


def _limit(monkeypatch: pytest.MonkeyPatch, rows: int, at_once: int) -> None:
    """Keep the logits of so many rows for the backward pass, and work on so many at once; 50 of float64 each."""
    monkeypatch.setattr(logprobs_module, "KEPT_BYTES", rows * 50 * 8)
    monkeypatch.setattr(logprobs_module, "_few", lambda count, _: logprobs_module._slices(count, at_once))


@pytest.mark.parametrize("at_once", [2, 100])
@pytest.mark.parametrize("rows", [1, 3, 7, 100])
@pytest.mark.parametrize("bias", [True, False])
def test_straight_from_the_head_equals_plain_in_value_and_gradient(
    rows: int, at_once: int, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _limit(monkeypatch, rows, at_once)
    leaves, tokens, weights = _head(7, bias)
    b = leaves[2] if bias else None
    logprobs, entropy = linear_logprobs(leaves[0], leaves[1], b, tokens, 0.7, entropy=True)
    assert entropy is not None
    chunked = torch.stack([logprobs, entropy])
    logits = F.linear(leaves[0], leaves[1], b)[None]
    plain = torch.cat([logprobs_of(logits, tokens[None], 0.7), entropy_of(logits, 0.7)])
    torch.testing.assert_close(chunked, plain, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(
        torch.autograd.grad((chunked * weights).sum(), leaves),
        torch.autograd.grad((plain * weights).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


class _LargestTensor(TorchDispatchMode):
    """Remembers the largest number of elements that any operation returned."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.numel = max([self.numel, *(leaf.numel() for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor))])
        return out


def test_without_entropy_the_log_probabilities_are_the_same_bits() -> None:
    leaves, tokens, _ = _head(7, bias=True)
    alone, none = linear_logprobs(*leaves, tokens, 0.7)
    both, _ = linear_logprobs(*leaves, tokens, 0.7, entropy=True)
    assert none is None
    assert torch.equal(alone, both)
    gradients = [torch.autograd.grad(found.sum(), leaves) for found in (alone, both)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)


def test_a_frozen_head_and_frozen_states_get_no_gradient() -> None:
    leaves, tokens, _ = _head(7, bias=True)
    frozen = [leaf.detach() for leaf in leaves]
    linear_logprobs(leaves[0], frozen[1], frozen[2], tokens)[0].sum().backward()
    linear_logprobs(frozen[0], leaves[1], frozen[2], tokens)[0].sum().backward()
    assert leaves[0].grad is not None
    assert leaves[1].grad is not None
    assert leaves[2].grad is None


def test_under_autocast_the_products_alone_are_rounded() -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(9, 16), torch.randn(50, 16)
    tokens = torch.arange(9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = linear_logprobs(hidden, weight, None, tokens)
        plain = logprobs_of(F.linear(hidden, weight)[None], tokens[None])[0]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, plain, rtol=0, atol=1e-5)


def test_banned_tokens_add_nothing() -> None:
    leaves, tokens, weights = _head(7, bias=True)
    with torch.no_grad():
        leaves[2][40:] = -torch.inf
    tokens = tokens % 40
    logprobs, entropy = linear_logprobs(*leaves, tokens, 1.0, entropy=True)
    assert entropy is not None
    (torch.stack([logprobs, entropy]) * weights).sum().backward()
    assert torch.isfinite(entropy).all()
    assert all(torch.isfinite(leaf.grad).all() for leaf in leaves[:2] if leaf.grad is not None)


def test_never_more_logits_than_allowed_forward_or_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    _limit(monkeypatch, 8, 8)
    leaves, tokens, weights = _head(64, bias=True)
    with _LargestTensor() as seen:
        logprobs, entropy = linear_logprobs(*leaves, tokens, entropy=True)
        assert entropy is not None
        (torch.stack([logprobs, entropy]) * weights).sum().backward()
    assert seen.numel == 8 * 50  # one chunk of logits, never 64 * 50


def test_the_temperature_must_be_positive_at_the_head_too() -> None:
    leaves, tokens, _ = _head(2, bias=True)
    with pytest.raises(ValueError, match="temperature"):
        linear_logprobs(*leaves, tokens, 0.0)
