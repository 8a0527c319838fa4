"""The β-regularised bandit, whose best policy is known: π* ∝ π_ref · e^{r/β}; and descents on it by real algorithms.

A tabular softmax policy over 50 actions in 8 contexts. Every action of every context is a rollout of one token, and
its loss counts with the policy's probability of it, so that expectations are exact and nothing is left to luck. The
gradients are those of the algorithms' own losses.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from assent.algorithms.base import Experience, OnPolicyAlgorithm
from assent.algorithms.choice import algorithm_of
from assent.config import OnPolicySettings

CONTEXTS, ACTIONS = 8, 50
KL_COEF = 0.5  # reward per nat
STEPS = 250
RATE = 0.2  # of Adam on the logits, falling to 0
_NUMBERS = torch.Generator().manual_seed(0)
# Some prompts are harder than others: the scores of each spread by another amount.
SPREAD = torch.linspace(0.5, 2.0, CONTEXTS, dtype=torch.float64)[:, None]
SCORE = SPREAD * torch.randn(CONTEXTS, ACTIONS, generator=_NUMBERS, dtype=torch.float64)
REF = torch.randn(CONTEXTS, ACTIONS, generator=_NUMBERS, dtype=torch.float64).log_softmax(-1)
BEST = (REF + SCORE / KL_COEF).softmax(-1)
ROWS = CONTEXTS * ACTIONS

Gradient = Callable[[Tensor], Tensor]  # of a loss by log π, action by action


def distance(logits: Tensor) -> float:
    """Mean total variation from the best policy."""
    return float(0.5 * (logits.softmax(-1) - BEST).abs().sum(-1).mean())


def mean_score(policy: Tensor) -> float:
    """Mean score over contexts, of probabilities [8, 50]."""
    return float((policy * SCORE).sum(-1).mean())


def mean_kl(policy: Tensor) -> float:
    """Mean KL from the reference over contexts in nats, of probabilities [8, 50]."""
    return float((torch.special.xlogy(policy, policy) - policy * REF).sum(-1).mean())


def descent(gradient_at: Callable[[Tensor], Gradient], updates: int = 1) -> list[Tensor]:
    """Adam on the logits with a falling rate, with `updates` on what was made of the old policy's log π.

    Returns:
        The logits before the first step and after each.
    """
    logits = REF.clone().requires_grad_()
    adam = torch.optim.Adam([logits], lr=RATE)
    path = [REF]
    for step in range(STEPS):
        old = logits.detach().log_softmax(-1)
        for group in adam.param_groups:
            group["lr"] = RATE * (1.0 - step / STEPS)
        gradient = gradient_at(old)
        for _ in range(updates):
            logprobs = logits.log_softmax(-1)
            adam.zero_grad()
            logprobs.backward(old.exp() * gradient(logprobs.detach()))
            adam.step()
        path.append(logits.detach().clone())
    return path


def gradient_of(algorithm: OnPolicyAlgorithm, kl_coef: float = KL_COEF) -> Callable[[Tensor], Gradient]:
    """An algorithm's own gradient, with the exact values of the old policy where it wants values."""

    def at(old: Tensor) -> Gradient:
        values = (old.exp() * (SCORE - kl_coef * (old - REF))).sum(-1, keepdim=True).expand(CONTEXTS, ACTIONS)
        experience = Experience(
            mask=torch.ones(ROWS, 1, dtype=torch.bool),
            score=SCORE.flatten(),
            finished=torch.ones(ROWS, dtype=torch.bool),
            old_logprobs=old.view(ROWS, 1),
            ref_logprobs=REF.view(ROWS, 1),
            values=values.reshape(ROWS, 1) if algorithm.needs_values else None,
            samples_per_prompt=ACTIONS,
            max_new_tokens=1,
        )
        targets = algorithm.targets(experience, kl_coef)

        def gradient(logprobs: Tensor) -> Tensor:
            leaf = logprobs.reshape(ROWS, 1).requires_grad_()
            update = algorithm.losses(leaf, None, experience.values, experience, targets, ROWS, ROWS)
            return torch.autograd.grad(update.policy_loss, leaf)[0].view(CONTEXTS, ACTIONS)

        return gradient

    return at


def training(settings: OnPolicySettings) -> list[Tensor]:
    """The logits along an algorithm's training, under the penalty of its settings."""
    return descent(gradient_of(algorithm_of(settings), settings.kl_coef), settings.epochs)


def penalised_by_hand(slope: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """The policy gradient of the scores, and β times an estimator put into the loss; `slope` is its own by log π."""
    return descent(lambda old: lambda logprobs: -SCORE * (logprobs - old).exp() + KL_COEF * slope(logprobs - REF))


@cache
def plain_k3() -> list[Tensor]:
    """k3 itself in the loss, as many trainers had it. Its slope is ∇(e^-x - 1 + x) = 1 - e^-x."""
    return penalised_by_hand(lambda logr: 1.0 - (-logr).exp())
