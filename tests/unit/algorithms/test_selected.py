"""Expert iteration and online DPO on an example worked by hand."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from assent.algorithms.base import Experience, Targets
from assent.algorithms.choice import algorithm_of
from assent.config import ExpertIterationSettings, OnlineDPOSettings, OnPolicySettings
from assent.functional import dpo_loss, dpo_loss_with_ties, masked_sum
from tests.unit.algorithms.on_policy_examples import GROUP, experience_of

# Two prompts with three rollouts each; the second prompt's scores are all alike.
MASK = torch.tensor([[True, True], [True, False], [True, True]] * 2)
EXPERIENCE = Experience(
    mask=MASK,
    score=torch.tensor([2.0, 1.0, 0.5, 1.0, 1.0, 1.0]),
    finished=torch.tensor([False, True, True, True, True, True]),
    old_logprobs=torch.tensor([[-1.0, -1.0], [-1.0, math.nan], [-1.0, -2.0]] * 2),
    ref_logprobs=torch.tensor([[-1.0, -3.0], [-2.0, math.nan], [-1.0, -1.0]] * 2),
    values=None,
    samples_per_prompt=3,
    max_new_tokens=2,
)
# The first lacks its end: 2 less 1.5 is 0.5, so that the order is second 1, then first and third with 0.5.
# KL of the sequences: 2, 1, -1


def targets(settings: OnPolicySettings, kl_coef: float, **changes: object) -> Targets:
    return algorithm_of(settings).targets(replace(EXPERIENCE, **changes), kl_coef)  # type: ignore[arg-type]


def test_the_best_are_imitated() -> None:
    settings = ExpertIterationSettings(missing_eos_penalty=1.5)
    found = targets(settings, 0.0)
    assert found.loss_mask.tolist() == [[False, False], [True, False], *[[False, False]] * 4]
    assert found.figures == {"kept_score": 1.0}
    # with β = 0.5 the third's negative KL pays: 0.5 - 1, 1 - 0.5, 0.5 + 0.5; and so does that of the sixth
    assert targets(settings, 0.5).loss_mask.any(1).tolist() == [False, False, True] * 2


def test_its_loss_is_their_negative_log_likelihood() -> None:
    algorithm = algorithm_of(ExpertIterationSettings(missing_eos_penalty=1.5, keep=2))
    found = algorithm.targets(EXPERIENCE, 0.0)
    assert found.loss_mask.sum() == 3  # the second and the first
    logprobs = torch.tensor([[-0.5, -0.25], [-0.75, math.nan], [-9.0, -9.0]] * 2, requires_grad=True)
    update = algorithm.losses(logprobs, None, None, EXPERIENCE, found, 3.0, 2.0)
    assert float(update.policy_loss.detach()) == pytest.approx(1.5 / 3)
    update.policy_loss.backward()  # type: ignore[no-untyped-call]
    assert logprobs.grad is not None
    assert logprobs.grad[:3].tolist() == [[pytest.approx(-1 / 3)] * 2, [pytest.approx(-1 / 3), 0.0], [0.0, 0.0]]


def test_a_pair_is_the_best_and_the_worst() -> None:
    found = targets(OnlineDPOSettings(missing_eos_penalty=1.0), 0.5)
    # scores 1, 1, 0.5: chosen the first, rejected the third; h = 0.5 · 2 - 0.5 · (-1) = 1.5, σ(-1.5)
    slope = 0.5 / (1 + math.exp(1.5))
    torch.testing.assert_close(found.advantages[0], torch.full((2,), slope))
    torch.testing.assert_close(found.advantages[2], torch.full((2,), -slope))
    assert found.loss_mask.any(1).tolist() == [True, False, True, False, False, False]
    assert found.figures == {"dpo_loss": pytest.approx(math.log1p(math.exp(-1.5))), "dpo_accuracy": 1.0}


def test_of_equal_scores_hard_labels_make_no_pair_and_soft_ones_a_tie() -> None:
    alike = torch.ones(6)
    hard = targets(OnlineDPOSettings(), 0.5, score=alike, finished=torch.ones(6, dtype=torch.bool))
    assert not hard.loss_mask.any() and hard.figures == {}
    soft = targets(OnlineDPOSettings(labels="soft"), 0.5, score=alike, finished=torch.ones(6, dtype=torch.bool))
    # first against second, h = 0.5 · (2 - 1), and against third, 0.5 · (2 + 1): 0.5 · (½ - σ(h)), over 3 - 1
    slope = 0.5 * (0.5 - 1 / (1 + math.exp(-0.5)) + 0.5 - 1 / (1 + math.exp(-1.5))) / 2
    torch.testing.assert_close(soft.advantages[0], torch.full((2,), slope))
    assert soft.loss_mask.any(1).tolist() == [True] * 6
    # each pair pulls its two apart or together, and moves nothing beside: per rollout the slopes sum to 0
    torch.testing.assert_close(soft.advantages[:, 0].view(2, 3).sum(1), torch.zeros(2), atol=1e-7, rtol=0)


@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_its_gradient_is_that_of_the_offline_loss(labels: str) -> None:
    experience = experience_of(4)
    settings = OnlineDPOSettings(labels=labels, missing_eos_penalty=0.0)
    algorithm, kl_coef = algorithm_of(settings), 0.3
    found = algorithm.targets(experience, kl_coef)
    leaf = experience.old_logprobs.clone().requires_grad_()
    sequences = float(found.loss_mask.any(-1).sum())
    ours = algorithm.losses(leaf, None, None, experience, found, float(found.loss_mask.sum()), sequences)
    by_ours = torch.autograd.grad(ours.policy_loss, leaf)[0]

    summed = masked_sum(leaf, experience.mask, dim=-1).view(-1, GROUP)
    ref = masked_sum(experience.ref_logprobs, experience.mask, dim=-1).view(-1, GROUP)
    scores = experience.score.view(-1, GROUP)
    if labels == "hard":
        summed, ref, scores = summed[:1], ref[:1], scores[:1]  # the second prompt's are all alike
    if labels == "hard":
        rows, best, worst = torch.arange(len(scores)), scores.argmax(1), scores.argmin(1)
        pair = (summed[rows, best], summed[rows, worst], ref[rows, best], ref[rows, worst])
        loss, _, _ = dpo_loss(*pair, None, kl_coef, 0.0, len(rows))
    else:  # every two of a group
        places = list(itertools.combinations(range(GROUP), 2))
        first, second = (torch.tensor(each) for each in zip(*places, strict=True))
        pairs = [(table[:, first].flatten(), table[:, second].flatten()) for table in (summed, ref, scores)]
        p = (pairs[2][0] - pairs[2][1]).sigmoid()
        loss, _, _ = dpo_loss_with_ties(*pairs[0], *pairs[1], p, None, kl_coef, len(p))
    torch.testing.assert_close(by_ours, torch.autograd.grad(loss, leaf)[0], rtol=1e-12, atol=1e-15)
    assert (by_ours != 0).any()
    assert found.figures["dpo_loss"] == pytest.approx(float(loss.detach()), rel=1e-12)


def test_the_loss_at_the_start_is_ln_2() -> None:
    found = targets(OnlineDPOSettings(), 0.5, ref_logprobs=EXPERIENCE.old_logprobs)
    assert found.figures["dpo_loss"] == pytest.approx(math.log(2), abs=1e-6)


def test_the_number_of_pairs_must_be_known() -> None:
    algorithm = algorithm_of(OnlineDPOSettings())
    with pytest.raises(ValueError, match="number of sequences"):
        algorithm.losses(EXPERIENCE.old_logprobs, None, None, EXPERIENCE, algorithm.targets(EXPERIENCE, 0.1), 4.0)
