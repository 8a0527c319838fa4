"""Weights that a run goes back to: the best that were measured, whatever came between."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from assent.config import RLOOSettings
from assent.stages.environment import standing
from assent.training.loop import LoopSettings, run_steps
from assent.training.rl import RLTraining
from assent.training.snapshot import Best
from assent.types.protocols import Silent
from tests.checkpoints import Shape
from tests.unit.training.building import STEPS, on_policy
from tests.unit.training.test_resume import Killed, KilledAt, same_bits

Built = Callable[[Shape], Path]
MEASURED = [9.0, 0.1, 0.5, math.nan, 0.5, 0.2, 0.4]  # before each step, and after the last


def worth(figures: Mapping[str, float]) -> tuple[float, ...]:
    return (figures["proxy"],)


def measured(path: Path, figures: list[float]) -> RLTraining:
    made = on_policy(path, RLOOSettings(learning_rate=1e-2))
    settings = made.settings.model_copy(update={"evaluate_every": 1})
    best = Best(made.parts.policy.model, worth)
    return RLTraining(
        made.parts, settings, made.hyper, made.sampling, 11, made.compute, lambda i: {"proxy": figures[i]}, best
    )


@pytest.mark.parametrize(("last", "kept"), [(0.4, 4), (0.5, STEPS), (math.inf, 4)])
def test_the_best_weights_come_back_through_a_kill(checkpoint: Built, tmp_path: Path, last: float, kept: int) -> None:
    figures = [*MEASURED[:-1], last]
    for death in (3, 5, None):
        training = measured(checkpoint("llama"), figures)
        if death is not None:
            with pytest.raises(Killed):
                run_steps(training, tmp_path / "run", LoopSettings(STEPS, 2), KilledAt(death), "rl")
            continue
        run_steps(training, tmp_path / "run", LoopSettings(STEPS, 2), Silent(), "rl")
    assert training.best is not None
    training.best.consider(STEPS, {"proxy": last})
    assert training.best.put_back()
    assert (training.best.step, training.best.figures) == (kept, {"proxy": 0.5})
    again = measured(checkpoint("llama"), figures)
    for index in range(kept):
        again.step(index, 0)
    ours, theirs = training.tensors(), again.tensors()
    names = [name for name in theirs if name.startswith("policy.")]
    assert names and all(torch.equal(ours[name], theirs[name]) for name in names)


def test_a_checkpoint_holds_the_best(checkpoint: Built) -> None:
    training, again = (measured(checkpoint("llama"), MEASURED) for _ in range(2))
    for index in range(3):
        training.step(index, 0)
    again.restore(training.tensors(), training.values())
    same_bits(training, again)
    assert again.values()["best"] == {"step": 2, "figures": {"proxy": 0.5}}


def test_nothing_measured_leaves_the_last(checkpoint: Built) -> None:
    training = measured(checkpoint("llama"), [math.nan] * 7)
    training.step(0, 0)
    training.step(1, 0)
    assert training.best is not None and not training.best.put_back()


def test_an_examination_counts_what_was_lost_before_what_was_won() -> None:
    sure = {"first_lost_games": 0.0, "first_mean": 0.2, "second_lost_games": 1.0, "second_mean": 0.1, "proxy": 0.0}
    bold = {**sure, "second_lost_games": 2.0, "first_mean": 1.0, "proxy": 1.0}
    found = [standing(each) for each in (sure, bold, {"proxy": 1.0})]
    assert found == [(-1.0, pytest.approx(0.3)), (-2.0, pytest.approx(1.1)), None]
