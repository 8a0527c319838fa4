"""An environment's tokens between the policy's turns: whatever stands there, it is as if they were not there."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from assent.algorithms.base import Experience, Targets
from assent.algorithms.choice import algorithm_of
from assent.config import OnPolicySettings
from tests.unit.algorithms.on_policy_examples import GROUP, VARIANTS

ROWS, TURNS, OBSERVED, WRITTEN = 2 * GROUP, 3, 2, 2
LENGTH = TURNS * WRITTEN  # tokens of the policy; every row has as many, so that leaving out observations leaves a table
WIDTH = LENGTH + (TURNS - 1) * OBSERVED
TABLES = ("old_logprobs", "ref_logprobs", "values", "rollout_logprobs", "earned")


def written() -> Tensor:
    """True where the policy writes: two tokens a turn, with two of the environment's between the turns."""
    return torch.tensor([place % (WRITTEN + OBSERVED) < WRITTEN for place in range(WIDTH)])


def alone(seed: int) -> Experience:
    """A trajectory of turns without what was said between them; a turn's reward is on its last token."""
    draw = torch.Generator().manual_seed(seed)
    old, ref, values, sampled = 0.3 * torch.randn(4, ROWS, LENGTH, generator=draw, dtype=torch.float64)
    earned = torch.zeros(ROWS, LENGTH, dtype=torch.float64)
    earned[:, WRITTEN - 1 :: WRITTEN] = torch.randn(ROWS, TURNS, generator=draw, dtype=torch.float64)
    return Experience(
        mask=torch.ones(ROWS, LENGTH, dtype=torch.bool),
        score=earned.sum(-1),
        finished=torch.arange(ROWS) % 4 != 3,
        old_logprobs=old - 2.0,
        ref_logprobs=ref - 2.0,
        values=values,
        rollout_logprobs=old + 0.3 * sampled - 2.0,
        samples_per_prompt=GROUP,
        max_new_tokens=LENGTH,
        earned=earned,
    )


def with_observations(experience: Experience, garbage: float) -> Experience:
    """The same trajectory with an environment's tokens in it, under the mask."""
    found = {}
    for name in TABLES:
        table = torch.full((ROWS, WIDTH), garbage, dtype=torch.float64)
        table[:, written()] = getattr(experience, name)
        found[name] = table
    return replace(experience, mask=written().expand(ROWS, WIDTH), **found)


def updated(hyper: OnPolicySettings, experience: Experience, drift: Tensor) -> tuple[Targets, list[Tensor]]:
    """Targets, and the losses with their gradients, of a policy that has drifted since it wrote."""
    algorithm = algorithm_of(hyper)
    targets = algorithm.targets(experience, hyper.kl_coef)
    leaves = [(experience.old_logprobs + drift).requires_grad_(), (drift.abs() + 1.0).requires_grad_()]
    values = None
    if algorithm.needs_values:
        values = (experience.values + drift).requires_grad_()  # type: ignore[operator]
        leaves.append(values)
    count = float(targets.loss_mask.sum())
    sequences = float(targets.loss_mask.any(-1).sum())
    update = algorithm.losses(leaves[0], leaves[1], values, experience, targets, count, sequences)
    loss = update.policy_loss if update.value_loss is None else update.policy_loss + update.value_loss
    gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
    return targets, [loss.detach(), *(gradient for gradient in gradients if gradient is not None)]


@pytest.mark.parametrize("name", VARIANTS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), garbage=st.sampled_from([math.nan, math.inf, -math.inf, 1e30, 1.0]))
def test_observations_are_skipped(name: str, seed: int, garbage: float) -> None:
    hyper = VARIANTS[name]
    short = alone(seed)
    drift = 0.3 * torch.randn(ROWS, LENGTH, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    spread = torch.full((ROWS, WIDTH), garbage, dtype=torch.float64)
    spread[:, written()] = drift
    ours, found = updated(hyper, with_observations(short, garbage), spread)
    theirs, expected = updated(hyper, short, drift)
    for field in ("advantages", "rewards", "loss_mask", "returns", "weights"):
        table, reference = getattr(ours, field), getattr(theirs, field)
        assert (table is None) == (reference is None)
        if table is not None:
            torch.testing.assert_close(table[:, written()], reference, rtol=1e-12, atol=1e-12)
            assert bool((table[:, ~written()] == 0).all())
    torch.testing.assert_close(ours.kl, theirs.kl, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-12, atol=1e-12)
    for gradient, reference in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(gradient[:, written()], reference, rtol=1e-12, atol=1e-12)
        assert bool((gradient[:, ~written()] == 0).all())


@pytest.mark.parametrize("name", ["ppo", "reinforce, no baseline"])
def test_a_turns_reward_stands_on_its_last_token(name: str) -> None:
    """With λ = γ = 1 and no penalties, what follows a token is what its turn and the later ones earned."""
    hyper = VARIANTS[name].model_copy(update={"missing_eos_penalty": 0.0, "gamma": 1.0})
    experience = with_observations(alone(3), math.nan)
    if name == "ppo":
        hyper = hyper.model_copy(update={"gae_lambda": 1.0, "whiten_advantages": False})
        experience = replace(experience, values=torch.zeros(ROWS, WIDTH, dtype=torch.float64))
    targets = algorithm_of(hyper).targets(experience, 0.0)
    short = alone(3)
    assert short.earned is not None
    turns = short.earned[:, WRITTEN - 1 :: WRITTEN]
    expected = turns.flip(-1).cumsum(-1).flip(-1).repeat_interleave(WRITTEN, dim=-1)
    torch.testing.assert_close(targets.advantages[:, written()], expected, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(expected[:, 0], expected[:, -1])


def test_what_a_missing_end_costs_is_paid_at_the_end() -> None:
    experience = with_observations(alone(4), math.nan)
    paid = algorithm_of(VARIANTS["ppo"]).targets(experience, 0.0).rewards
    free = (
        algorithm_of(VARIANTS["ppo"].model_copy(update={"missing_eos_penalty": 0.0})).targets(experience, 0.0).rewards
    )
    difference = (free - paid).nonzero().tolist()
    assert difference == [[row, WIDTH - 1] for row in range(ROWS) if row % 4 == 3]
