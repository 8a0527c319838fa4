"""The algorithms in the trainer: what is the same, what is not built, and steps in which nothing is left to train."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from assent.config import A2CSettings, GRPOSettings, PPOSettings, RLOOSettings
from assent.rewards.scorer import CallableScorer
from assent.rollouts.local import LocalGenerator
from tests.checkpoints import Shape
from tests.unit.algorithms.on_policy_examples import VARIANTS
from tests.unit.training.building import on_policy

Built = Callable[[Shape], Path]


@pytest.mark.parametrize("rank", [0, 2])
def test_a2c_and_ppo_without_clips_reach_the_same_weights(rank: int, checkpoint: Built) -> None:
    common = {"learning_rate": 1e-3, "kl_coef": 0.1}
    unclipped = PPOSettings(**common, epochs=1, minibatches=1, clip=1e9, value_clip=1e9)
    ppo, a2c = (on_policy(checkpoint("llama"), each, rank) for each in (unclipped, A2CSettings(**common)))
    before = {name: tensor.clone() for name, tensor in a2c.tensors().items()}
    for step in range(3):
        for training in (ppo, a2c):
            assert training.step(step, 0)["updates"] == step + 1
    ours, theirs = a2c.tensors(), ppo.tensors()
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert any(name.startswith("value") for name in ours)
    assert any(not torch.equal(before[name], ours[name]) for name in before if name.startswith("policy"))


@pytest.mark.parametrize("name", VARIANTS)
def test_every_algorithm_takes_a_step(name: str, checkpoint: Built) -> None:
    settings = VARIANTS[name].model_copy(update={"learning_rate": 1e-3})
    training = on_policy(checkpoint("llama"), settings, group=4)
    before = {key: tensor.clone() for key, tensor in training.tensors().items()}
    metrics = training.step(0, 0)
    assert metrics["updates"] >= 1
    assert metrics["nonfinite"] == 0.0
    assert metrics["grad_norm"] > 0
    changed = [key for key, tensor in training.tensors().items() if key not in before or (before[key] != tensor).any()]
    assert any(key.startswith("policy") for key in changed)
    valued = settings.type in ("ppo", "a2c")
    assert any(key.startswith("value") for key in training.tensors()) == valued
    assert ("value_loss" in metrics) == ("explained_variance" in metrics) == valued
    assert ("rollout_weight" in metrics) == (settings.rollout_correction != "none")
    # Here the sampler is the trainer: there is nothing to correct.
    assert abs(metrics["mismatch_kl"]) < 1e-4
    assert metrics.get("rollout_weight", 1.0) == pytest.approx(1.0, abs=1e-3)


def test_a_step_whose_groups_are_all_dropped_updates_nothing_and_is_no_failure(checkpoint: Built) -> None:
    settings = GRPOSettings(learning_rate=1e-3, kl_coef=0.0, missing_eos_penalty=0.0, drop_zero_variance=True)
    training = on_policy(checkpoint("llama"), settings, group=4)
    alike = CallableScorer(lambda prompts, completions: [1.0] * len(completions), "alike")
    training.parts = replace(training.parts, scorer=alike)
    before = {key: tensor.clone() for key, tensor in training.tensors().items()}
    metrics = training.step(0, 0)
    assert (metrics["trained_share"], metrics["updates"], metrics["nonfinite"]) == (0.0, 0.0, 0.0)
    assert "skipped" not in metrics
    assert all(torch.equal(before[key], tensor) for key, tensor in training.tensors().items())


def test_a_sampler_that_disagrees_is_weighed(checkpoint: Built) -> None:
    """The generator writes with older weights; the trainer notices, and masks what fits no more."""
    settings = RLOOSettings(learning_rate=1e-3, rollout_correction="token-mask")
    training = on_policy(checkpoint("llama"), settings, group=4)
    older = LocalGenerator(copy.deepcopy(training.parts.policy.model), range(0, 400, 10), lambda: "older")
    training.parts = replace(training.parts, generator=older)
    with torch.no_grad():
        for weight in training.parts.policy.model.parameters():
            weight.mul_(4.0)
    metrics = training.step(0, 0)
    assert abs(metrics["mismatch_kl"]) > 0.01
    assert 0.0 < metrics["trained_share"] < 1.0
    assert metrics["rollout_weight"] != pytest.approx(1.0, abs=1e-3)


def test_one_update_without_a_penalty_is_the_same_unmeasured(checkpoint: Callable[[Shape], Path]) -> None:
    """What is not asked for before the update changes nothing in it, and the sampler is still held against it."""
    hyper = GRPOSettings(learning_rate=1e-3, epochs=1, minibatches=1, kl_coef=0.0)
    weights = []
    for measures_first in (False, True):
        training = on_policy(checkpoint("llama"), hyper)
        assert not training.measures_first
        training.measures_first = measures_first
        figures = training.step(0, 0)
        assert ("kl" in figures) == measures_first
        assert abs(figures["mismatch_kl"]) < 1e-4 and figures["entropy"] > 1.0
        weights.append(torch.cat([weight.detach().flatten() for weight in training.parts.policy.model.parameters()]))
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=2e-5)
    assert on_policy(checkpoint("llama"), GRPOSettings(minibatches=1, kl_coef=0.1)).measures_first
