"""What holds for every on-policy algorithm: microbatches add up, masks hide, and on policy all are policy gradients."""

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
from assent.config import OnPolicySettings, PPOSettings
from assent.config.algorithm import ALGORITHMS
from assent.functional import policy_gradient_loss
from tests.unit.algorithms.on_policy_examples import VARIANTS, experience_of

SEEDS = st.integers(0, 10**6)


def counts(targets: Targets) -> tuple[float, float]:
    return float(targets.loss_mask.sum()), float(targets.loss_mask.any(-1).sum())


def moved(experience: Experience, seed: int) -> list[Tensor]:
    """Log-probabilities, entropies and values after a few updates."""
    noise = torch.randn(3, *experience.mask.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert experience.values is not None
    return [experience.old_logprobs + 0.3 * noise[0], noise[1].abs(), experience.values + 0.3 * noise[2]]


@pytest.mark.parametrize("name", VARIANTS)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, cuts=st.lists(st.integers(1, 3), min_size=2, max_size=6))
def test_microbatches_add_up_to_the_batch(name: str, seed: int, cuts: list[int]) -> None:
    algorithm, experience = algorithm_of(VARIANTS[name]), experience_of(seed)
    targets = algorithm.targets(experience, 0.2)
    tokens, sequences = counts(targets)
    if not tokens:
        return
    now = moved(experience, seed)

    def gradients(parts: list[list[int]]) -> tuple[list[Tensor], float]:
        leaves = [x.clone().requires_grad_() for x in now]
        total = 0.0
        for rows in parts:
            width = int(experience.mask[rows].sum(-1).max())
            update = algorithm.losses(
                *(x[rows, :width] for x in leaves),
                experience.take(rows, width),
                targets.take(rows, width),
                tokens,
                sequences,
            )
            loss = update.policy_loss if update.value_loss is None else update.policy_loss + update.value_loss
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return [torch.zeros_like(x) if x.grad is None else x.grad for x in leaves], total

    order = list(range(len(experience.score)))
    parts: list[list[int]] = []
    for size in [*cuts, len(order)]:
        parts.append(order[:size])
        order = order[size:]
    (whole, loss), (split, total) = gradients([list(range(len(experience.score)))]), gradients([p for p in parts if p])
    assert total == pytest.approx(loss, rel=1e-9, abs=1e-12)
    for ours, theirs in zip(whole, split, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", VARIANTS)
def test_there_is_a_gradient_to_add_up(name: str) -> None:
    algorithm, experience = algorithm_of(VARIANTS[name]), experience_of(1)
    targets = algorithm.targets(experience, 0.2)
    now = moved(experience, 1)
    now[0].requires_grad_()
    algorithm.losses(*now, experience, targets, *counts(targets)).policy_loss.backward()  # type: ignore[no-untyped-call]
    assert now[0].grad is not None
    assert (now[0].grad != 0).any()
    assert (now[0].grad[~targets.loss_mask] == 0).all()


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("garbage", [math.nan, math.inf])
def test_what_is_masked_never_matters(name: str, garbage: float) -> None:
    algorithm, clean = algorithm_of(VARIANTS[name]), experience_of(3)

    def spoil(x: Tensor | None) -> Tensor:
        assert x is not None
        return torch.where(clean.mask, x, torch.full_like(x, garbage))

    spoilt = replace(
        clean,
        old_logprobs=spoil(clean.old_logprobs),
        ref_logprobs=spoil(clean.ref_logprobs),
        values=spoil(clean.values),
        rollout_logprobs=spoil(clean.rollout_logprobs),
    )
    found = []
    for experience, now in ((clean, moved(clean, 5)), (spoilt, [spoil(x) for x in moved(clean, 5)])):
        targets = algorithm.targets(experience, 0.2)
        leaf = now[0].requires_grad_()
        update = algorithm.losses(*now, experience, targets, *counts(targets))
        found.append((update.policy_loss, *torch.autograd.grad(update.policy_loss, leaf), *update.sums.values()))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*found, strict=True))
    assert all(torch.isfinite(x).all() for x in found[0])


ONE_MEAN = [
    name
    for name, each in VARIANTS.items()
    if getattr(each, "loss_mean", "tokens") == "tokens"
    and each.kl_penalty == "k1-reward"
    and not each.entropy_coef
    and getattr(each, "ratio", "token") != "sequence"
]


@pytest.mark.parametrize("name", ONE_MEAN)
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_on_policy_every_gradient_is_the_policy_gradient(name: str, seed: int) -> None:
    algorithm, experience = algorithm_of(VARIANTS[name]), experience_of(seed)
    targets = algorithm.targets(experience, 0.2)
    tokens, sequences = counts(targets)
    if not tokens:
        return
    leaf = experience.old_logprobs.clone().requires_grad_()
    update = algorithm.losses(leaf, None, experience.values, experience, targets, tokens, sequences)
    plain = policy_gradient_loss(leaf, targets.advantages, targets.loss_mask, tokens)
    ours, theirs = (torch.autograd.grad(loss, leaf)[0] for loss in (update.policy_loss, plain))
    assert torch.equal(ours, theirs)
    assert float(update.sums["approx_kl"]) == 0.0


def test_a2c_is_ppo_without_clips_on_the_first_update() -> None:
    experience = experience_of(8)
    unclipped = PPOSettings(clip=1e9, value_clip=1e9, epochs=1)
    found = []
    for settings_ in (VARIANTS["a2c"].model_copy(update={"entropy_coef": 0.0}), unclipped):
        algorithm = algorithm_of(settings_)
        targets = algorithm.targets(experience, 0.2)
        assert experience.values is not None
        leaves = [experience.old_logprobs.clone().requires_grad_(), experience.values.clone().requires_grad_()]
        update = algorithm.losses(leaves[0], None, leaves[1], experience, targets, *counts(targets))
        assert update.value_loss is not None
        found.append(torch.autograd.grad(update.policy_loss + update.value_loss, leaves))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*found, strict=True))


def test_every_algorithm_of_the_settings_exists() -> None:
    names = set()
    for name, section in ALGORITHMS.items():
        algorithm = algorithm_of(section())
        names.add(type(algorithm))
        assert section().type == name
        assert algorithm.needs_values == (name in ("ppo", "a2c"))
        assert (algorithm.epochs, algorithm.minibatches) == (section().epochs, section().minibatches)
    assert len(names) == len(ALGORITHMS)
    with pytest.raises(ValueError, match="unheard-of"):
        algorithm_of(OnPolicySettings(type="unheard-of"))


@pytest.mark.parametrize("name", ["rloo", "grpo", "reinforce++-baseline"])
def test_groups_must_be_whole(name: str) -> None:
    algorithm = algorithm_of(VARIANTS[name])
    for group in (1, 3):
        with pytest.raises(ValueError, match="no groups"):
            algorithm.targets(replace(experience_of(0), samples_per_prompt=group), 0.1)


def test_a_correction_needs_to_know_the_sampler() -> None:
    with pytest.raises(ValueError, match="rollout_correction"):
        algorithm_of(VARIANTS["masked by token"]).targets(replace(experience_of(0), rollout_logprobs=None), 0.1)
