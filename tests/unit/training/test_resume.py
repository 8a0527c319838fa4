"""k steps, a stop, and N - k steps give the bits that N steps give."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from assent.config import (
    A2CSettings,
    DPOSettings,
    ExpertIterationSettings,
    GRPOSettings,
    KTOSettings,
    OnlineDPOSettings,
    PPOSettings,
    ReinforcePlusPlusSettings,
    ReinforceSettings,
    RLOOSettings,
    SimPOSettings,
)
from assent.training.interrupt import catching_signals
from assent.training.loop import LoopSettings, Stage, read_metrics, run_steps
from assent.types.errors import Interrupted
from assent.types.protocols import Silent
from tests.checkpoints import Shape
from tests.unit.training.building import (
    STEPS,
    hybrid,
    language_model,
    on_policy,
    preference,
    reinforcement,
    reward_model,
)

Built = Callable[[Shape], Path]
SETTINGS = LoopSettings(STEPS, checkpoint_every=2)
CRITERIA = ["helpful", "harmless"]

FAST = {"learning_rate": 1e-3, "kl_coef": 0.2, "kl_target": 0.5, "kl_horizon": 100}
BESIDE = {"kl_budget": 50.0, "cost_limit": 1.0, "ptx_coef": 0.5, "sft_coef": 0.2}

STAGES: dict[str, Callable[[Built], Stage]] = {
    "adamw": lambda built: language_model(built("gpt2"), "adamw"),
    "muon": lambda built: language_model(built("llama"), "muon"),
    "reward": lambda built: reward_model(built("qwen3")),
    "best-of-k": lambda built: reward_model(built("llama"), "best-of-k", epochs=3.6),
    "plackett-luce": lambda built: reward_model(built("llama"), "plackett-luce"),
    "davidson": lambda built: reward_model(built("llama"), ties="davidson"),
    "margin": lambda built: reward_model(built("llama"), ties="drop", margin=0.2, label_smoothing=0.1),
    "regression": lambda built: reward_model(built("qwen3"), "regression", huber_delta=0.5, epochs=1.5),
    "binary": lambda built: reward_model(built("gpt2"), "binary", epochs=1.5),
    "criteria": lambda built: reward_model(built("llama"), criteria=CRITERIA),
    "marks": lambda built: reward_model(built("llama"), "regression", criteria=CRITERIA),
    "length": lambda built: reward_model(built("llama"), length_penalty=2.0),
    "lm": lambda built: reward_model(built("qwen3"), lm_coef=0.1),
    "rl": lambda built: reinforcement(built("llama")),
    "rl-lora": lambda built: reinforcement(built("gpt2"), rank=2),
    "a2c": lambda built: on_policy(built("llama"), A2CSettings(**FAST)),
    "reinforce": lambda built: on_policy(built("llama"), ReinforceSettings(**FAST, minibatches=2)),
    "rloo": lambda built: on_policy(built("gpt2"), RLOOSettings(**FAST), rank=2),
    "reinforce++": lambda built: on_policy(built("llama"), ReinforcePlusPlusSettings(**FAST, baseline="group-mean")),
    "grpo": lambda built: on_policy(
        built("qwen3"),
        GRPOSettings(**FAST, epochs=2, minibatches=2, loss_mean="sequences", rollout_correction="token-mask"),
        group=4,
    ),
    "expert-iteration": lambda built: on_policy(built("llama"), ExpertIterationSettings(**FAST, keep=2), group=4),
    "online-dpo": lambda built: on_policy(built("llama"), OnlineDPOSettings(**FAST), group=4),
    "everything beside": lambda built: hybrid(built("qwen3"), ReinforceSettings(**FAST, **BESIDE, minibatches=2)),
    "everything beside, lora": lambda built: hybrid(built("gpt2"), PPOSettings(**FAST, **BESIDE), rank=2),
    "dpo": lambda built: preference(built("llama"), DPOSettings(ties="learn")),
    "kto": lambda built: preference(built("gpt2"), KTOSettings(), rank=2),
    "simpo": lambda built: preference(built("qwen3"), SimPOSettings()),
}


class Killed(BaseException):
    """What kill -9 looks like from inside: nothing more is done."""


class KilledAt(Silent):
    def __init__(self, step: int) -> None:
        self.step = step

    def advance(self, done: int, headline: str = "") -> None:
        if done == self.step:
            raise Killed


class StoppedAt(Silent):
    """Sends the process a real SIGTERM in the middle of a step's bookkeeping."""

    def __init__(self, step: int) -> None:
        self.step = step

    def advance(self, done: int, headline: str = "") -> None:
        if done == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


def same_bits(first: Stage, second: Stage) -> None:
    assert first.values() == second.values()
    ours, theirs = first.tensors(), second.tensors()
    assert ours.keys() == theirs.keys()
    different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert not different


def same_metrics(first: Path, second: Path) -> None:
    assert (first / "metrics.jsonl").read_bytes() == (second / "metrics.jsonl").read_bytes()
    assert [row["step"] for row in read_metrics(first)] == list(range(1, STEPS + 1))


@pytest.mark.parametrize("name", STAGES)
def test_resume_is_exact(name: str, checkpoint: Built, tmp_path: Path) -> None:
    whole = STAGES[name](checkpoint)
    run_steps(whole, tmp_path / "whole", SETTINGS, Silent(), name)
    # Killed at step 3, so step 3 is lost and done again from the checkpoint of step 2; killed in that one's first
    # step, too; then stopped politely at step 5, which saves that very step.
    for death in (3, 3, None):
        stage = STAGES[name](checkpoint)
        if death is not None:
            with pytest.raises(Killed):
                run_steps(stage, tmp_path / "cut", SETTINGS, KilledAt(death), name)
            continue
        with (
            catching_signals(),
            pytest.raises(Interrupted, match=f"SIGTERM: {re.escape(name)}: step 5 of {STEPS} is saved"),
        ):
            run_steps(stage, tmp_path / "cut", SETTINGS, StoppedAt(5), name)
    last = STAGES[name](checkpoint)
    run_steps(last, tmp_path / "cut", SETTINGS, Silent(), name)
    same_bits(whole, last)
    same_metrics(tmp_path / "whole", tmp_path / "cut")


def test_the_adaptive_coefficient_moves_and_is_kept(checkpoint: Built, tmp_path: Path) -> None:
    stage = reinforcement(checkpoint("llama"))
    run_steps(stage, tmp_path, LoopSettings(2, checkpoint_every=2), Silent(), "rl")
    assert stage.kl_coef != 0.2
    assert stage.updates > 0
    again = reinforcement(checkpoint("llama"))
    assert again.kl_coef == 0.2
    run_steps(again, tmp_path, LoopSettings(2, checkpoint_every=2), Silent(), "rl")
    assert (again.kl_coef, again.updates) == (stage.kl_coef, stage.updates)


def test_a_run_that_is_done_is_left_as_it_is(checkpoint: Built, tmp_path: Path) -> None:
    stage = language_model(checkpoint("llama"))
    run_steps(stage, tmp_path, SETTINGS, Silent(), "sft")
    before = (tmp_path / "metrics.jsonl").read_bytes()
    again = language_model(checkpoint("llama"))
    run_steps(again, tmp_path, SETTINGS, KilledAt(1), "sft")
    same_bits(stage, again)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before
