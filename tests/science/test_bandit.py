"""The β-regularised bandit, whose best policy is known: π* ∝ π_ref · e^{r/β}. What ends there, and what does not.

A tabular softmax policy over 50 actions in 8 contexts. Every action of every context is a rollout of one token, and
its loss counts with the policy's probability of it, so that expectations are exact and nothing is left to luck. The
gradients are those of the algorithms' own losses.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from assent.algorithms.base import Experience, OnPolicyAlgorithm
from assent.algorithms.choice import algorithm_of
from assent.config import (
    A2CSettings,
    GRPOSettings,
    OnPolicySettings,
    PPOSettings,
    ReinforcePlusPlusSettings,
    ReinforceSettings,
    RLOOSettings,
)

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
COMMON = {"kl_coef": KL_COEF, "missing_eos_penalty": 0.0}


def distance(logits: Tensor) -> float:
    """Mean total variation from the best policy."""
    return float(0.5 * (logits.softmax(-1) - BEST).abs().sum(-1).mean())


Gradient = Callable[[Tensor], Tensor]  # of a loss by log π, action by action


def descend(gradient_at: Callable[[Tensor], Gradient], updates: int = 1) -> float:
    """Adam on the logits with a falling rate, with `updates` on what was made of the old policy's log π."""
    logits = REF.clone().requires_grad_()
    adam = torch.optim.Adam([logits], lr=RATE)
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
    return distance(logits.detach())


def gradient_of(algorithm: OnPolicyAlgorithm) -> Callable[[Tensor], Gradient]:
    """An algorithm's own gradient, with the exact values of the old policy where it wants values."""

    def at(old: Tensor) -> Gradient:
        values = (old.exp() * (SCORE - KL_COEF * (old - REF))).sum(-1, keepdim=True).expand(CONTEXTS, ACTIONS)
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
        targets = algorithm.targets(experience, KL_COEF)

        def gradient(logprobs: Tensor) -> Tensor:
            leaf = logprobs.reshape(ROWS, 1).requires_grad_()
            update = algorithm.losses(leaf, None, experience.values, experience, targets, ROWS, ROWS)
            return torch.autograd.grad(update.policy_loss, leaf)[0].view(CONTEXTS, ACTIONS)

        return gradient

    return at


def trained(settings: OnPolicySettings) -> float:
    return descend(gradient_of(algorithm_of(settings)), settings.epochs)


def penalised_by_hand(slope: Callable[[Tensor], Tensor]) -> float:
    """The policy gradient of the scores, and β times an estimator put into the loss; `slope` is its own by log π."""
    return descend(lambda old: lambda logprobs: -SCORE * (logprobs - old).exp() + KL_COEF * slope(logprobs - REF))


def test_there_is_something_to_learn() -> None:
    assert distance(REF) > 0.5
    assert distance(REF + SCORE / KL_COEF) < 1e-12


IN_THE_REWARD: dict[str, OnPolicySettings] = {
    "ppo": PPOSettings(**COMMON, epochs=2),
    "ppo, advantages as they are": PPOSettings(**COMMON, epochs=2, whiten_advantages=False),
    "a2c": A2CSettings(**COMMON),
    "reinforce": ReinforceSettings(**COMMON),
    "reinforce without baseline": ReinforceSettings(**COMMON, baseline="none"),
    "rloo": RLOOSettings(**COMMON),
    "reinforce++": ReinforcePlusPlusSettings(**COMMON),
    "reinforce++-baseline": ReinforcePlusPlusSettings(**COMMON, baseline="group-mean"),
    "dr grpo": GRPOSettings(**COMMON, scale="none", loss_mean="constant"),
}


@pytest.mark.parametrize("name", IN_THE_REWARD)
def test_k1_in_the_reward_ends_at_the_best_policy(name: str) -> None:
    assert trained(IN_THE_REWARD[name]) <= 0.01


@pytest.mark.parametrize(
    "settings",
    [
        GRPOSettings(**COMMON),
        GRPOSettings(**COMMON, epochs=2, clip_high=0.28),
        GRPOSettings(**COMMON, ratio="sequence", loss_mean="sequences"),
        GRPOSettings(**COMMON, ratio="detached"),
    ],
    ids=["grpo", "dapo", "gspo", "cispo"],
)
def test_grpo_does_so_although_it_scales(settings: GRPOSettings) -> None:
    assert trained(settings) <= 0.02


@pytest.mark.parametrize(
    "settings",
    [
        ReinforceSettings(**COMMON, kl_penalty="k2-loss"),
        ReinforceSettings(**COMMON, kl_penalty="k3-corrected-loss"),
        # Here every action is seen, and a group that is no sample makes of the scores ACTIONS / (ACTIONS - 1) of them.
        RLOOSettings(**COMMON, kl_penalty="k2-loss"),
        GRPOSettings(**COMMON, kl_penalty="k3-corrected-loss", scale="none"),
        PPOSettings(**COMMON, kl_penalty="k3-corrected-loss", whiten_advantages=False, epochs=2),
    ],
    ids=["reinforce k2", "reinforce k3", "rloo k2", "dr grpo k3", "ppo k3"],
)
def test_a_penalty_in_the_loss_with_the_right_gradient_ends_there_too(settings: OnPolicySettings) -> None:
    assert trained(settings) <= 0.03


def test_plain_k3_in_the_loss_does_not() -> None:
    # ∇(e^-x - 1 + x) = 1 - e^-x
    assert penalised_by_hand(lambda logr: 1.0 - (-logr).exp()) > 0.3


def test_k1_in_the_loss_penalises_nothing() -> None:
    # ∇x = 1, so that the policy ends where scores alone lead it, on each context's best action
    assert penalised_by_hand(torch.ones_like) > 0.3


def test_k2_by_hand_ends_at_the_best_policy() -> None:
    """What is above is then due to the estimators, not to the descent."""
    assert penalised_by_hand(lambda logr: logr) <= 0.01


def test_scaling_by_the_deviation_breaks_a_penalty_in_the_loss() -> None:
    """The penalty is then weighed against scores of another size in each context."""
    assert trained(GRPOSettings(**COMMON, kl_penalty="k2-loss")) > 0.1


@pytest.mark.parametrize("penalty", ["k3-loss", "k1-loss"])
def test_what_does_not_work_is_refused_with_the_reason(penalty: str) -> None:
    with pytest.raises(ValueError, match="gradient"):
        RLOOSettings(kl_penalty=penalty)
