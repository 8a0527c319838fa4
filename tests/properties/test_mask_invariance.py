"""Masked positions never matter: garbage there, NaN and inf included, moves no value and no gradient by one bit."""

from __future__ import annotations

import math
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
    discounted_returns,
    divided_by_length,
    gae,
    gather_last,
    kl_k1,
    kl_k2,
    kl_k3,
    kl_loss,
    masked_mean,
    masked_var,
    pairwise_loss_with_ties,
    policy_gradient_loss,
    ppo_policy_loss,
    returns_from_advantages,
    rollout_ratio,
    sequence_kl,
    sequence_ratio_policy_loss,
    shape_rewards,
    whiten,
)

GARBAGE = st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, 1.0])
Function = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

# Each takes three [B, T] tensors and the mask.
FUNCTIONS: dict[str, Function] = {
    "masked_mean": lambda a, b, c, m: masked_mean(a, m),
    "masked_var": lambda a, b, c, m: masked_var(a, m),
    "whiten": lambda a, b, c, m: whiten(a, m),
    "whiten, mean kept": lambda a, b, c, m: whiten(a, m, shift_mean=False),
    "gather_last": lambda a, b, c, m: gather_last(a, m),
    "kl_k1": lambda a, b, c, m: kl_k1(a, b, m),
    "kl_k2": lambda a, b, c, m: kl_k2(a, b, m),
    "kl_k3": lambda a, b, c, m: kl_k3(a, b, m),
    "sequence_kl": lambda a, b, c, m: sequence_kl(a, b, m),
    "gae": lambda a, b, c, m: gae(a, b, m, 0.9, 0.8),
    "discounted_returns": lambda a, b, c, m: discounted_returns(a, m, 0.9),
    "returns_from_advantages": lambda a, b, c, m: returns_from_advantages(a, b, m),
    "shape_rewards": lambda a, b, c, m: torch.stack(shape_rewards(a.new_ones(len(a)), a, b, m, 0.1)),
    "ppo_policy_loss": lambda a, b, c, m: ppo_policy_loss(a, b, c, m, 0.2, 0.3, 7)[0],
    "ppo_policy_loss, stats": lambda a, b, c, m: torch.stack(
        list(ppo_policy_loss(a, b, c, m, 0.2, 0.3, 7)[1].values())
    ),
    "sequence_ratio_policy_loss": lambda a, b, c, m: sequence_ratio_policy_loss(a, b, c, m, 2.0, 2.0, 7)[0],
    "sequence_ratio_policy_loss, stats": lambda a, b, c, m: torch.stack(
        list(sequence_ratio_policy_loss(a, b, c, m, 0.1, 0.1, 7)[1].values())
    ),
    "detached_ratio_policy_loss": lambda a, b, c, m: detached_ratio_policy_loss(a, b, c, m, 0.2, 0.3, 7)[0],
    "detached_ratio_policy_loss, stats": lambda a, b, c, m: torch.stack(
        list(detached_ratio_policy_loss(a, b, c, m, 0.2, 0.3, 7)[1].values())
    ),
    "divided_by_length": lambda a, b, c, m: divided_by_length(a, m),
    "kl_loss, k2": lambda a, b, c, m: kl_loss(a, b, c, m, "k2", 7),
    "kl_loss, k3": lambda a, b, c, m: kl_loss(a, b, c, m, "k3", 7, c),
    "rollout_ratio of tokens": lambda a, b, c, m: rollout_ratio(a, b, m, "token"),
    "rollout_ratio of sequences": lambda a, b, c, m: rollout_ratio(a, b, m, "sequence"),
    "policy_gradient_loss": lambda a, b, c, m: policy_gradient_loss(a, c, m, 7),
    "clipped_value_loss": lambda a, b, c, m: clipped_value_loss(a, b, c, m, 0.2, 7),
    "best_of_k_loss": lambda a, b, c, m: best_of_k_loss(a, m.int().argmax(1), m, 7),
    # for pairs, a weight of 0 is the mask
    "bradley_terry_loss": lambda a, b, c, m: bradley_terry_loss(a.flatten(), b.flatten(), m.flatten().to(a.dtype), 7),
    "pairwise_loss_with_ties": lambda a, b, c, m: pairwise_loss_with_ties(
        a.flatten(), b.flatten(), torch.full_like(a, 0.3).flatten(), m.flatten().to(a.dtype), 7
    ),
    "davidson_loss": lambda a, b, c, m: davidson_loss(
        a.flatten(), b.flatten(), torch.full_like(a, 0.5).flatten(), a.new_tensor(0.4), m.flatten().to(a.dtype), 7
    ),
}


def _value_and_gradients(function: Function, inputs: list[Tensor], mask: Tensor) -> tuple[Tensor, list[Tensor]]:
    leaves = [x.clone().requires_grad_() for x in inputs]
    value = function(*leaves, mask)
    if not value.requires_grad:
        return value, []
    weights = torch.linspace(0.5, 2.0, value.numel(), dtype=value.dtype).view(value.shape)
    gradients = torch.autograd.grad((value * weights).sum(), leaves, allow_unused=True)
    return value.detach(), [gradient for gradient in gradients if gradient is not None]


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 4), columns=st.integers(1, 6), seed=st.integers(0, 10**6), garbage=GARBAGE)
def test_garbage_under_the_mask_changes_nothing(name: str, rows: int, columns: int, seed: int, garbage: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    inputs = list(torch.randn(3, rows, columns, generator=generator, dtype=torch.float64))
    mask = torch.rand(rows, columns, generator=generator) < 0.6
    mask[torch.arange(rows), torch.randint(columns, (rows,), generator=generator)] = True  # no empty rows
    value, gradients = _value_and_gradients(FUNCTIONS[name], inputs, mask)
    spoilt = [torch.where(mask, x, torch.full_like(x, garbage)) for x in inputs]
    spoilt_value, spoilt_gradients = _value_and_gradients(FUNCTIONS[name], spoilt, mask)
    assert torch.isfinite(value).all()
    assert torch.equal(value, spoilt_value)
    assert len(gradients) == len(spoilt_gradients)
    for gradient, spoilt_gradient in zip(gradients, spoilt_gradients, strict=True):
        assert torch.equal(gradient, spoilt_gradient)
        assert torch.isfinite(gradient).all()
        assert (gradient[~mask] == 0).all()
    if value.shape[-2:] == mask.shape:
        assert (value[..., ~mask] == 0).all()


CONSTANTS = ("shape_rewards", "rollout_ratio of tokens", "rollout_ratio of sequences")
LOSSES_WITH_A_GRADIENT = [name for name in FUNCTIONS if not name.endswith("stats") and name not in CONSTANTS]


@pytest.mark.parametrize("name", LOSSES_WITH_A_GRADIENT)
def test_every_function_above_does_have_a_gradient(name: str) -> None:
    # otherwise the property would hold for want of anything to compare
    inputs = list(torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64))
    _, gradients = _value_and_gradients(FUNCTIONS[name], inputs, torch.ones(2, 4, dtype=torch.bool))
    assert any((gradient != 0).any() for gradient in gradients)


# The second axis of best-of-k is candidates, named by position: nothing is padded on a side.
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "best_of_k_loss"])
@settings(max_examples=15, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 10**6))
def test_padding_side_changes_nothing(name: str, lengths: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    width = max(lengths)
    left, right = torch.full((2, 3, len(lengths), width), math.nan, dtype=torch.float64)
    right_mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    left_mask = right_mask.flip(1)
    values = torch.randn(3, sum(lengths), generator=generator, dtype=torch.float64)
    left[:, left_mask], right[:, right_mask] = values, values
    on_the_left, on_the_right = FUNCTIONS[name](*left, left_mask), FUNCTIONS[name](*right, right_mask)
    if on_the_left.shape[-2:] == left_mask.shape and on_the_left.ndim >= 2:
        on_the_left, on_the_right = on_the_left[..., left_mask], on_the_right[..., right_mask]
    torch.testing.assert_close(on_the_left, on_the_right, rtol=1e-12, atol=1e-12)
