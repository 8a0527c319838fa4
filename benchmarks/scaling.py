"""How a GRPO step grows with rollouts, prompts, completions, vocabulary and model: `python -m benchmarks.scaling`.

Llama models of random weights are given prompts of random tokens, 8 completions each. One thing is varied at a time,
from 64 rollouts, prompts of 32 tokens, completions of 32, a vocabulary of 4,096 and 5 million parameters. Completions
are all of one length, but for the two lines on their spread, where each token ends one with the same chance. Of each
setting the second and third step are timed, and the quicker one counts.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

if "OMP_WAIT_POLICY" not in os.environ:  # read once, when torch is imported
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

import tempfile

import torch

from assent.algorithms.choice import algorithm_of
from assent.config.algorithm import GRPOSettings
from assent.config.settings import ComputeSettings, LoraSettings, RLSettings
from assent.data.chat import ChatFormat
from assent.data.tokenizer import train_tokenizer
from assent.models.policy import Policy
from assent.rewards.scorer import CallableScorer
from assent.rollouts.local import LocalGenerator
from assent.tasks import load_world
from assent.training.precision import choose_device, has_bf16
from assent.training.rl import RLParts, RLTraining
from assent.types.messages import user_prompt
from assent.types.protocols import SamplingParams

GROUP = 8


@dataclass(frozen=True)
class Case:
    """One setting."""

    rollouts: int = 64
    prompt: int = 32
    completion: int = 32
    spread: bool = False  # completions end by chance: of `completion` tokens on average, of four times as many at most
    vocabulary: int = 4096
    hidden: int = 256
    layers: int = 4

    @property
    def tokens(self) -> int:
        """That are read or written for a rollout, the shared prompt counted once for its group."""
        return self.prompt // GROUP + self.completion


START = Case()
CASES: dict[str, list[Case]] = {
    "rollouts": [replace(START, rollouts=n) for n in (64, 256, 1024, 4096)],
    "completion": [replace(START, completion=n) for n in (32, 64, 128, 256)],
    "prompt": [replace(START, prompt=n) for n in (32, 128, 512, 2048)],
    "spread": [replace(START, completion=24, spread=spread) for spread in (False, True)],
    "vocabulary": [replace(START, vocabulary=n) for n in (4096, 16384, 49152, 150_000)],
    "model": [replace(START, hidden=h, layers=n) for h, n in ((256, 4), (384, 8), (576, 30))],
}


def seconds(case: Case) -> tuple[float, int]:
    """Of a step, and the model's parameters."""
    from transformers import LlamaConfig, LlamaForCausalLM

    device = choose_device(ComputeSettings())
    world = load_world("household")
    tokenizer = train_tokenizer(world.pretraining_texts(0)[:2000], 900, 4096)
    config = LlamaConfig(
        vocab_size=case.vocabulary,
        hidden_size=case.hidden,
        intermediate_size=case.hidden * 8 // 3 // 8 * 8,
        num_hidden_layers=case.layers,
        num_attention_heads=case.hidden // 64,
        num_key_value_heads=case.hidden // 64,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        LlamaForCausalLM(config).save_pretrained(scratch)
        policy = Policy(Path(scratch), Path(scratch), LoraSettings(), "float32", device, seed=0)
    policy.drop_reference()
    chance = random.Random(0)
    count = case.rollouts // GROUP
    ids = [[chance.randrange(900) for _ in range(case.prompt)] for _ in range(count)]
    stops = range(0, case.vocabulary, case.completion) if case.spread else ()
    most = 4 * case.completion if case.spread else case.completion
    parts = RLParts(
        policy=policy,
        value_model=None,
        algorithm=algorithm_of(hyper := GRPOSettings(learning_rate=1e-6, kl_coef=0.0, epochs=1, minibatches=1)),
        generator=LocalGenerator(policy.model, stops, lambda: "scaling", 256, bf16=has_bf16(device)),
        scorer=CallableScorer(lambda _, texts: [float(chance.random()) for _ in texts], "chance"),
        chat=ChatFormat(tokenizer),
        prompts=[user_prompt(str(number)) for number in range(count)],
        prompt_ids=ids,
        device=device,
    )
    settings = RLSettings(steps=3, rollouts_per_step=case.rollouts, samples_per_prompt=GROUP)
    training = RLTraining(parts, settings, hyper, SamplingParams(1.0, most), 0, ComputeSettings())
    found = []
    for index in range(3):
        begun = time.perf_counter()
        training.step(index, 0)
        found.append(time.perf_counter() - begun)
    return min(found[1:]), sum(value.numel() for value in policy.model.parameters())


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--of", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_name("scaling.json"))
    given = parser.parse_args(arguments)
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    rows: list[dict[str, Any]] = []
    print("| varied | rollouts | prompt | completion | vocabulary | parameters | s/step | ms/rollout | ms/token |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in given.of:
        for case in CASES[name]:
            took, parameters = seconds(case)
            ms = 1000 * took / case.rollouts
            rows.append({"varied": name, **case.__dict__, "parameters": parameters, "seconds": round(took, 4)})
            length = f"{case.completion}{' by chance' if case.spread else ''}"
            print(
                f"| {name} | {case.rollouts:,} | {case.prompt:,} | {length} | {case.vocabulary:,} |"
                f" {parameters / 1e6:.1f}M | {took:.2f} | {ms:.2f} | {ms / case.tokens:.3f} |",
                flush=True,
            )
    given.json.write_text(json.dumps({"threads": torch.get_num_threads(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
