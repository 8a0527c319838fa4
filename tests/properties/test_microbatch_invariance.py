"""One batch and N microbatches with the same global denominator: the same loss, gradient and statistics."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from assent.functional import (
    best_of_k_loss,
    bradley_terry_loss,
    clipped_value_loss,
    davidson_loss,
    detached_ratio_policy_loss,
    divided_by_length,
    kl_loss,
    masked_mean,
    pairwise_loss_with_ties,
    policy_gradient_loss,
    ppo_policy_loss,
    sequence_ratio_policy_loss,
)

# Each takes three [B, T] tensors, the mask, and the denominator. For pairs and groups the rows are what is split.
LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]] = {
    "masked_mean": lambda a, b, c, m, n: masked_mean(a * b, m, n),
    "ppo_policy_loss": lambda a, b, c, m, n: ppo_policy_loss(a, b, c, m, 0.2, 0.2, n)[0],
    "sequence_ratio_policy_loss": lambda a, b, c, m, n: sequence_ratio_policy_loss(a, b, c, m, 2.0, 2.0, n)[0],
    "mean over sequences": lambda a, b, c, m, n: ppo_policy_loss(a, b, divided_by_length(c, m), m, 0.2, 0.2, n)[0],
    "detached_ratio_policy_loss": lambda a, b, c, m, n: detached_ratio_policy_loss(a, b, c, m, 0.2, 0.2, n)[0],
    "kl_loss, k2": lambda a, b, c, m, n: kl_loss(a, b, c, m, "k2", n),
    "kl_loss, k3": lambda a, b, c, m, n: kl_loss(a, b, c, m, "k3", n, b.exp()),
    "policy_gradient_loss": lambda a, b, c, m, n: policy_gradient_loss(a, b, m, n),
    "clipped_value_loss": lambda a, b, c, m, n: clipped_value_loss(a, b, c, m, 0.2, n),
    "bradley_terry_loss": lambda a, b, c, m, n: bradley_terry_loss(a[:, 0], b[:, 0], c[:, 0].abs(), n),
    "pairwise_loss_with_ties": lambda a, b, c, m, n: pairwise_loss_with_ties(
        a[:, 0], b[:, 0], c[:, 0].sigmoid(), None, n
    ),
    "davidson_loss": lambda a, b, c, m, n: davidson_loss(
        a[:, 0], b[:, 0], c[:, 0].sigmoid(), a.new_tensor(-0.3), None, n
    ),
    "best_of_k_loss": lambda a, b, c, m, n: best_of_k_loss(a, m.int().argmax(1), m, n),
}
CUTS = st.lists(st.integers(1, 3), min_size=1, max_size=4)  # rows of each microbatch


def _batch(cuts: list[int], seed: int) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = list(torch.randn(3, sum(cuts), 5, generator=generator, dtype=torch.float64))
    mask = torch.rand(sum(cuts), 5, generator=generator) < 0.6
    mask[:, 2] = True
    inputs[1][:, 2] = inputs[0][:, 2]  # a token that no clip touches, so that there is always a gradient to compare
    return inputs, mask


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=25, deadline=None)
@given(cuts=CUTS, seed=st.integers(0, 10**6))
def test_microbatches_add_up_to_the_batch(name: str, cuts: list[int], seed: int) -> None:
    loss_of = LOSSES[name]
    inputs, mask = _batch(cuts, seed)
    denominator = int(mask.sum())
    whole = inputs[0].clone().requires_grad_()
    loss = loss_of(whole, *inputs[1:], mask, denominator)
    loss.backward()
    parts = inputs[0].clone().requires_grad_()
    total = 0.0
    for a, b, c, m in zip(*(x.split(cuts) for x in (parts, *inputs[1:], mask)), strict=True):
        part = loss_of(a, b, c, m, denominator)
        part.backward()
        total += part.item()
    assert total == pytest.approx(loss.item(), rel=1e-12, abs=1e-12)
    assert whole.grad is not None
    assert (whole.grad != 0).any()
    torch.testing.assert_close(parts.grad, whole.grad, rtol=1e-12, atol=1e-15)


@settings(max_examples=25, deadline=None)
@given(cuts=CUTS, seed=st.integers(0, 10**6))
def test_ppo_statistics_add_up(cuts: list[int], seed: int) -> None:
    inputs, mask = _batch(cuts, seed)
    _, whole = ppo_policy_loss(*inputs, mask, 0.2, 0.2, 1)
    parts = [
        ppo_policy_loss(a, b, c, m, 0.2, 0.2, 1)[1]
        for a, b, c, m in zip(*(x.split(cuts) for x in (*inputs, mask)), strict=True)
    ]
    for key, value in whole.items():
        assert sum(part[key].item() for part in parts) == pytest.approx(value.item(), rel=1e-12)
    # the numerators count tokens, so they lie within the number of tokens
    assert 0 <= whole["clip_fraction"].item() <= int(mask.sum())
