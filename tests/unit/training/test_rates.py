"""The step sizes of RL: the policy's rises while the values are learnt, then both fall linearly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.checkpoints import Shape
from tests.unit.training.building import STEPS, reinforcement

Built = Callable[[Shape], Path]


@pytest.mark.parametrize(("share", "expected"), [(1.0, [1.0, 1.0, 1.0]), (0.0, [1.0, 1 - 2 / STEPS, 1 / STEPS])])
def test_step_sizes_fall_to_the_share_asked_for(checkpoint: Built, share: float, expected: list[float]) -> None:
    training = reinforcement(
        checkpoint("llama"), final_learning_rate_share=share, learning_rate=1e-3, value_learning_rate=1e-2
    )
    assert training.value_optimiser is not None
    for index, wanted in zip((0, 2, STEPS - 1), expected, strict=True):
        training.step(index, 0)
        for optimiser, peak in ((training.optimiser, 1e-3), (training.value_optimiser, 1e-2)):
            rates = {group["lr"] for adam, _ in optimiser.optimizers for group in adam.param_groups}
            assert list(rates) == [pytest.approx(peak * wanted)]


def test_the_policy_waits_for_the_values(checkpoint: Built) -> None:
    training = reinforcement(checkpoint("llama"), final_learning_rate_share=1.0, learning_rate=1e-3, warmup_steps=2)
    assert training.value_optimiser is not None
    for index, risen in ((0, 0.0), (1, 0.5), (2, 1.0), (3, 1.0)):
        before = {name: tensor.detach().clone() for name, tensor in training.tensors().items()}
        training.step(index, 0)
        after = training.tensors()
        changed = {name for name in before if not torch.equal(after[name], before[name])}
        assert any(name.startswith("policy.") for name in changed) == (risen > 0)
        assert any(name.startswith("value.") for name in changed)
        rates = {group["lr"] for adam, _ in training.optimiser.optimizers for group in adam.param_groups}
        assert list(rates) == [pytest.approx(1e-3 * risen)]
