"""Per-token rewards, against values worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from assent.functional import overlong_penalty, penalise_missing_eos, shape_rewards


def test_score_lands_once_on_the_last_real_token_and_every_token_pays_for_its_kl() -> None:
    score = torch.tensor([3.0, -1.0])
    logprobs = torch.tensor([[-1.0, -2.0, math.nan], [math.inf, -1.0, -1.0]])
    ref_logprobs = torch.tensor([[-1.5, -1.0, 0.0], [math.inf, -1.0, -3.0]])
    mask = torch.tensor([[True, True, False], [False, True, True]])
    rewards, kl = shape_rewards(score, logprobs, ref_logprobs, mask, 0.1)
    torch.testing.assert_close(kl, torch.tensor([[0.5, -1.0, 0.0], [0.0, 0.0, 2.0]]))
    # row 0: -0.1·0.5, then -0.1·(-1) + 3; row 1: 0, then -0.1·2 - 1
    torch.testing.assert_close(rewards, torch.tensor([[-0.05, 3.1, 0.0], [0.0, 0.0, -1.2]]))


def test_sum_of_rewards_is_the_score_less_the_sequence_kl() -> None:
    logprobs, ref_logprobs = -torch.rand(2, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    score = torch.arange(4.0, dtype=torch.float64)
    rewards, kl = shape_rewards(score, logprobs, ref_logprobs, torch.ones(4, 6, dtype=torch.bool), 0.3)
    torch.testing.assert_close(rewards.sum(1), score - 0.3 * kl.sum(1), rtol=1e-12, atol=1e-12)


def test_rewards_are_constants_of_the_update() -> None:
    logprobs = torch.zeros(1, 2, requires_grad=True)
    rewards, kl = shape_rewards(torch.ones(1), logprobs, torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool), 0.1)
    assert not rewards.requires_grad
    assert not kl.requires_grad


def test_a_score_without_a_token_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rows \[0\]"):
        shape_rewards(torch.ones(1), torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1, 2, dtype=torch.bool), 0.1)


def test_missing_end_token_costs_the_penalty() -> None:
    score, finished = torch.tensor([1.0, 1.0]), torch.tensor([True, False])
    assert penalise_missing_eos(score, finished, 1.5).tolist() == [1.0, -0.5]
    with pytest.raises(ValueError, match="must not be negative"):
        penalise_missing_eos(score, finished, -1.5)


def test_overlong_completions_pay_by_the_token() -> None:
    # at most 20, a buffer of 8: free up to 12, then an eighth a token
    lengths = torch.tensor([1, 12, 13, 16, 20, 25])
    assert overlong_penalty(lengths, 20, 8).tolist() == [0.0, 0.0, 0.125, 0.5, 1.0, 1.0]
    for buffer in (0, 21):
        with pytest.raises(ValueError, match="between 1 and max_new_tokens 20"):
            overlong_penalty(lengths, 20, buffer)
