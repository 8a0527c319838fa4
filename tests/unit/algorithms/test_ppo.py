"""PPO's targets and losses on an example worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from assent.algorithms.base import Experience
from assent.algorithms.ppo import PPO
from assent.config import PPOSettings

NAN = math.nan
MASK = torch.tensor([[True, True, True], [True, True, False]])
EXPERIENCE = Experience(
    mask=MASK,
    score=torch.tensor([1.0, 2.0]),
    finished=torch.tensor([True, False]),
    old_logprobs=torch.tensor([[-1.0, -2.0, -1.4], [-0.5, -1.0, NAN]]),
    ref_logprobs=torch.tensor([[-1.2, -2.0, -1.0], [-0.5, -2.0, NAN]]),
    values=torch.tensor([[0.5, 0.5, 1.0], [0.2, 0.3, NAN]]),
)
SETTINGS = PPOSettings(gamma=1.0, gae_lambda=0.5, missing_eos_penalty=1.0, whiten_advantages=False)
KL_COEF = 0.5
# KL per token, log π − log π_ref:         [0.2, 0, −0.4], [0, 1]          per sequence −0.2 and 1
# rewards −0.5 · KL, and on the last token the score 1, and 2 less 1 for the missing end:
#                                          [−0.1, 0, 0.2 + 1], [0, −0.5 + 1]
# δ = r + V' − V:                          [−0.1, 0.5, 0.2], [0.1, 0.2]
# A, from the end, A = δ + 0.5 · A':       [0.2, 0.6, 0.2], [0.2, 0.2]
# returns A + V:                           [0.7, 1.1, 1.2], [0.4, 0.5]
REWARDS = torch.tensor([[-0.1, 0.0, 1.2], [0.0, 0.5, 0.0]])
ADVANTAGES = torch.tensor([[0.2, 0.6, 0.2], [0.2, 0.2, 0.0]])
RETURNS = torch.tensor([[0.7, 1.1, 1.2], [0.4, 0.5, 0.0]])
TOKENS = 5.0


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_targets() -> None:
    found = PPO(SETTINGS).targets(EXPERIENCE, KL_COEF)
    close(found.rewards, REWARDS)
    close(found.advantages, ADVANTAGES)
    close(found.returns, RETURNS)
    close(found.kl, torch.tensor([-0.2, 1.0]))


def test_whitened_advantages_leave_the_returns_alone() -> None:
    found = PPO(SETTINGS.model_copy(update={"whiten_advantages": True})).targets(EXPERIENCE, KL_COEF)
    close(found.returns, RETURNS)
    valid = found.advantages[MASK]
    # mean (4 · 0.2 + 0.6) / 5 = 0.28; variance (4 · 0.08² + 0.32²) / 5 = 0.0256, deviation 0.16
    close(valid, torch.tensor([-0.5, 2.0, -0.5, -0.5, -0.5]))
    assert float(found.advantages[1, 2]) == 0.0


def test_whitened_rewards_keep_their_mean() -> None:
    found = PPO(SETTINGS.model_copy(update={"whiten_rewards": True})).targets(EXPERIENCE, KL_COEF)
    # mean 1.6 / 5 = 0.32; variance (0.42² + 0.32² + 0.88² + 0.32² + 0.18²) / 5 = 0.2376
    mean, deviation = 0.32, math.sqrt(0.2376)
    close(found.rewards[MASK], (REWARDS[MASK] - mean) / deviation + mean)


def test_the_penalty_is_paid_in_proportion_to_beta() -> None:
    free = PPO(SETTINGS).targets(EXPERIENCE, 0.0)
    close(free.rewards, torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]))
    close(free.kl, torch.tensor([-0.2, 1.0]))


def test_losses_before_the_first_step() -> None:
    algorithm = PPO(SETTINGS)
    targets = algorithm.targets(EXPERIENCE, KL_COEF)
    logprobs = EXPERIENCE.old_logprobs.clone().requires_grad_()
    assert EXPERIENCE.values is not None
    values = EXPERIENCE.values.clone().requires_grad_()
    found = algorithm.losses(logprobs, None, values, EXPERIENCE, targets, TOKENS)
    assert found.value_loss is not None
    assert found.policy_loss.item() == pytest.approx(-1.4 / 5)
    # ½ · value_coef 0.1 · Σ (V − R)² / 5 with V − R = −A: Σ = 4 · 0.04 + 0.36 = 0.52
    assert found.value_loss.item() == pytest.approx(0.5 * 0.1 * 0.52 / 5)
    (found.policy_loss + found.value_loss).backward()
    assert logprobs.grad is not None and values.grad is not None
    close(logprobs.grad, -ADVANTAGES / 5)
    close(values.grad, -0.1 * ADVANTAGES / 5)
    assert float(found.sums["clip_fraction"]) == 0.0
    assert float(found.sums["ratio"]) == 5.0


def test_the_denominator_is_the_callers() -> None:
    algorithm = PPO(SETTINGS)
    targets = algorithm.targets(EXPERIENCE, KL_COEF)
    one = algorithm.losses(EXPERIENCE.old_logprobs, None, EXPERIENCE.values, EXPERIENCE, targets, TOKENS)
    two = algorithm.losses(EXPERIENCE.old_logprobs, None, EXPERIENCE.values, EXPERIENCE, targets, 2 * TOKENS)
    assert float(one.policy_loss) == pytest.approx(2 * float(two.policy_loss))
    assert one.value_loss is not None and two.value_loss is not None
    assert float(one.value_loss) == pytest.approx(2 * float(two.value_loss))


def test_a_ratio_past_the_clip_gives_no_gradient() -> None:
    algorithm = PPO(SETTINGS)
    targets = algorithm.targets(EXPERIENCE, KL_COEF)
    logprobs = (EXPERIENCE.old_logprobs + math.log(1.5)).requires_grad_()
    found = algorithm.losses(logprobs, None, EXPERIENCE.values, EXPERIENCE, targets, TOKENS)
    assert found.policy_loss.item() == pytest.approx(-1.2 * 1.4 / 5)
    found.policy_loss.backward()
    assert logprobs.grad is not None
    close(logprobs.grad, torch.zeros(2, 3))
    assert float(found.sums["clip_fraction"]) == 5.0
    # k3 at ratio 1.5, over five tokens
    assert float(found.sums["approx_kl"]) == pytest.approx(5 * (0.5 - math.log(1.5)), rel=1e-5)


def test_entropy_is_a_bonus() -> None:
    algorithm = PPO(SETTINGS.model_copy(update={"entropy_coef": 0.01}))
    targets = algorithm.targets(EXPERIENCE, KL_COEF)
    entropy = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, NAN]])
    found = algorithm.losses(EXPERIENCE.old_logprobs, entropy, EXPERIENCE.values, EXPERIENCE, targets, TOKENS)
    assert found.policy_loss.item() == pytest.approx(-1.4 / 5 - 0.01 * 15 / 5)


def test_without_values_there_is_no_ppo() -> None:
    algorithm = PPO(SETTINGS)
    bare = replace(EXPERIENCE, values=None)
    with pytest.raises(ValueError, match="needs values"):
        algorithm.targets(bare, KL_COEF)
    targets = algorithm.targets(EXPERIENCE, KL_COEF)
    with pytest.raises(ValueError, match="needs values"):
        algorithm.losses(EXPERIENCE.old_logprobs, None, None, EXPERIENCE, targets, TOKENS)
