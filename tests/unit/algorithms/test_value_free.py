"""REINFORCE, RLOO, REINFORCE++ and GRPO with its settings, on an example worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from assent.algorithms.base import Experience, Targets
from assent.algorithms.choice import algorithm_of
from assent.config import GRPOSettings, OnPolicySettings, ReinforcePlusPlusSettings, ReinforceSettings, RLOOSettings
from tests.unit.algorithms.on_policy_examples import experience_of

# Two prompts with two rollouts each, of 2, 1, 2 and 2 tokens; the last one is cut off.
MASK = torch.tensor([[True, True], [True, False], [True, True], [True, True]])
EXPERIENCE = Experience(
    mask=MASK,
    score=torch.tensor([2.0, 1.0, 0.0, 1.0]),
    finished=torch.tensor([True, True, True, False]),
    old_logprobs=torch.tensor([[-1.0, -1.0], [-1.0, math.nan], [-1.0, -1.0], [-1.0, -1.0]]),
    ref_logprobs=torch.tensor([[-1.0, -3.0], [-2.0, math.nan], [-1.0, -1.0], [-1.0, -1.0]]),
    values=None,
    samples_per_prompt=2,
    max_new_tokens=4,
)
KL_COEF = 0.5
# KL per token: [0, 2], [1], [0, 0], [0, 0]; the last one's score is 1 less 1 for the missing end: 0
# rewards: [0, 2 - 1], [1 - 0.5], [0, 0], [0, 0]; sequences: 1, 0.5 | 0, 0


def targets(settings: OnPolicySettings, **changes: object) -> Targets:
    return algorithm_of(settings).targets(replace(EXPERIENCE, **changes), KL_COEF)  # type: ignore[arg-type]


def close(found: torch.Tensor, expected: object) -> None:
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-5, rtol=0)


def test_reinforce() -> None:
    found = targets(ReinforceSettings(baseline="none"))
    close(found.rewards, [[0.0, 1.0], [0.5, 0.0], [0.0, 0.0], [0.0, 0.0]])
    close(found.kl, [2.0, 1.0, 0.0, 0.0])
    close(found.advantages, [[1.0, 1.0], [0.5, 0.0], [0.0, 0.0], [0.0, 0.0]])
    # the mean over seven tokens is 2.5 / 7
    mean = 2.5 / 7
    found = targets(ReinforceSettings())
    close(found.advantages, [[1 - mean, 1 - mean], [0.5 - mean, 0.0], [-mean, -mean], [-mean, -mean]])
    # with gamma = 0.5 the first token of the first rollout has half of what follows
    found = targets(ReinforceSettings(baseline="none", gamma=0.5))
    close(found.advantages[0], [0.5, 1.0])


def test_rloo_takes_the_kl_into_the_reward_before_it_leaves_one_out() -> None:
    found = targets(RLOOSettings())
    close(found.advantages, [[0.5, 0.5], [-0.5, 0.0], [0.0, 0.0], [0.0, 0.0]])
    # without the penalty the scores 2 and 1 are one apart
    close(algorithm_of(RLOOSettings()).targets(EXPERIENCE, 0.0).advantages[:2], [[1.0, 1.0], [-1.0, 0.0]])


def test_reinforce_plus_plus_whitens_over_the_batch() -> None:
    found = targets(ReinforcePlusPlusSettings())
    # seven tokens: returns 1, 1, 0.5, 0, 0, 0, 0; mean 2.5 / 7, mean square 2.25 / 7
    mean = 2.5 / 7
    deviation = math.sqrt(2.25 / 7 - mean**2)
    close(found.advantages[0], [(1 - mean) / deviation] * 2)
    close(found.advantages[2], [-mean / deviation] * 2)
    found = targets(ReinforcePlusPlusSettings(baseline="group-mean"))
    # less the group's mean 0.75: 0.25, 0.25, -0.25, and zeros; mean 0.25 / 7, mean square 0.1875 / 7
    mean = 0.25 / 7
    deviation = math.sqrt(0.1875 / 7 - mean**2)
    close(found.advantages[0], [(0.25 - mean) / deviation] * 2)
    close(found.advantages[1], [(-0.25 - mean) / deviation, 0.0])


def test_grpo_and_dr_grpo() -> None:
    # 1 and 0.5: mean 0.75, deviation 0.25; the second group is of equal rewards
    close(targets(GRPOSettings()).advantages, [[1.0, 1.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    close(targets(GRPOSettings(scale="none")).advantages[:2], [[0.25, 0.25], [-0.25, 0.0]])


def loss_of(settings: GRPOSettings, tokens: float = 7.0, sequences: float = 4.0) -> float:
    algorithm = algorithm_of(settings)
    found = algorithm.targets(EXPERIENCE, KL_COEF)
    update = algorithm.losses(EXPERIENCE.old_logprobs, None, None, EXPERIENCE, found, tokens, sequences)
    return float(update.policy_loss)


def test_the_three_means() -> None:
    # advantages 1, 1 | -1 at ratio 1: tokens (1 + 1 - 1) / 7, sequences ((1 + 1)/2 - 1) / 4, constant 1 / (4 · 4)
    assert loss_of(GRPOSettings()) == pytest.approx(-1 / 7, rel=1e-5)
    assert loss_of(GRPOSettings(loss_mean="sequences")) == pytest.approx(0.0, abs=1e-6)
    assert loss_of(GRPOSettings(loss_mean="constant")) == pytest.approx(-1 / 16, rel=1e-5)


def test_the_means_need_to_know_what_they_are_over() -> None:
    algorithm = algorithm_of(GRPOSettings(loss_mean="sequences"))
    found = algorithm.targets(EXPERIENCE, KL_COEF)
    with pytest.raises(ValueError, match="number of sequences"):
        algorithm.losses(EXPERIENCE.old_logprobs, None, None, EXPERIENCE, found, 7.0)
    bare = replace(EXPERIENCE, max_new_tokens=None)
    with pytest.raises(ValueError, match="where sampling cuts"):
        algorithm_of(GRPOSettings(overlong_buffer=2, missing_eos_penalty=0)).targets(bare, KL_COEF)


def test_a_penalty_in_the_loss_is_not_in_the_reward() -> None:
    algorithm = algorithm_of(GRPOSettings(kl_penalty="k2-loss", scale="none"))
    found = algorithm.targets(EXPERIENCE, KL_COEF)
    close(found.advantages[:2], [[0.5, 0.5], [-0.5, 0.0]])
    close(found.kl, [2.0, 1.0, 0.0, 0.0])
    update = algorithm.losses(EXPERIENCE.old_logprobs, None, None, EXPERIENCE, found, 7.0)
    # -(0.5 + 0.5 - 0.5) / 7 + 0.5 · (½ · 2² + ½ · 1²) / 7
    assert float(update.policy_loss) == pytest.approx((-0.5 + 0.5 * 2.5) / 7)


def test_groups_of_equal_rewards_are_dropped_from_the_mean_too() -> None:
    found = targets(GRPOSettings(drop_zero_variance=True))
    assert found.loss_mask.tolist() == [[True, True], [True, False], [False, False], [False, False]]
    assert targets(GRPOSettings()).loss_mask.equal(MASK)
    # the first group's scores agree here, and its KL does not: there is something to learn unless the penalty is off
    alike = torch.tensor([1.0, 1.0, 0.0, 1.0])
    assert targets(GRPOSettings(drop_zero_variance=True), score=alike).loss_mask[:2].any()
    free = algorithm_of(GRPOSettings(drop_zero_variance=True)).targets(replace(EXPERIENCE, score=alike), 0.0)
    assert not free.loss_mask.any()


def test_truncated_completions_are_masked_or_pay_for_their_length() -> None:
    found = targets(GRPOSettings(mask_truncated=True, missing_eos_penalty=0))
    assert found.loss_mask.tolist() == [[True, True], [True, False], [True, True], [False, False]]
    # at most 4 tokens, a buffer of 4: two tokens pay a half, one a quarter; the end token's lack costs nothing more
    found = targets(GRPOSettings(overlong_buffer=4, missing_eos_penalty=0))
    close(found.rewards.sum(1), [1.0 - 0.5, 0.5 - 0.25, 0.0 - 0.5, 1.0 - 0.5])


def naive_dapo(experience: Experience, logprobs: torch.Tensor, low: float, high: float) -> float:
    """DAPO's objective (Yu et al. 2025, eq. 8) as it is written, in loops, without a KL term."""
    total, tokens = 0.0, 0
    group = experience.samples_per_prompt
    for start in range(0, len(experience.score), group):
        scores = experience.score[start : start + group].tolist()
        mean = sum(scores) / group
        deviation = math.sqrt(sum((x - mean) ** 2 for x in scores) / group)
        for row in range(start, start + group):
            for t in range(int(experience.mask[row].sum())):
                tokens += 1
                if deviation == 0:
                    continue
                advantage = (float(experience.score[row]) - mean) / deviation
                ratio = math.exp(float(logprobs[row, t] - experience.old_logprobs[row, t]))
                total += min(ratio * advantage, min(max(ratio, 1 - low), 1 + high) * advantage)
    return -total / tokens


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("high", [0.2, 0.28])
def test_dapo_equals_its_formula_and_with_equal_clips_grpo(seed: int, high: float) -> None:
    experience = experience_of(seed)
    noise = torch.randn(8, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    logprobs = experience.old_logprobs + 0.4 * noise
    dapo = algorithm_of(GRPOSettings(clip_low=0.2, clip_high=high, kl_coef=0.0, missing_eos_penalty=0.0))
    found = dapo.targets(experience, 0.0)
    tokens = float(experience.mask.sum())
    loss = float(dapo.losses(logprobs, None, None, experience, found, tokens, 8.0).policy_loss)
    assert loss == pytest.approx(naive_dapo(experience, logprobs, 0.2, high), rel=1e-4)
    # Where all completions are of one length, GRPO's mean over sequences of token means is DAPO's over tokens.
    even = replace(experience, mask=torch.ones(8, 6, dtype=torch.bool))
    grpo = algorithm_of(GRPOSettings(loss_mean="sequences", kl_coef=0.0, missing_eos_penalty=0.0))
    losses = [
        float(each.losses(logprobs, None, None, even, each.targets(even, 0.0), 48.0, 8.0).policy_loss)
        for each in (dapo, grpo)
    ]
    assert (losses[0] == pytest.approx(losses[1], rel=1e-12)) == (high == 0.2)


def test_weights_for_the_sampler() -> None:
    # π_old / π_rollout: 4 and 0.5 in the first rollout, 1 elsewhere; its product 2
    sampled = EXPERIENCE.old_logprobs.clone()
    sampled[0] -= torch.tensor([4.0, 0.5]).log()

    def found(correction: str) -> Targets:
        settings = RLOOSettings(rollout_correction=correction, rollout_weight_max=1.5)
        return targets(settings, rollout_logprobs=sampled)

    close(found("none").advantages[0], [0.5, 0.5])
    close(found("token-truncate").advantages[0], [0.75, 0.25])
    close(found("sequence-truncate").advantages[0], [0.75, 0.75])
    assert found("token-truncate").loss_mask.equal(MASK)
    close(found("token-mask").advantages[0], [0.0, 0.25])
    assert found("token-mask").loss_mask.tolist() == [[False, True], [True, False], [True, True], [True, True]]
    assert found("sequence-mask").loss_mask.tolist() == [[False, False], [True, False], [True, True], [True, True]]
    close(found("sequence-mask").advantages[1], [-0.5, 0.0])


def test_clips_follow_the_ratio_unless_given() -> None:
    assert GRPOSettings().clips == (0.2, 0.2)
    assert GRPOSettings(ratio="sequence").clips == (3e-4, 4e-4)
    assert GRPOSettings(ratio="detached", clip_high=2.0).clips == (1.0, 2.0)
