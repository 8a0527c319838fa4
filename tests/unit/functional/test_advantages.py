"""Advantages and returns, against values worked by hand."""

from __future__ import annotations

import math

import torch

from assent.functional import discounted_returns, gae, returns_from_advantages

NAN = math.nan
REWARDS = torch.tensor([[1.0, 2.0, 4.0]])
VALUES = torch.tensor([[0.5, 1.0, 2.0]])
ALL = torch.ones(1, 3, dtype=torch.bool)
# With gamma = λ = 0.5:
#   δ = [1 + 0.5·1 - 0.5, 2 + 0.5·2 - 1, 4 + 0 - 2] = [1, 2, 2]
#   A_2 = 2, A_1 = 2 + 0.25·2 = 2.5, A_0 = 1 + 0.25·2.5 = 1.625
ADVANTAGES = [1.625, 2.5, 2.0]


def test_gae() -> None:
    assert gae(REWARDS, VALUES, ALL, 0.5, 0.5).tolist() == [ADVANTAGES]


def test_gae_ends_at_the_last_real_token_and_ignores_padding() -> None:
    pad = torch.tensor([[NAN, math.inf]])
    mask = torch.tensor([[True, True, True, False, False]])
    right = gae(torch.cat([REWARDS, pad], 1), torch.cat([VALUES, pad], 1), mask, 0.5, 0.5)
    left = gae(torch.cat([pad, REWARDS], 1), torch.cat([pad, VALUES], 1), mask.flip(1), 0.5, 0.5)
    assert right.tolist() == [[*ADVANTAGES, 0.0, 0.0]]
    assert left.tolist() == [[0.0, 0.0, *ADVANTAGES]]


def test_gae_steps_over_the_tokens_of_an_observation() -> None:
    # the policy's second token follows its first, although two of the environment's lie between them
    rewards = torch.tensor([[1.0, 7.0, NAN, 2.0, 4.0]])
    values = torch.tensor([[0.5, 9.0, NAN, 1.0, 2.0]])
    mask = torch.tensor([[True, False, False, True, True]])
    expected = [[ADVANTAGES[0], 0.0, 0.0, *ADVANTAGES[1:]]]
    assert gae(rewards, values, mask, 0.5, 0.5).tolist() == expected


def test_lambda_zero_is_the_one_step_error() -> None:
    assert gae(REWARDS, VALUES, ALL, 0.5, 0.0).tolist() == [[1.0, 2.0, 2.0]]


def test_discounted_returns() -> None:
    # G_2 = 4, G_1 = 2 + 0.5·4 = 4, G_0 = 1 + 0.5·4 = 3
    assert discounted_returns(REWARDS, ALL, 0.5).tolist() == [[3.0, 4.0, 4.0]]


def test_returns_from_advantages() -> None:
    mask = torch.tensor([[True, True, False]])
    advantages = torch.tensor([[1.0, -1.0, NAN]])
    assert returns_from_advantages(advantages, VALUES, mask).tolist() == [[1.5, 0.0, 0.0]]


def test_a_row_that_is_all_padding_gets_zeros() -> None:
    assert gae(REWARDS, VALUES, ~ALL, 1.0, 0.95).tolist() == [[0.0, 0.0, 0.0]]
