"""Tokens per second of the three things the loop spends its time on, with the default model and settings.

The model is untrained, so nearly every completion runs to `sampling.max_new_tokens`: the slowest case of sampling.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from assent.algorithms.choice import algorithm_of
from assent.config import Settings
from assent.data.chat import ChatFormat
from assent.data.tokenizer import train_tokenizer
from assent.models.loading import build_llama, stop_ids
from assent.models.policy import Policy
from assent.models.scalar import load_scalar_model
from assent.rewards.scorer import CallableScorer
from assent.rollouts.local import LocalGenerator
from assent.tasks import load_world
from assent.training.language_model import LanguageModelTraining, packed_examples
from assent.training.rl import RLParts, RLTraining
from assent.types.protocols import SamplingParams
from assent.types.rollout import GenerationRequest

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Speed:
    """One measurement."""

    name: str
    amount: float  # of `unit` in one run, the median of the runs
    unit: str
    seconds: list[float]  # of each run

    @property
    def median(self) -> float:
        """Seconds of a run."""
        return statistics.median(self.seconds)

    @property
    def per_second(self) -> float:
        """The figure to compare."""
        return self.amount / self.median


def describe(threads: int | None) -> str:
    """Where it was measured, after setting the threads."""
    if threads is not None:
        torch.set_num_threads(threads)
    return f"torch {torch.__version__}, CPU, {torch.get_num_threads()} threads"


def measure_all(repeats: int) -> list[Speed]:
    """Pretraining steps, sampling, and PPO steps on the bundled task."""
    settings = Settings.model_validate({"task": "household"})
    world = load_world("household")
    texts = world.pretraining_texts(0)
    tokenizer = train_tokenizer(texts, settings.model.shape.vocab_size, settings.model.shape.context)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        build_llama(settings.model.shape, tokenizer, seed=0).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        chat = ChatFormat(tokenizer, settings.prompts.template)
        return [
            _pretraining(settings, folder, [chat.completion_ids(text) for text in texts[:1000]], repeats),
            *_sampling_and_ppo(settings, folder, chat, world, repeats),
        ]


def _pretraining(settings: Settings, folder: Path, documents: list[list[int]], repeats: int) -> Speed:
    policy = Policy(folder, folder, settings.model.lora, "float32", CPU, seed=0)
    examples = packed_examples(documents, settings.model.shape.context)
    stage = LanguageModelTraining(policy.model, examples, settings.pretrain, 0, settings.compute)
    return _timed("pretraining step", "tokens", lambda run: stage.step(run, 0)["tokens"], repeats)


def _sampling_and_ppo(settings: Settings, folder: Path, chat: ChatFormat, world: Any, repeats: int) -> list[Speed]:
    policy = Policy(folder, folder, settings.model.lora, "float32", CPU, seed=0)
    stops = stop_ids(policy.model, chat.tokenizer)
    generator = LocalGenerator(policy.model, stops, lambda: "benchmark", settings.sampling.batch_size)
    sampling = SamplingParams(settings.sampling.temperature, settings.sampling.max_new_tokens)
    prompts = world.prompts("train")
    prompt_ids = [chat.prompt_ids(prompt) for prompt in prompts]
    requests = [GenerationRequest(ids) for ids in prompt_ids[: settings.sampling.batch_size]]

    def sample(run: int) -> float:
        return float(sum(len(written.token_ids) for written in generator.generate(requests, sampling, run)))

    value_model = load_scalar_model(folder, fresh_head_seed=0)
    scorer = CallableScorer(lambda prompts, texts: [-float(len(text)) for text in texts], "brevity")
    parts = RLParts(
        policy, value_model, algorithm_of(settings.algorithm), generator, scorer, chat, prompts, prompt_ids, CPU
    )
    training = RLTraining(parts, settings.rl, settings.algorithm, sampling, 0, settings.compute)

    def ppo(run: int) -> float:
        training.step(run, 0)
        return float(settings.rl.rollouts_per_step)

    return [_timed("sampling", "tokens", sample, repeats), _timed("PPO step, all of it", "rollouts", ppo, repeats)]


def _timed(name: str, unit: str, run: Callable[[int], float], repeats: int) -> Speed:
    run(0)  # the first one also warms caches
    amounts, seconds = [], []
    for number in range(1, repeats + 1):
        started = time.perf_counter()
        amounts.append(run(number))
        seconds.append(time.perf_counter() - started)
    return Speed(name, statistics.median(amounts), unit, seconds)
