"""Advantages within groups, against values worked by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assent.functional import equal_groups, group_advantages, leave_one_out_advantages, spread_over_tokens

REWARDS = torch.tensor([[1.0, 2.0, 6.0], [0.1, 0.1, 0.1]])


def test_leave_one_out() -> None:
    # 1 - (2 + 6)/2, 2 - (1 + 6)/2, 6 - (1 + 2)/2
    assert leave_one_out_advantages(REWARDS).tolist() == [[-3.0, -1.5, 4.5], [0.0, 0.0, 0.0]]


def test_group_advantages() -> None:
    assert group_advantages(REWARDS, scale=False).tolist() == [[-2.0, -1.0, 3.0], [0.0, 0.0, 0.0]]
    # population variance (4 + 1 + 9) / 3
    deviation = math.sqrt(14 / 3)
    scaled = group_advantages(REWARDS, scale=True)
    torch.testing.assert_close(scaled[0], torch.tensor([-2.0, -1.0, 3.0]) / deviation, rtol=1e-5, atol=0.0)
    assert scaled[1].tolist() == [0.0, 0.0, 0.0]  # in fp32, 0.1 less the mean of three is not 0 by itself


def test_nearly_equal_rewards_stay_finite() -> None:
    nearly = torch.tensor([[1.0, 1.0 + 1e-7]])
    assert not equal_groups(nearly).item()
    assert torch.isfinite(group_advantages(nearly, scale=True)).all()


def test_equal_groups() -> None:
    assert equal_groups(REWARDS).tolist() == [False, True]


def test_a_group_of_one_has_no_others() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        leave_one_out_advantages(torch.ones(3, 1))


def test_spread_over_tokens() -> None:
    mask = torch.tensor([[True, True, False], [False, False, True]])
    assert spread_over_tokens(torch.tensor([2.0, math.nan]), mask & mask[:1]).tolist() == [[2, 2, 0], [0, 0, 0]]
    assert spread_over_tokens(torch.tensor([2.0, 3.0]), mask).tolist() == [[2, 2, 0], [0, 0, 3]]


@given(seed=st.integers(0, 10**6), prompts=st.integers(1, 4), group=st.integers(2, 6), shift=st.floats(-100, 100))
def test_advantages_sum_to_zero_and_forget_what_a_group_has_in_common(
    seed: int, prompts: int, group: int, shift: float
) -> None:
    rewards = torch.randn(prompts, group, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    shifts = shift * torch.arange(prompts, dtype=torch.float64)[:, None]
    for advantages_of in (
        leave_one_out_advantages,
        lambda x: group_advantages(x, scale=True),
        lambda x: group_advantages(x, scale=False),
    ):
        advantages = advantages_of(rewards)
        assert advantages.sum(1).abs().max() < 1e-9
        torch.testing.assert_close(advantages_of(rewards + shifts), advantages, rtol=1e-6, atol=1e-8)
        order = torch.randperm(group, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(advantages_of(rewards[:, order]), advantages[:, order])


@given(seed=st.integers(0, 10**6), group=st.integers(2, 6))
def test_leave_one_out_equals_a_loop(seed: int, group: int) -> None:
    rewards = torch.randn(1, group, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    numbers = rewards[0].tolist()
    naive = [x - sum(numbers[:i] + numbers[i + 1 :]) / (group - 1) for i, x in enumerate(numbers)]
    torch.testing.assert_close(leave_one_out_advantages(rewards)[0], torch.tensor(naive, dtype=torch.float64))
