"""A non-finite step changes nothing; several in a row roll back; and again after that, training halts."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from assent.training.interrupt import catching_signals
from assent.training.language_model import LanguageModelTraining
from assent.training.loop import LoopSettings, read_metrics, run_steps
from assent.training.optimiser import GuardedOptimiser
from assent.types.errors import Interrupted, TrainingHalted
from assent.types.protocols import Silent
from tests.checkpoints import Shape
from tests.unit.training.building import STEPS, language_model, reinforcement

Built = Callable[[Shape], Path]


class Poisoned:
    """A real training whose backward pass gives NaN at the (attempt, step) pairs that `when` picks."""

    def __init__(self, path: Path, when: Callable[[int, int], bool]) -> None:
        self.training: LanguageModelTraining = language_model(path)
        self.values, self.tensors, self.restore = (
            self.training.values,
            self.training.tensors,
            self.training.restore,
        )
        self.seen: list[tuple[int, int]] = []
        self._when, self._now = when, (0, 0)
        next(self.training.model.parameters()).register_hook(self._spoil)

    def step(self, index: int, attempt: int) -> dict[str, float]:
        self._now = (attempt, index)
        self.seen.append(self._now)
        return self.training.step(index, attempt)

    def _spoil(self, gradient: Tensor) -> Tensor:
        return gradient * float("nan") if self._when(*self._now) else gradient


def copies(stage: Poisoned) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in stage.tensors().items()}


def test_a_non_finite_step_changes_nothing(checkpoint: Built) -> None:
    stage = Poisoned(checkpoint("llama"), lambda attempt, step: step == 1)
    stage.step(0, 0)
    before = copies(stage)
    assert stage.step(1, 0) == {"skipped": 1.0}
    after = copies(stage)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(weight.grad is None for weight in stage.training.model.parameters())
    assert "skipped" not in stage.step(2, 0)


def test_skipped_steps_are_counted_and_passed(checkpoint: Built, tmp_path: Path) -> None:
    stage = Poisoned(checkpoint("llama"), lambda attempt, step: step in (1, 2, 4))
    run_steps(stage, tmp_path, LoopSettings(STEPS, 2, max_nonfinite_steps=3), Silent(), "sft")
    assert [row["step"] for row in read_metrics(tmp_path) if row.get("skipped")] == [2, 3, 5]
    assert stage.seen == [(0, step) for step in range(STEPS)]


def test_a_row_of_them_rolls_back_and_goes_on_with_other_numbers(checkpoint: Built, tmp_path: Path) -> None:
    stage = Poisoned(checkpoint("llama"), lambda attempt, step: attempt == 0 and step >= 3)
    run_steps(stage, tmp_path, LoopSettings(STEPS, 2, max_nonfinite_steps=2), Silent(), "sft")
    # The checkpoint of step 2 was the last good one; step 4's held a skipped step, after which came the second.
    assert stage.seen == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 4), (1, 5)]
    rows = read_metrics(tmp_path)
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert [row["step"] for row in rows if row.get("skipped")] == [4]


def test_a_stop_does_not_change_where_a_roll_back_goes(checkpoint: Built, tmp_path: Path) -> None:
    """What a signal had saved between two scheduled checkpoints is gone on from, and never rolled back to."""

    def spoilt(attempt: int, step: int) -> bool:
        return attempt == 0 and step >= 3

    settings = LoopSettings(STEPS, 2, max_nonfinite_steps=2)
    whole = Poisoned(checkpoint("llama"), spoilt)
    run_steps(whole, tmp_path / "whole", settings, Silent(), "sft")
    first = Poisoned(checkpoint("llama"), lambda attempt, step: spoilt(attempt, step) or stop_after(2, step))
    with catching_signals(), pytest.raises(Interrupted, match="step 3 of"):
        run_steps(first, tmp_path / "cut", settings, Silent(), "sft")
    kept = sorted(path.name for path in (tmp_path / "cut" / "checkpoints").iterdir())
    assert kept == ["step-000002", "stopped-000003"]
    again = Poisoned(checkpoint("llama"), spoilt)
    run_steps(again, tmp_path / "cut", settings, Silent(), "sft")
    assert again.seen == [(0, 3), (0, 4), (1, 4), (1, 5)]
    assert (tmp_path / "cut" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    assert all(torch.equal(copies(again)[name], tensor) for name, tensor in copies(whole).items())
    assert not list((tmp_path / "cut" / "checkpoints").glob("stopped-*"))


def stop_after(last: int, step: int) -> bool:
    """Sends this process a SIGTERM during the step `last`; never spoils it."""
    if step == last:
        os.kill(os.getpid(), signal.SIGTERM)
    return False


def test_a_second_row_halts(checkpoint: Built, tmp_path: Path) -> None:
    stage = Poisoned(checkpoint("llama"), lambda attempt, step: step >= 2)
    with pytest.raises(TrainingHalted, match=r"sft: 2 steps in a row .*again after a roll-back"):
        run_steps(stage, tmp_path, LoopSettings(STEPS, 2, max_nonfinite_steps=2), Silent(), "sft")
    assert stage.seen == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]


def test_without_a_checkpoint_there_is_nothing_to_roll_back_to(checkpoint: Built, tmp_path: Path) -> None:
    stage = Poisoned(checkpoint("llama"), lambda attempt, step: True)
    with pytest.raises(TrainingHalted, match="before the first checkpoint"):
        run_steps(stage, tmp_path, LoopSettings(STEPS, 5, max_nonfinite_steps=2), Silent(), "sft")
    assert len(json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])) == 2


def test_ppo_skips_a_step_whose_gradients_are_not_finite(checkpoint: Built) -> None:
    training = reinforcement(checkpoint("llama"))
    weight = next(training.parts.policy.model.parameters())
    hook = weight.register_hook(lambda gradient: gradient * float("nan"))
    before = {name: tensor.detach().clone() for name, tensor in training.tensors().items()}
    assert training.step(0, 0) == {"skipped": 1.0, "nonfinite": 4.0}  # 2 epochs of 2 minibatches
    after = training.tensors()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (training.kl_coef, training.updates) == (0.2, 0)
    hook.remove()
    metrics = training.step(1, 0)
    assert "skipped" not in metrics
    assert (metrics["nonfinite"], metrics["updates"]) == (0.0, 4.0)


class SpoiltAt:
    """Makes the gradients of a model's first parameter NaN, in the n-th backward pass alone."""

    def __init__(self, model: torch.nn.Module, number: int) -> None:
        self.passes, self._number = 0, number
        next(value for value in model.parameters() if value.requires_grad).register_hook(self._spoil)

    def _spoil(self, gradient: Tensor) -> Tensor:
        self.passes += 1
        return gradient * float("nan") if self.passes == self._number else gradient


@pytest.mark.parametrize("spoilt", ["policy", "value"])
def test_a_non_finite_minibatch_leaves_both_models_as_they_are(checkpoint: Built, spoilt: str) -> None:
    # One minibatch a step, so that the whole of its effect can be seen; the second epoch finds it finite.
    training = reinforcement(checkpoint("llama"), minibatches=1, epochs=2)
    policy, value = training.parts.policy.model, training.parts.value_model
    assert value is not None and training.value_optimiser is not None
    SpoiltAt(policy if spoilt == "policy" else value, 1)
    applied: list[bool] = []
    before = {name: tensor.detach().clone() for name, tensor in training.tensors().items()}

    def unchanged() -> bool:
        now = training.tensors()
        return now.keys() == before.keys() and all(torch.equal(before[name], now[name]) for name in now)

    apply = training._apply

    def watched(index: int) -> float | None:
        norm = apply(index)
        applied.append(norm is not None)
        if norm is None:
            assert unchanged()
        return norm

    training._apply = watched  # type: ignore[method-assign]
    metrics = training.step(0, 0)
    assert applied == [False, True]
    assert not unchanged()
    assert (metrics["nonfinite"], metrics["updates"], training.updates) == (1.0, 1.0, 1)
    assert "skipped" not in metrics and math.isfinite(metrics["grad_norm"])


def test_gradients_are_clipped_and_the_norm_before_is_told() -> None:
    layer = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    optimiser = GuardedOptimiser(layer, 0.1, 0.0, max_grad_norm=1.0)
    layer.weight.grad = torch.tensor([[3.0, 4.0]])
    assert optimiser.apply() == pytest.approx(5.0)
    # Adam's first step is the learning rate times the sign, whatever the clipped size.
    torch.testing.assert_close(layer.weight.detach(), torch.tensor([[-0.1, -0.1]]), atol=1e-6, rtol=0)
    state = optimiser.tensors("adam")["adam0.0.exp_avg"]
    torch.testing.assert_close(state, 0.1 * torch.tensor([[0.6, 0.8]]), atol=1e-6, rtol=0)
    assert layer.weight.grad is None
