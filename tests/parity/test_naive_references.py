"""The vectorised functions against plain loops and against what torch and numpy already compute."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from assent.functional import (
    best_of_k_loss,
    bradley_terry_loss,
    clipped_value_loss,
    discounted_returns,
    entropy_of,
    gae,
    logprobs_of,
    pair_weights,
    pairwise_loss_with_ties,
    ppo_policy_loss,
    sample_tokens,
    shape_rewards,
    whiten,
)


def _randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _naive_gae(rewards: list[float], values: list[float], gamma: float, gae_lambda: float) -> list[float]:
    """The double sum of the paper, over tokens that are all valid."""
    count = len(rewards)
    after = [*values[1:], 0.0]
    deltas = [rewards[t] + gamma * after[t] - values[t] for t in range(count)]
    return [sum((gamma * gae_lambda) ** (s - t) * deltas[s] for s in range(t, count)) for t in range(count)]


@pytest.mark.parametrize(("gamma", "gae_lambda"), [(1.0, 0.95), (0.9, 0.8), (1.0, 1.0), (0.99, 0.0), (0.0, 0.5)])
@pytest.mark.parametrize("seed", range(5))
def test_gae_equals_the_double_sum(gamma: float, gae_lambda: float, seed: int) -> None:
    rewards, values = _randn(2, 4, 30, seed=seed)
    mask = _randn(4, 30, seed=seed + 100) > -0.7
    ours = gae(rewards, values, mask, gamma, gae_lambda)
    for row in range(4):
        kept = mask[row]
        naive = _naive_gae(rewards[row, kept].tolist(), values[row, kept].tolist(), gamma, gae_lambda)
        torch.testing.assert_close(ours[row, kept], torch.tensor(naive, dtype=torch.float64), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gamma", [1.0, 0.9, 0.0])
def test_discounted_returns_equal_the_double_sum(gamma: float) -> None:
    rewards = _randn(3, 20)
    ours = discounted_returns(rewards, torch.ones(3, 20, dtype=torch.bool), gamma)
    naive = [[sum(gamma ** (s - t) * row[s] for s in range(t, 20)) for t in range(20)] for row in rewards.tolist()]
    torch.testing.assert_close(ours, torch.tensor(naive, dtype=torch.float64), rtol=1e-12, atol=1e-12)


def test_whiten_equals_numpy_on_the_valid_entries() -> None:
    x, mask = _randn(4, 9), _randn(4, 9, seed=1) > 0
    valid = x[mask].numpy()
    expected = (valid - valid.mean()) / np.sqrt(valid.var() + 1e-8)  # numpy's var is the population's
    np.testing.assert_allclose(whiten(x, mask)[mask].numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(whiten(x, mask, shift_mean=False)[mask].numpy(), expected + valid.mean(), rtol=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 0.7, 2.0])
def test_logprobs_and_entropy_equal_the_categorical_distribution(temperature: float) -> None:
    logits = 5 * _randn(2, 6, 40)
    tokens = torch.randint(40, (2, 6), generator=torch.Generator().manual_seed(0))
    categorical = torch.distributions.Categorical(logits=logits / temperature)
    torch.testing.assert_close(logprobs_of(logits, tokens, temperature), categorical.log_prob(tokens))
    torch.testing.assert_close(entropy_of(logits, temperature), categorical.entropy())


def test_sampling_equals_a_walk_along_the_probabilities() -> None:
    logits = 3 * _randn(200, 12)
    uniform = torch.rand(200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tokens, _ = sample_tokens(logits, 0.8, uniform)
    for row in range(200):
        weights = [math.exp(x / 0.8) for x in logits[row].tolist()]
        left = uniform[row].item() * sum(weights)
        token = 0
        while left >= weights[token]:
            left -= weights[token]
            token += 1
        assert tokens[row].item() == token


def test_ppo_loss_equals_a_loop_over_tokens() -> None:
    logprobs, old, advantages = 0.5 * _randn(3, 4, 8)
    mask = _randn(4, 8, seed=1) > -0.5
    total, clipped = 0.0, 0
    for a, b, advantage in zip(*(x[mask].tolist() for x in (logprobs, old, advantages)), strict=True):
        ratio = math.exp(a - b)
        bounded = min(max(ratio, 0.8), 1.3)
        total -= min(ratio * advantage, bounded * advantage)
        clipped += (ratio > 1.3 and advantage > 0) or (ratio < 0.8 and advantage < 0)
    loss, stats = ppo_policy_loss(logprobs, old, advantages, mask, 0.2, 0.3, int(mask.sum()))
    assert loss.item() == pytest.approx(total / int(mask.sum()), rel=1e-12)
    assert stats["clip_fraction"].item() == clipped > 0


def test_value_loss_equals_a_loop_over_tokens() -> None:
    values, old, returns = _randn(3, 4, 8)
    mask = _randn(4, 8, seed=1) > -0.5
    total = 0.0
    for value, before, target in zip(*(x[mask].tolist() for x in (values, old, returns)), strict=True):
        near = before + min(max(value - before, -0.2), 0.2)
        total += 0.5 * max((value - target) ** 2, (near - target) ** 2)
    ours = clipped_value_loss(values, old, returns, mask, 0.2, 13)
    assert ours.item() == pytest.approx(total / 13, rel=1e-12)


def test_shaped_rewards_equal_a_loop_over_tokens() -> None:
    logprobs, ref_logprobs = _randn(2, 4, 8)
    mask = _randn(4, 8, seed=1) > -0.5
    score = _randn(4, seed=2)
    expected = torch.zeros(4, 8, dtype=torch.float64)
    for row in range(4):
        valid = [t for t in range(8) if mask[row, t]]
        for t in valid:
            expected[row, t] = -0.05 * (logprobs[row, t] - ref_logprobs[row, t])
        expected[row, valid[-1]] += score[row]
    rewards, _ = shape_rewards(score, logprobs, ref_logprobs, mask, 0.05)
    torch.testing.assert_close(rewards, expected, rtol=1e-12, atol=1e-12)


def test_pairwise_losses_equal_torch_cross_entropies() -> None:
    first, second, label = _randn(3, 50)
    label = label.sigmoid()
    weight = _randn(50, seed=1).abs()
    torch.testing.assert_close(
        pairwise_loss_with_ties(first, second, label, weight, 50),
        F.binary_cross_entropy_with_logits(first - second, label, weight),
    )
    torch.testing.assert_close(
        bradley_terry_loss(first, second, weight, 50),
        F.binary_cross_entropy_with_logits(first - second, torch.ones(50, dtype=torch.float64), weight),
    )
    scores = _randn(10, 4)
    best = torch.randint(4, (10,), generator=torch.Generator().manual_seed(0))
    every = torch.ones(10, 4, dtype=torch.bool)
    torch.testing.assert_close(best_of_k_loss(scores, best, every, 10), F.cross_entropy(scores, best))


def test_pair_weights_equal_instructgpt_averages() -> None:
    # mean over prompts of the mean over that prompt's K-choose-2 pairs of -ln σ(chosen - rejected)
    numbers = random.Random(0)
    groups = [[(numbers.gauss(0, 1), numbers.gauss(0, 1)) for _ in range(k * (k - 1) // 2)] for k in (2, 3, 4)]
    means = [sum(math.log1p(math.exp(r - c)) for c, r in pairs) / len(pairs) for pairs in groups]
    flat = torch.tensor([pair for pairs in groups for pair in pairs], dtype=torch.float64)
    weights = pair_weights(torch.tensor([len(pairs) for pairs in groups])).double()
    ours = bradley_terry_loss(flat[:, 0], flat[:, 1], weights, len(groups))
    assert ours.item() == pytest.approx(sum(means) / 3, rel=1e-7)  # the weights are fp32
