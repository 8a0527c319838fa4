"""Rollouts drawn one step ahead: whose they are, that they come through a kill, and that they are corrected for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from assent.config import RLOOSettings, Settings
from assent.rollouts.local import LocalGenerator
from assent.training.loop import LoopSettings, read_metrics, run_steps
from assent.training.rl import RLTraining
from assent.types.protocols import Silent
from tests.checkpoints import Shape
from tests.unit.training.building import STEPS, on_policy
from tests.unit.training.test_resume import Killed, KilledAt, same_bits

Built = Callable[[Shape], Path]


def overlapped(path: Path, rate: float = 1e-2, overlap: bool = True, bf16: bool = False) -> RLTraining:
    made = on_policy(
        path, RLOOSettings(learning_rate=rate, rollout_correction="token-truncate", rollout_weight_max=1.5)
    )
    parts = made.parts
    if bf16:
        object.__setattr__(
            parts, "generator", LocalGenerator(parts.policy.model, range(0, 400, 10), lambda: "t", bf16=True)
        )
    settings = made.settings.model_copy(update={"overlap": overlap})
    return RLTraining(parts, settings, made.hyper, made.sampling, 11, made.compute)


@pytest.mark.parametrize("bf16", [False, True])
def test_they_are_those_of_the_policy_before_the_update(checkpoint: Built, bf16: bool) -> None:
    before = overlapped(checkpoint("llama"), bf16=bf16)._draw(1, 0)
    training = overlapped(checkpoint("llama"), bf16=bf16)
    first = training.step(0, 0)
    after = training._draw(1, 0)
    assert training.ahead is not None
    ((_, _, drawn),) = training.ahead.values()
    assert [each["completion_ids"] for each in drawn] == [list(each.completion_ids) for each in before]
    assert [each["rollout_logprobs"] for each in drawn] == [list(each.rollout_logprobs) for each in before]
    assert [each.rollout_logprobs for each in after] != [each.rollout_logprobs for each in before]
    second = training.step(1, 0)
    assert second["mismatch_max"] > 0.05 > first["mismatch_max"]
    assert (
        first["rollout_weight"] == pytest.approx(1.0, abs=0.01) and second["rollout_weight"] != first["rollout_weight"]
    )
    assert training.waited > 0.0


def test_a_policy_that_does_not_move_is_the_same_one_step_before(checkpoint: Built) -> None:
    ahead, plain = (overlapped(checkpoint("llama"), 1e-30, overlap) for overlap in (True, False))
    for index in range(3):
        ours, theirs = ahead.step(index, 0), plain.step(index, 0)
        assert ours == theirs
    assert plain.waited == 0.0 and plain.values()["ahead"] is None


def test_it_goes_on_to_the_same_bits(checkpoint: Built, tmp_path: Path) -> None:
    whole = overlapped(checkpoint("llama"))
    run_steps(whole, tmp_path / "whole", LoopSettings(STEPS, 2), Silent(), "rl")
    for death in (3, 5, None):
        last = overlapped(checkpoint("llama"))
        if death is None:
            run_steps(last, tmp_path / "cut", LoopSettings(STEPS, 2), Silent(), "rl")
            continue
        with pytest.raises(Killed):
            run_steps(last, tmp_path / "cut", LoopSettings(STEPS, 2), KilledAt(death), "rl")
    same_bits(whole, last)
    assert read_metrics(tmp_path / "whole") == read_metrics(tmp_path / "cut")
    assert whole.ahead is not None and whole.ahead.values() == [], "nothing is drawn after the last step"


def test_after_a_roll_back_others_are_drawn(checkpoint: Built) -> None:
    training = overlapped(checkpoint("llama"))
    training.step(0, 0)
    assert training.ahead is not None
    state = training.values()["ahead"]
    assert training.ahead.take(1, 1) is None and training.ahead.take(1, 0) is not None
    training.ahead.restore(state)
    training.step(1, 1)
    assert training.ahead.take(2, 0) is None and training.ahead.take(2, 1) is not None
    training.ahead.finish()
    assert training.waited == 0.0


def test_what_goes_wrong_there_is_told(checkpoint: Built) -> None:
    training = overlapped(checkpoint("llama"))
    real = training._draw

    def broken(index: int, attempt: int | str) -> list:
        if index == 1:
            raise RuntimeError("no more tokens")
        return real(index, attempt)

    assert training.ahead is not None
    training.ahead._draw = broken
    with pytest.raises(RuntimeError, match="no more tokens"):
        training.step(0, 0)
    assert isinstance(training.parts.generator, LocalGenerator) and training.parts.generator._held is None


def test_the_threads_share_what_is_compiled(checkpoint: Built) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        training = overlapped(checkpoint("llama"), bf16=True)
        for index in range(STEPS):
            training.step(index, 0)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "set algorithm.rollout_correction"),
        (
            {"algorithm": {"type": "ppo", "rollout_correction": "token-mask", "kl_budget": 5.0}},
            "algorithm.kl_budget is",
        ),
        (
            {"algorithm": {"type": "ppo", "rollout_correction": "token-mask", "kl_target": 5.0}},
            "algorithm.kl_target is",
        ),
        ({"rl": {"overlap": True, "environment": "chain"}}, "leave it out with rl.environment"),
    ],
)
def test_what_does_not_go_with_it_is_refused(settings: dict, said: str) -> None:
    given = {"task": "household", "rl": {"overlap": True}, **settings}
    if "environment" in given["rl"]:
        del given["task"]
    with pytest.raises(ValueError, match=said):
        Settings.model_validate(given)
