"""The three trained stages on tiny models, made anew for each call, as a restarted process would make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from assent.algorithms.choice import algorithm_of
from assent.config import KTOSettings, OnPolicySettings, PPOSettings, PreferenceSettings
from assent.config.reward_model import RewardModelSettings
from assent.config.settings import ComputeSettings, LanguageModelSettings, LoraSettings, RLSettings
from assent.data.chat import ChatFormat
from assent.models.loading import load_causal_lm, load_tokenizer
from assent.models.policy import Policy
from assent.models.scalar import load_scalar_model
from assent.models.value import value_from_reward
from assent.rewards.scorer import CallableScorer
from assent.rollouts.local import LocalGenerator
from assent.training.language_model import LanguageModelTraining
from assent.training.mixing import Mixture
from assent.training.preference import PreferenceTraining, passes_of, plan_of, preference_training
from assent.training.reference import Example, ReferenceMeasuring
from assent.training.reward_examples import Example as RewardExample
from assent.training.reward_examples import example_of_ranking
from assent.training.reward_model import RewardModelTraining
from assent.training.rl import RLParts, RLTraining
from assent.types.feedback import Ranking
from assent.types.messages import user_prompt
from assent.types.protocols import SamplingParams

CPU = torch.device("cpu")
STEPS = 6
# No two examples are of one length, so that every grouping into microbatches pads differently.
EXAMPLES = [(list(range(5, 8 + i)), list(range(40 + i, 44 + 3 * i))) for i in range(12)]
# Who ranked marked, too, but not every completion for every criterion.
MARKS = tuple({"helpful": k / 3, **({"harmless": 1 - k / 4} if k != 2 else {})} for k in range(4))
RANKINGS = [
    Ranking(i, 1, i, tuple(range(4 * i, 4 * i + 4)), ranks, marks=(*MARKS[i % 4 :], *MARKS[: i % 4]))
    for i, ranks in enumerate([(1, 2, 3, 4), (2, 1, 2, 4), (4, 3, 2, 1), (1, 1, 3, 3), (3, 1, 4, 2), (2, 2, 1, 4)])
]
SEQUENCES = {i: ([7, 8, 9 + i], list(range(30 + i, 33 + 2 * i))) for i in range(24)}


# The last one is a tie, for losses that learn from ties.
PAIRS = [
    Example([7, 8, 9 + i], (list(range(30 + i, 33 + 2 * i)), list(range(60 - i, 66 - i + i % 3))), float(i < 11) or 0.5)
    for i in range(12)
]
JUDGEMENTS = [
    Example([7, 8, 9 + i], (list(range(30 + i, 33 + 2 * i)), list(range(41 + i, 46 + i))), float(i % 3 == 0))
    for i in range(12)
]


def compute(tokens: int = 8192) -> ComputeSettings:
    return ComputeSettings(tokens_per_microbatch=tokens, precision="float32")


def language_model(path: Path, optimizer: str = "adamw", tokens: int = 8192) -> LanguageModelTraining:
    settings = LanguageModelSettings(
        steps=STEPS, tokens_per_step=80, warmup_steps=2, learning_rate=1e-3, optimizer=optimizer
    )
    return LanguageModelTraining(load_causal_lm(path).train(), EXAMPLES, settings, 3, compute(tokens))


def reward_model(path: Path, loss: str = "pairwise", tokens: int = 8192, **given: Any) -> RewardModelTraining:
    """Any loss: on rankings, whose completions have marks too, or on single completions with a label each."""
    if loss == "binary" or (loss == "regression" and "criteria" not in given):
        given["samples"] = "samples.jsonl"
    fast = {"learning_rate": 1e-3, "epochs": 3.0, "rankings_per_step": 3, "warmup_steps": 2}
    settings = RewardModelSettings(**{"loss": loss, **fast, **given})
    model: Any = load_scalar_model(path, fresh_head_seed=2, heads=max(1, len(settings.criteria)))
    head = load_causal_lm(path).get_output_embeddings().requires_grad_(False) if settings.lm_coef else None
    return RewardModelTraining(model.train(), reward_examples(settings), settings, 3, compute(tokens), head)


def reward_examples(settings: RewardModelSettings) -> list[RewardExample]:
    """What the rankings, or every second completion, teach by these settings."""
    if settings.of_samples:
        labels = [float(i % 4 == 0) if settings.loss == "binary" else i / 10 for i in range(0, 24, 2)]
        return [RewardExample((SEQUENCES[2 * i],), marks=((label,),)) for i, label in enumerate(labels)]
    found = (example_of_ranking(ranking, SEQUENCES, settings, 0.5 + ranking.judgement_id / 5) for ranking in RANKINGS)
    return [example for example in found if example is not None]


def brevity(prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
    return [-0.1 * len(text) for text in completions]


def reinforcement(path: Path, rank: int = 0, tokens: int = 8192, **algorithm: Any) -> RLTraining:
    """PPO with an adaptive penalty."""
    given = {"learning_rate": 1e-3, "kl_coef": 0.2, "kl_target": 0.5, "kl_horizon": 100, "minibatches": 2, "epochs": 2}
    return on_policy(path, PPOSettings(**(given | algorithm)), rank, tokens)


def on_policy(path: Path, hyper: OnPolicySettings, rank: int = 0, tokens: int = 8192, group: int = 2) -> RLTraining:
    """Any algorithm; every tenth token ends a completion, so that lengths differ."""
    lora = LoraSettings(rank=rank)
    algorithm = algorithm_of(hyper)
    chat = ChatFormat(load_tokenizer(path))
    policy = Policy(path, path, lora, "float32", CPU, seed=1)
    value = None
    if algorithm.needs_values:
        value = value_from_reward(load_scalar_model(path, fresh_head_seed=4), lora, seed=5)
    prompts = [user_prompt(f"What of {'many ' * (i % 4)}things, number {i}?") for i in range(10)]
    parts = RLParts(
        policy=policy,
        value_model=value,
        algorithm=algorithm,
        generator=LocalGenerator(policy.model, range(0, 400, 10), lambda: "tested"),
        scorer=CallableScorer(brevity, "brevity"),
        chat=chat,
        prompts=prompts,
        prompt_ids=[chat.prompt_ids(prompt) for prompt in prompts],
        device=CPU,
    )
    rl = RLSettings(steps=STEPS, rollouts_per_step=8, samples_per_prompt=group)
    return RLTraining(parts, rl, hyper, SamplingParams(0.9, 12), 11, compute(tokens))


def length_cost(prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
    return [0.1 * len(text) for text in completions]


def hybrid(path: Path, hyper: OnPolicySettings, rank: int = 0, tokens: int = 8192, **rl: Any) -> RLTraining:
    """Any algorithm with texts mixed in, a cost beside the score, and a temperature that moves."""
    training = on_policy(path, hyper, rank, tokens)
    mixtures = [
        Mixture(name, EXAMPLES[part::2], coef, 64)
        for part, (name, coef) in enumerate({"ptx": hyper.ptx_coef, "sft": hyper.sft_coef}.items())
        if coef
    ]
    parts = replace(training.parts, mixtures=mixtures, cost=CallableScorer(length_cost, "length", "cost"))
    settings = training.settings.model_copy(update={"temperature_from": 1.3, **rl})
    return RLTraining(parts, settings, hyper, training.sampling, 11, compute(tokens))


def preference(
    path: Path, settings: PreferenceSettings, rank: int = 0, tokens: int = 8192, precision: str = "float32"
) -> PreferenceTraining:
    """Any preference loss, 6 steps of 4 examples, with the reference measured before."""
    examples = JUDGEMENTS if isinstance(settings, KTOSettings) else PAIRS[: 12 if settings.learns_ties else 11]
    chosen = settings.model_copy(update={"batch_size": 4, "epochs": 4 * STEPS / len(examples), "learning_rate": 1e-3})
    policy = Policy(path, path, LoraSettings(rank=rank), "float32", CPU, seed=1)
    plan = plan_of(len(examples), chosen, 3)
    memory = ComputeSettings(tokens_per_microbatch=tokens, precision=precision)
    reference = None
    if chosen.needs_reference:
        measuring = ReferenceMeasuring(policy, examples, plan, passes_of(chosen), 0.9, memory)
        for step in range(measuring.steps):
            measuring.step(step, 0)
        reference = measuring.logprobs
    return preference_training(policy.model, examples, reference, plan, chosen, 0.9, memory)
