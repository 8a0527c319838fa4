"""Where expert iteration and online DPO go, in the small bandit of `bandit.py`, with exact expectations.

Of expert iteration it is known that one round of groups of n, learnt to its end, is the best-of-n policy: an action's
probability is F(score)^n less F(score below)^n, with F the reference's cumulative probability by score. Of online DPO
with labels drawn from the scores by Bradley and Terry that its optimum is π* ∝ π_ref · e^{score/β}, as DPO's is.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from assent.algorithms.base import Experience, OnPolicyAlgorithm
from assent.algorithms.choice import algorithm_of
from assent.config import ExpertIterationSettings, OnlineDPOSettings
from assent.evaluation import best_of_n_kl_bound
from tests.science.bandit import BEST, KL_COEF, REF, SCORE, distance

STEPS, RATE = 150, 0.2


@dataclass(frozen=True)
class Groups:
    """Groups of actions in all contexts, and how often each is written."""

    actions: Tensor  # [P, G]
    contexts: Tensor  # [P]

    def probability(self, logprobs: Tensor) -> Tensor:
        """Of each group under a policy whose log-probabilities these are, [P]."""
        return logprobs[self.contexts[:, None], self.actions].sum(-1).exp()


def all_groups(size: int, actions: int = 50) -> Groups:
    """Every ordered group, in every context."""
    one = torch.tensor(list(itertools.product(range(actions), repeat=size)))
    contexts = torch.arange(len(SCORE)).repeat_interleave(len(one))
    return Groups(one.repeat(len(SCORE), 1), contexts)


def gradient(algorithm: OnPolicyAlgorithm, groups: Groups, old: Tensor) -> Tensor:
    """Of the loss's expectation by log π [contexts, actions], rollouts drawn from the old policy."""
    contexts, rows = groups.contexts[:, None].expand(groups.actions.shape), groups.actions.numel()

    def of(table: Tensor) -> Tensor:
        return table[contexts, groups.actions].reshape(rows, 1)

    experience = Experience(
        mask=torch.ones(rows, 1, dtype=torch.bool),
        score=of(SCORE).flatten(),
        finished=torch.ones(rows, dtype=torch.bool),
        old_logprobs=of(old),
        ref_logprobs=of(REF),
        values=None,
        samples_per_prompt=groups.actions.shape[1],
    )
    targets = algorithm.targets(experience, KL_COEF)
    leaf = of(old).clone().requires_grad_()
    update = algorithm.losses(leaf, None, None, experience, targets, 1.0, 2.0)
    found = torch.autograd.grad(update.policy_loss, leaf)[0].view(groups.actions.shape)
    weighted = found * groups.probability(old)[:, None]
    return torch.zeros_like(old).index_put((contexts, groups.actions), weighted, accumulate=True)


def best_of_n(n: int) -> Tensor:
    """The best-of-n policy of the reference, [contexts, actions]; no two scores are equal."""
    order = SCORE.argsort(-1)
    cumulative = REF.exp().gather(-1, order).cumsum(-1)
    below = torch.cat([torch.zeros_like(cumulative[:, :1]), cumulative[:, :-1]], -1)
    return torch.zeros_like(REF).scatter(-1, order, cumulative**n - below**n)


def between(first: Tensor, second: Tensor) -> float:
    return float(0.5 * (first - second).abs().sum(-1).mean())


@pytest.mark.parametrize("n", [2, 3])
def test_one_round_of_expert_iteration_is_best_of_n(n: int) -> None:
    """Its gradient is minus the weight with which an action is imitated: where it is learnt to the end, π itself."""
    actions = 50 if n == 2 else 12
    algorithm = algorithm_of(ExpertIterationSettings(missing_eos_penalty=0.0, kl_coef=0.0))
    ref = REF[:, :actions].log_softmax(-1)
    padded = torch.cat([ref, torch.full((len(ref), 50 - actions), -torch.inf, dtype=ref.dtype)], -1)
    groups = all_groups(n, actions)
    imitated = -gradient(algorithm, groups, padded)[:, :actions]
    policy = imitated / imitated.sum(-1, keepdim=True)
    order = SCORE[:, :actions].argsort(-1)
    cumulative = ref.exp().gather(-1, order).cumsum(-1)
    below = torch.cat([torch.zeros_like(cumulative[:, :1]), cumulative[:, :-1]], -1)
    # a group that wrote one action n times has no best, and teaches nothing
    expected = torch.zeros_like(ref).scatter(-1, order, cumulative**n - below**n) - (n * ref).exp()
    expected = expected / expected.sum(-1, keepdim=True)
    print(f"expert iteration, groups of {n}: {between(policy, expected):.1e} from the best-of-{n} policy")
    assert between(policy, expected) < 1e-9
    assert between(policy, ref.exp()) > 0.1


def test_best_of_n_keeps_to_its_bound() -> None:
    for n in (2, 4, 16):
        policy = best_of_n(n)
        kl = (policy * (policy.clamp(min=1e-300).log() - REF)).sum(-1)
        assert (kl <= best_of_n_kl_bound(n) + 1e-12).all()
        assert float(policy.sum(-1).sub(1.0).abs().max()) < 1e-9


def descended(settings: OnlineDPOSettings) -> float:
    algorithm, groups = algorithm_of(settings), all_groups(2)
    logits = REF.clone().requires_grad_()
    adam = torch.optim.Adam([logits], lr=RATE)
    for step in range(STEPS):
        for each in adam.param_groups:
            each["lr"] = RATE * (1.0 - step / STEPS)
        logprobs = logits.log_softmax(-1)
        adam.zero_grad()
        logprobs.backward(gradient(algorithm, groups, logprobs.detach()))
        adam.step()
    return distance(logits.detach())


def test_online_dpo_with_soft_labels_ends_at_the_best_policy() -> None:
    found = descended(OnlineDPOSettings(labels="soft", kl_coef=KL_COEF, missing_eos_penalty=0.0))
    print(f"online DPO with soft labels: total variation {found:.4f}")
    assert found <= 0.01


def test_with_hard_labels_it_does_not() -> None:
    """A better completion is preferred without fail, as if its score were higher by any amount."""
    found = descended(OnlineDPOSettings(kl_coef=KL_COEF, missing_eos_penalty=0.0))
    print(f"online DPO with hard labels: total variation {found:.4f}")
    assert found > 0.1


def test_there_is_something_to_learn() -> None:
    assert between(BEST, REF.exp()) > 0.5
