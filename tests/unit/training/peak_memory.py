"""Run by test_memory.py in a process of its own: what trainings said they need, and took, in bytes."""

from __future__ import annotations

import gc
import random
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from assent.config import DPOSettings, PPOSettings
from assent.config.reward_model import RewardModelSettings
from assent.config.settings import LanguageModelSettings, RLSettings
from assent.models.loading import load_causal_lm
from assent.models.packed import padded
from assent.models.scalar import load_scalar_model
from assent.training.language_model import LanguageModelTraining
from assent.training.loop import LoopSettings, run_steps
from assent.training.preference import preference_training
from assent.training.reference import Example
from assent.training.reward_examples import Example as RewardExample
from assent.training.reward_examples import Pair
from assent.training.reward_model import RewardModelTraining
from assent.training.rl import RLTraining
from assent.types.messages import user_prompt
from assent.types.protocols import SamplingParams, Silent
from tests.unit.training.building import compute, on_policy

CHANCE = random.Random(0)


def tokens(count: int) -> list[int]:
    return [CHANCE.randrange(20, 390) for _ in range(count)]


def training_of(kind: str, path: Path, microbatch: int) -> Any:
    if kind in ("sft", "padded", "wide", "wide padded"):
        examples = [(tokens(60), tokens(CHANCE.randrange(100, 190))) for _ in range(48)]
        learning = LanguageModelSettings(steps=2, tokens_per_step=6000, warmup_steps=1, optimizer="adamw")
        model = load_causal_lm(path).train()
        if "wide" in kind:
            model.resize_token_embeddings(50_000)
        return LanguageModelTraining(model, examples, learning, 3, compute(microbatch))
    if kind == "reward":
        sequences = [((tokens(60), tokens(150)), (tokens(60), tokens(180))) for _ in range(32)]
        judged = [RewardExample(each, (Pair(0, 0, 1, 1.0, 1.0),)) for each in sequences]
        settings = RewardModelSettings(rankings_per_step=16, epochs=1.0)
        model = load_scalar_model(path, fresh_head_seed=2).train()
        return RewardModelTraining(model, judged, settings, 3, compute(microbatch))
    if kind == "dpo":
        pairs = [Example(tokens(60), (tokens(150), tokens(180)), 1.0) for _ in range(32)]
        plan = [list(range(16)), list(range(16, 32))]
        model = load_causal_lm(path).train()
        return preference_training(model, pairs, torch.zeros(32, 2), plan, DPOSettings(), 1.0, compute(microbatch))
    made = on_policy(path, PPOSettings(epochs=1, minibatches=2))
    made.parts.generator.stop_ids = frozenset()
    prompts = [user_prompt(f"What of {'many ' * 20}things, number {i}?") for i in range(12)]
    parts = replace(made.parts, prompts=prompts, prompt_ids=[made.parts.chat.prompt_ids(each) for each in prompts])
    rl = RLSettings(steps=2, rollouts_per_step=12)
    return RLTraining(parts, rl, made.hyper, SamplingParams(0.9, 60), 11, compute(microbatch))


def status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def main() -> None:
    torch.set_num_threads(1)
    path, microbatch, place = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    for kind in sys.argv[4:]:
        with padded() if "padded" in kind else nullcontext():
            measure(kind, path, microbatch, place)


def measure(kind: str, path: Path, microbatch: int, place: Path) -> None:
    training_of(kind, path, 512).step(0, 0)  # what is loaded and compiled once
    training = training_of(kind, path, microbatch)
    need = training.memory().total()
    gc.collect()
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    run_steps(training, place / kind, LoopSettings(2, 2), Silent(), kind)
    print(kind.replace(" ", "-"), need, status("VmHWM") - before)


if __name__ == "__main__":
    main()
