"""One run of one work by assent: `python -m benchmarks.work grpo S`. See `benchmarks.peers.ground` for what it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch

from assent.algorithms.choice import algorithm_of
from assent.config.algorithm import GRPOSettings, OnPolicySettings, PPOSettings, RLOOSettings
from assent.config.preference import DPOSettings
from assent.config.reward_model import RewardModelSettings
from assent.config.settings import ComputeSettings, LoraSettings, RLSettings, SftSettings
from assent.data.chat import ChatFormat
from assent.models.loading import load_causal_lm, load_tokenizer
from assent.models.policy import Policy
from assent.models.scalar import load_scalar_model
from assent.rewards.scorer import CallableScorer, RewardModelScorer, Scorer
from assent.rollouts.local import LocalGenerator
from assent.training.language_model import LanguageModelTraining
from assent.training.precision import has_bf16
from assent.training.preference import passes_of, plan_of, preference_training
from assent.training.reference import Example as Judged
from assent.training.reference import ReferenceMeasuring
from assent.training.reward_examples import Example, Pair
from assent.training.reward_model import RewardModelTraining
from assent.training.rl import RLParts, RLTraining
from assent.types.messages import user_prompt
from assent.types.protocols import SamplingParams
from assent.types.rollout import GenerationRequest
from benchmarks.peers.ground import BATCH, DATA, ITEMS, MAX_NEW, SEED, Clock, emit, rows

CPU = torch.device("cpu")
COMPUTE = ComputeSettings(tokens_per_microbatch=8192, precision="auto")
STOPS = (2,)


def ids_of(model: str) -> Callable[[str], list[int]]:
    """How this model's texts become tokens."""
    tokenizer = load_tokenizer(DATA / model / "policy")
    return lambda text: list(tokenizer(text)["input_ids"])


def policy_of(model: str) -> Policy:
    """The policy and its frozen reference."""
    path = DATA / model / "policy"
    return Policy(path, path, LoraSettings(), "float32", CPU, seed=SEED)


def sft(model: str) -> None:
    """One pass, 16 texts a step or as many tokens."""
    encode = ids_of(model)
    texts = [[*encode(row["text"]), 2] for row in rows(model, "sft", ITEMS[model]["sft"])]
    examples = [(ids[:1], ids[1:]) for ids in texts]
    tokens = sum(map(len, texts))
    steps = -(-len(texts) // BATCH)
    settings = SftSettings(steps=steps, tokens_per_step=tokens // steps, warmup_steps=1, learning_rate=1e-6)
    stage = LanguageModelTraining(load_causal_lm(DATA / model / "policy").train(), examples, settings, SEED, COMPUTE)
    with Clock() as clock:
        with clock.aside():
            stage.step(0, 0)
        done = sum(stage.step(index, 0)["tokens"] + len(stage.plan[index]) for index in range(1, steps))
    emit(done, clock)


def reward(model: str) -> None:
    """One pass over pairs, 16 a step."""
    encode = ids_of(model)
    examples = []
    for row in rows(model, "pairs", ITEMS[model]["reward"]):
        prompt = encode(row["prompt"])
        sequences = tuple((prompt, [*encode(row[name]), 2]) for name in ("chosen", "rejected"))
        examples.append(Example(sequences, pairs=(Pair(0, 0, 1, 1.0, 1.0),), ranks=(1, 2)))
    settings = RewardModelSettings(rankings_per_step=BATCH, epochs=1.0, learning_rate=1e-6, warmup_steps=1)
    scalar: Any = load_scalar_model(DATA / model / "reward", fresh_head_seed=0).train()
    stage = RewardModelTraining(scalar, examples, settings, SEED, COMPUTE)
    with Clock() as clock:
        with clock.aside():
            stage.step(0, 0)
        for index in range(1, stage.steps):
            stage.step(index, 0)
    emit(len(examples) - BATCH, clock)


def dpo(model: str) -> None:
    """The reference is measured, then one pass over pairs, 16 a step."""
    encode = ids_of(model)
    examples = [
        Judged(encode(row["prompt"]), ([*encode(row["chosen"]), 2], [*encode(row["rejected"]), 2]), 1.0)
        for row in rows(model, "pairs", ITEMS[model]["dpo"])
    ]
    settings = DPOSettings(batch_size=BATCH, learning_rate=1e-6)
    policy = policy_of(model)
    plan = plan_of(len(examples), settings, SEED)
    with Clock() as clock:
        measuring = ReferenceMeasuring(policy, examples, plan, passes_of(settings), 1.0, COMPUTE)
        for index in range(measuring.steps):
            measuring.step(index, 0)
        policy.drop_reference()
        stage = preference_training(policy.model, examples, measuring.logprobs, plan, settings, 1.0, COMPUTE)
        with clock.aside():
            stage.step(0, 0)
        for index in range(1, stage.steps):
            stage.step(index, 0)
    emit(len(examples) - BATCH, clock)


def grpo(model: str, steps: int = 4) -> None:
    """8 prompts with 8 completions each a step, one update."""
    _on_policy(model, GRPOSettings(learning_rate=1e-6, epochs=1, minibatches=1, kl_coef=0.0), 8, steps)


def rloo(model: str, steps: int = 4) -> None:
    """The same."""
    _on_policy(model, RLOOSettings(learning_rate=1e-6, epochs=1, minibatches=1, kl_coef=0.0), 8, steps)


def ppo(model: str, steps: int = 3) -> None:
    """64 rollouts a step, 2 epochs of 4 minibatches, with a value and a reward model of the policy's size."""
    settings = PPOSettings(learning_rate=1e-6, epochs=2, minibatches=4, stop_epoch_kl=None)
    _on_policy(model, settings, 1, steps)


def _on_policy(model: str, hyper: OnPolicySettings, group: int, steps: int) -> None:
    policy, chat = policy_of(model), ChatFormat(load_tokenizer(DATA / model / "policy"))
    encode = ids_of(model)
    prompts = [user_prompt(row["prompt"]) for row in rows(model, "prompts")]
    algorithm = algorithm_of(hyper)
    value: Any = None
    scorer: Scorer
    if algorithm.needs_values:
        value = load_scalar_model(DATA / model / "value", fresh_head_seed=0).train()
        scorer = RewardModelScorer(load_scalar_model(DATA / model / "reward", fresh_head_seed=0).eval(), chat)
    else:
        scorer = CallableScorer(lambda asked, texts: [_odd_share(chat, text) for text in texts], "odd tokens")
    parts = RLParts(
        policy=policy,
        value_model=value,
        algorithm=algorithm,
        generator=LocalGenerator(policy.model, STOPS, lambda: "benchmark", 256, bf16=has_bf16(CPU)),
        scorer=scorer,
        chat=chat,
        prompts=prompts,
        prompt_ids=[encode(row["prompt"]) for row in rows(model, "prompts")],
        device=CPU,
    )
    settings = RLSettings(steps=steps, rollouts_per_step=64, samples_per_prompt=group)
    training = RLTraining(parts, settings, hyper, SamplingParams(1.0, MAX_NEW), SEED, COMPUTE)
    with Clock() as clock:
        with clock.aside():
            training.step(0, 0)
        lengths = [training.step(index, 0)["length"] for index in range(1, steps)]
    emit(64 * len(lengths), clock, length=sum(lengths) / len(lengths))


def _odd_share(chat: ChatFormat, text: str) -> float:
    ids = chat.completion_ids(text)
    return sum(token % 2 for token in ids) / len(ids)


def generate(model: str, repeats: int = 4) -> None:
    """64 ragged prompts, one completion each."""
    encode = ids_of(model)
    policy = load_causal_lm(DATA / model / "policy", "bfloat16" if has_bf16(CPU) else "float32").eval()
    generator = LocalGenerator(policy, STOPS, lambda: "benchmark", 64, bf16=has_bf16(CPU))
    requests = [GenerationRequest(encode(row["prompt"])) for row in rows(model, "prompts", 64)]
    with Clock() as clock:
        with clock.aside():
            generator.generate(requests, SamplingParams(1.0, MAX_NEW), 0)
        written = [
            each.token_ids
            for seed in range(1, repeats)
            for each in generator.generate(requests, SamplingParams(1.0, MAX_NEW), seed)
        ]
    emit(sum(map(len, written)), clock)


WORKS: dict[str, Callable[[str], None]] = {
    work.__name__: work for work in (grpo, rloo, ppo, sft, reward, dpo, generate)
}


def main(arguments: Sequence[str]) -> None:
    """Do one work with one model."""
    work, model = arguments
    WORKS[work](model)


if __name__ == "__main__":
    main(sys.argv[1:])
