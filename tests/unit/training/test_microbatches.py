"""One batch and N microbatches of it give the same gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from assent.config.preference import PREFERENCES
from assent.functional.batching import split_by_tokens
from assent.training.rl import RLTraining
from tests.checkpoints import Shape
from tests.unit.algorithms.on_policy_examples import VARIANTS
from tests.unit.training.building import language_model, on_policy, preference, reinforcement, reward_model

Built = Callable[[Shape], Path]


def gradients_of(models: Iterable[nn.Module], step: Callable[[], dict[str, float]]) -> list[Tensor]:
    """The gradients that the step's backward passes add up to, before they are clipped and used."""
    found: dict[int, Tensor] = {}

    def keep(place: int) -> Callable[[Tensor], None]:
        def note(weight: Tensor) -> None:
            assert weight.grad is not None
            found[place] = weight.grad.clone()

        return note

    weights = [weight for model in models for weight in model.parameters() if weight.requires_grad]
    hooks = [weight.register_post_accumulate_grad_hook(keep(place)) for place, weight in enumerate(weights)]
    assert "skipped" not in step()
    for hook in hooks:
        hook.remove()
    return [found[place] for place in sorted(found)]


def alike(first: list[Tensor], second: list[Tensor]) -> None:
    assert len(first) == len(second) > 10
    size = torch.cat([gradient.flatten() for gradient in first]).norm()
    assert size > 1e-3
    for ours, theirs in zip(first, second, strict=True):
        assert float((ours - theirs).norm()) < 1e-5 * float(size)


@pytest.mark.parametrize("tokens", [64, 100])
def test_language_model(tokens: int, checkpoint: Built) -> None:
    whole, split = (language_model(checkpoint("gpt2"), tokens=budget) for budget in (8192, tokens))
    alike(
        gradients_of([whole.model], lambda: whole.step(1, 0)),
        gradients_of([split.model], lambda: split.step(1, 0)),
    )


REWARD_MODELS: dict[str, dict[str, Any]] = {
    "pairwise": {"margin": 0.3, "label_smoothing": 0.1},
    "davidson": {"ties": "davidson"},
    "best-of-k": {"loss": "best-of-k"},
    "plackett-luce": {"loss": "plackett-luce"},
    "regression": {"loss": "regression", "rankings_per_step": 5},
    "binary": {"loss": "binary", "rankings_per_step": 5},
    "criteria": {"criteria": ["helpful", "harmless"]},
    "marks": {"loss": "regression", "criteria": ["helpful", "harmless"]},
    "length": {"length_penalty": 3.0},
    "lm": {"lm_coef": 0.3},
}


@pytest.mark.parametrize("name", REWARD_MODELS)
def test_reward_model(name: str, checkpoint: Built) -> None:
    whole, split = (reward_model(checkpoint("llama"), tokens=budget, **REWARD_MODELS[name]) for budget in (8192, 64))
    step = 3  # after the warm-up, when the length penalty has set in
    assert len(split_by_tokens([whole.examples[i].padded_tokens for i in whole.plan[step]], 64)) > 1
    alike(
        gradients_of([whole.model, whole.objective], lambda: whole.step(step, 0)),
        gradients_of([split.model, split.objective], lambda: split.step(step, 0)),
    )


@pytest.mark.parametrize("entropy_coef", [0.0, 0.01])
def test_ppo(entropy_coef: float, checkpoint: Built) -> None:
    whole, split = (
        reinforcement(checkpoint("qwen3"), tokens=budget, minibatches=1, epochs=1, entropy_coef=entropy_coef)
        for budget in (8192, 64)
    )
    alike(
        gradients_of(_models(whole), lambda: whole.step(0, 0)),
        gradients_of(_models(split), lambda: split.step(0, 0)),
    )


@pytest.mark.parametrize(
    "name",
    [
        "a2c",
        "rloo, k3",
        "grpo, mean over sequences",
        "dr grpo",
        "gspo",
        "cispo",
        "expert iteration, best two",
        "online dpo, soft",
    ],
)
def test_other_algorithms(name: str, checkpoint: Built) -> None:
    whole, split = (on_policy(checkpoint("qwen3"), VARIANTS[name], tokens=budget, group=4) for budget in (8192, 64))
    alike(
        gradients_of(_models(whole), lambda: whole.step(0, 0)),
        gradients_of(_models(split), lambda: split.step(0, 0)),
    )


@pytest.mark.parametrize("name", PREFERENCES)
def test_preference_losses(name: str, checkpoint: Built) -> None:
    settings = PREFERENCES[name](**({"kl_coef": 1.0} if "kl_coef" in PREFERENCES[name].model_fields else {}))
    whole, split = (preference(checkpoint("llama"), settings, tokens=budget) for budget in (8192, 64))
    for training in (whole, split):  # to where the log-ratios, and KTO's reference point, are not 0
        training.step(0, 0)
    alike(
        gradients_of([whole.model], lambda: whole.step(1, 0)),
        gradients_of([split.model], lambda: split.step(1, 0)),
    )


def _models(training: RLTraining) -> list[nn.Module]:
    found = [training.parts.policy.model, training.parts.value_model]
    return [model for model in found if model is not None]
