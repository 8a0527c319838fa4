"""How many labels the reward model's self-supervised helps save on the household world: `python -m benchmarks.labels`.

A small model is pretrained on the world's texts and samples completions. A simulated person ranks them by the gold
judge's mark with noise; reward models learn from more and more of these rankings, plainly and with each help, and are
measured on held-out pairs by the gold judge. What counts is the number of labels that reach the same accuracy.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

if "OMP_WAIT_POLICY" not in os.environ:  # read once, when torch is imported
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

import torch

from assent.config.reward_model import RewardModelSettings
from assent.config.settings import ComputeSettings, LanguageModelSettings, ShapeSettings
from assent.data.chat import ChatFormat
from assent.data.tokenizer import train_tokenizer
from assent.evaluation import LabelSaving, label_saving
from assent.models.loading import build_llama, load_causal_lm, load_tokenizer, stop_ids
from assent.models.scalar import load_scalar_model
from assent.rewards.scorer import RewardModelScorer
from assent.rollouts.collector import collect_rollouts
from assent.rollouts.local import LocalGenerator
from assent.tasks import load_world
from assent.training.language_model import LanguageModelTraining, packed_examples
from assent.training.reward_examples import Example, Tokens, example_of_ranking, examples_of_confidence
from assent.training.reward_model import RewardModelTraining
from assent.types.feedback import Ranking, ranks_from_utilities
from assent.types.messages import Prompt
from assent.types.protocols import SamplingParams
from assent.types.seeds import derive_seed

PLAIN = "plain"
NOISE = 0.1  # Gumbel's scale, in marks: the person's preferences follow Bradley–Terry
K = 4
SHAPE = ShapeSettings(hidden_size=96, layers=3, heads=4, intermediate_size=256, vocab_size=700, context=160)


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    sizes: Sequence[int] = (16, 32, 64, 128)  # rankings
    seeds: int = 5
    unlabelled: int = 96  # groups
    held_out: int = 80  # groups, six pairs each
    pretrain_steps: int = 240
    lm_coef: float = 0.1
    confidence: float = 0.8
    at: int = 64  # the accuracy of the plain way with so many rankings is what the others have to reach


@dataclass(frozen=True)
class Written:
    """Groups of completions with what the gold judge makes of them."""

    prompts: list[Prompt]
    texts: list[list[str]]  # [groups][K]
    gold: list[list[float]]


@dataclass(frozen=True)
class Measured:
    """Held-out accuracies, and what they say."""

    plan: Plan
    accuracies: dict[str, list[list[float]]]  # way -> [seeds][sizes]

    def saving(self, way: str) -> LabelSaving:
        """Labels of a way over those of the plain one."""
        return label_saving(self.plan.sizes, self.accuracies, PLAIN, way, self.plan.at, seed=0)

    def lines(self) -> list[str]:
        """A table for people."""
        found = ["rankings".ljust(20) + "".join(f"{size:>9}" for size in self.plan.sizes)]
        for way, rows in self.accuracies.items():
            means = [sum(column) / len(column) for column in zip(*rows, strict=True)]
            found.append(way.ljust(20) + "".join(f"{mean:9.3f}" for mean in means))
        return [*found, *(f"{way}: {self.saving(way)}" for way in self.accuracies if way != PLAIN)]


def ways(plan: Plan) -> dict[str, dict[str, Any]]:
    """The settings that are compared."""
    lm, pseudo = {"lm_coef": plan.lm_coef}, {"pseudo_labels": plan.unlabelled, "pseudo_confidence": plan.confidence}
    return {PLAIN: {}, "lm loss": lm, "pseudo-labels": pseudo}


def measure(plan: Plan, folder: Path) -> Measured:
    """Pretrain (unless the folder has the model), sample, and train a reward model for each way, size and seed."""
    world = load_world("household")
    chat = _pretrain(plan, folder)
    train, test = world.prompts("train"), world.prompts("test")
    random.Random(0).shuffle(train)
    wanted = max(plan.sizes) + plan.unlabelled
    pool = _write(folder, chat, [train[i % len(train)] for i in range(wanted)], seed=1)
    held = _write(folder, chat, [test[i % len(test)] for i in range(plan.held_out)], seed=2)
    found: dict[str, list[list[float]]] = {way: [] for way in ways(plan)}
    for seed in range(plan.seeds):
        for way, settings in ways(plan).items():
            row = [_accuracy(folder, chat, pool, held, settings, size, plan, seed) for size in plan.sizes]
            found[way].append(row)
            print(f"{way}, seed {seed}: " + " ".join(f"{value:.3f}" for value in row), file=sys.stderr, flush=True)
    return Measured(plan, found)


def _pretrain(plan: Plan, folder: Path) -> ChatFormat:
    if (folder / "config.json").exists():
        return ChatFormat(load_tokenizer(folder))
    texts = load_world("household").pretraining_texts(0)
    tokenizer = train_tokenizer(texts, SHAPE.vocab_size, SHAPE.context)
    rows = packed_examples([[*tokenizer(text.rstrip())["input_ids"], tokenizer.eos_token_id] for text in texts], 96)
    model = build_llama(SHAPE, tokenizer, 0)
    settings = LanguageModelSettings(
        steps=plan.pretrain_steps, tokens_per_step=2048, optimizer="muon", learning_rate=3e-3
    )
    training = LanguageModelTraining(model.train(), rows, settings, 0, ComputeSettings())
    for step in range(plan.pretrain_steps):
        metrics = training.step(step, 0)
    print(f"pretrained: {metrics['loss']:.3f} nats a token", file=sys.stderr, flush=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return ChatFormat(tokenizer)


def _write(folder: Path, chat: ChatFormat, prompts: list[Prompt], seed: int) -> Written:
    model = load_causal_lm(folder).eval()
    generator = LocalGenerator(model, stop_ids(model, chat.tokenizer), lambda: "pretrained")
    ids = [chat.prompt_ids(prompt) for prompt in prompts]
    rollouts = collect_rollouts(generator, chat, prompts, ids, K, SamplingParams(0.7, 48), seed)
    texts = [[rollout.text for rollout in rollouts[i * K : (i + 1) * K]] for i in range(len(prompts))]
    marks = load_world("household").marks
    gold = [[marks(prompt, text).overall for text in group] for prompt, group in zip(prompts, texts, strict=True)]
    return Written(prompts, texts, gold)


def _accuracy(
    folder: Path,
    chat: ChatFormat,
    pool: Written,
    held: Written,
    given: dict[str, Any],
    size: int,
    plan: Plan,
    seed: int,
) -> float:
    """On held-out pairs, of a reward model that learnt from `size` rankings of the pool in this seed's order."""
    settings = RewardModelSettings(learning_rate=1e-3, rankings_per_step=4, epochs=1.0, **given)
    order = list(range(len(pool.prompts)))
    random.Random(derive_seed(seed, "order")).shuffle(order)
    labelled, unlabelled = order[:size], order[max(plan.sizes) :]
    scorer = _fresh(folder, chat, seed)
    tokens = {i: _tokens(scorer, pool, i) for i in [*labelled, *unlabelled]}
    examples = [_ranked(i, pool, tokens[i], settings, seed) for i in labelled]
    known = [example for example in examples if example is not None]
    _learn(scorer, folder, known, settings, seed)
    if settings.pseudo_labels:
        logits = [scorer.raw_scores([pool.prompts[i]] * K, pool.texts[i]) for i in unlabelled]
        sure = examples_of_confidence([tokens[i] for i in unlabelled], logits, settings.pseudo_confidence)
        scorer = _fresh(folder, chat, seed)
        _learn(scorer, folder, [*known, *sure], settings, seed)
    asked = [prompt for prompt in held.prompts for _ in range(K)]
    scores = scorer.raw_scores(asked, [text for group in held.texts for text in group])
    right = [
        float((scores[g * K + i] - scores[g * K + j]) * (gold[i] - gold[j]) > 0)
        for g, gold in enumerate(held.gold)
        for i, j in combinations(range(K), 2)
        if gold[i] != gold[j]
    ]
    return sum(right) / len(right)


def _fresh(folder: Path, chat: ChatFormat, seed: int) -> RewardModelScorer:
    return RewardModelScorer(load_scalar_model(folder, fresh_head_seed=derive_seed(seed, "head")), chat)


def _tokens(scorer: RewardModelScorer, pool: Written, group: int) -> list[Tokens]:
    return [scorer.encode(pool.prompts[group], text) for text in pool.texts[group]]


def _ranked(
    group: int, pool: Written, tokens: list[Tokens], settings: RewardModelSettings, seed: int
) -> Example | None:
    rng = random.Random(derive_seed(seed, "person", group))
    utilities = [mark - NOISE * math.log(-math.log(max(rng.random(), 1e-300))) for mark in pool.gold[group]]
    ranking = Ranking(group, 0, group, tuple(range(K)), ranks_from_utilities(utilities, 0.1 * NOISE))
    return example_of_ranking(ranking, dict(enumerate(tokens)), settings)


def _learn(
    scorer: RewardModelScorer, folder: Path, examples: list[Example], settings: RewardModelSettings, seed: int
) -> None:
    head = load_causal_lm(folder).get_output_embeddings().requires_grad_(False) if settings.lm_coef else None
    scorer.model.train()
    training = RewardModelTraining(scorer.model, examples, settings, seed, ComputeSettings(), head)
    for step in range(training.steps):
        training.step(step, 0)
    scorer.model.eval()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.labels", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--lm-coef", type=float, default=Plan.lm_coef, help="reward_model.lm_coef")
    parser.add_argument("--confidence", type=float, default=Plan.confidence, help="reward_model.pseudo_confidence")
    parser.add_argument("--seeds", type=int, default=Plan.seeds)
    parser.add_argument(
        "--model", type=Path, default=None, help="keep the pretrained model in this folder, or reuse it"
    )
    parser.add_argument("--json", action="store_true", help="one JSON line instead of the table")
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error("--seeds must be at least 2")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(seeds=arguments.seeds, lm_coef=arguments.lm_coef, confidence=arguments.confidence)
        found = measure(plan, arguments.model or Path(folder))
    if arguments.json:
        saved = {way: found.saving(way).as_dict() for way in found.accuracies if way != PLAIN}
        print(json.dumps({"sizes": list(found.plan.sizes), "accuracies": found.accuracies, "savings": saved}))
        return
    print("\n".join(found.lines()))


if __name__ == "__main__":
    main()
