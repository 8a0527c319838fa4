"""The reward model: a frozen dataset of rankings, training, normalisation, and the health check before any RL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assent.config.settings import LoraSettings
from assent.data.chat import ChatFormat
from assent.evaluation import HealthReport, check_reward_health
from assent.feedback import pairwise_agreement
from assent.functional.batching import make_batch
from assent.models.policy import add_adapter, save_merged
from assent.models.scalar import load_scalar_model
from assent.rewards.scorer import RewardModelScorer
from assent.stages.project import Project
from assent.stages.sample import Writer, sample_run
from assent.store import Completion, get_completions, get_prompts, rankings
from assent.store.runs import finish_run, get_run
from assent.training.loop import LoopSettings, run_steps
from assent.training.reward_model import RewardModelTraining, normalisation
from assent.types.errors import DataError, UnhealthyRewardError
from assent.types.feedback import Ranking
from assent.types.messages import Prompt

PAD = "<|pad|>"
INVARIANCE_TEXTS = 32


def train_reward(project: Project, round: int, reference: str, run_id: str | None = None) -> str:
    """Train a reward model on people's rankings. Returns the artifact's id.

    The first starts from the reference policy with a fresh head. A later one goes on from the round before with the
    new rankings (`reward_model.warm_start`): every ranking is learnt once. Otherwise it learns all of them anew.
    """
    run_id = run_id or f"round{round}-reward"
    dataset = freeze_dataset(project, round)
    previous = _previous(project, round)
    sections = ("model", "sampling", "reward_model")
    run = project.begin(run_id, "reward", round, sections, {"dataset": dataset, "initial": previous or reference})
    if run.done:
        return str(run.result["reward"])
    settings = project.settings.reward_model
    chat = project.chat(previous or reference)
    lora = project.settings.model.lora
    model, chat = _classifier(project, previous or reference, chat, run_id, lora, fresh=previous is None)
    scorer = RewardModelScorer(model, chat, project.settings.compute.tokens_per_microbatch)
    learnt = read_rankings(project, round, "train", first=round if previous else 1)
    training = RewardModelTraining(
        model,
        learnt,
        _sequences(project, scorer, learnt),
        settings,
        project.seed(run_id, "order"),
        project.settings.compute,
    )
    loop = LoopSettings(training.steps, settings.checkpoint_every, headline="accuracy")
    run_steps(training, project.run_dir(run_id), loop, project.progress, "reward model")
    model.eval()
    mean, std = _normalise(project, scorer, reference, run_id)
    plain: Any = model.get_base_model() if lora.rank > 0 else model
    plain.config.assent_score_mean, plain.config.assent_score_std = mean, std

    def write(folder: Path) -> None:
        if lora.rank > 0:
            save_merged(model, folder)
        else:
            plain.save_pretrained(folder)
        chat.tokenizer.save_pretrained(folder)

    card = {"rankings": len(learnt), "score_mean": mean, "score_std": std, "loss": settings.loss}
    name = project.keep("reward", run_id, write, card, parents=[previous or reference, dataset])
    finish_run(project.store, run_id, {"reward": name, **card})
    project.tidy(run_id)
    return name


def freeze_dataset(project: Project, round: int) -> str:
    """The dataset version of this round: every ranking so far by id, with its content hash."""
    run_id = f"round{round}-dataset"
    run = project.begin(run_id, "dataset", round, ("people",))
    if run.done:
        return str(run.result["dataset"])
    split = {purpose: read_rankings(project, round, purpose) for purpose in ("train", "holdout")}

    def write(folder: Path) -> None:
        for purpose, found in split.items():
            lines = [json.dumps(asdict(ranking), sort_keys=True) for ranking in found]
            (folder / f"{purpose}.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")

    ids = [ranking.judgement_id for found in split.values() for ranking in found]
    card = {purpose: len(found) for purpose, found in split.items()}
    if not all(card.values()):
        raise DataError(f"no judgements to learn from: {card}", "collect judgements first (`assent simulate` or rank)")
    name = project.keep("dataset", run_id, write, card, judgement_ids=ids)
    finish_run(project.store, run_id, {"dataset": name, **card})
    return name


def check_health(project: Project, round: int, reward: str, run_id: str | None = None) -> dict[str, Any]:
    """Measure the reward model on judgements it never saw; an unhealthy one stops the loop.

    Raises:
        UnhealthyRewardError: with every reason; `--force` goes on, and the report says so.
    """
    run_id = run_id or f"round{round}-health"
    run = project.begin(run_id, "health", round, ("health",), {"reward": reward})
    if run.done:
        report = dict(run.result)
    else:
        report = measure_health(project, round, reward).as_dict()
        finish_run(project.store, run_id, report)
    if not report["healthy"] and not project.force:
        raise UnhealthyRewardError(
            "the reward model is unhealthy, so no RL was started:\n    " + "\n    ".join(report["reasons"]),
            "look at the judgements (`assent report`), gather more, or go on regardless with --force",
        )
    return report


def measure_health(project: Project, round: int, reward: str) -> HealthReport:
    """Held-out accuracy beside the human ceiling, calibration, length, and invariance to how texts are batched."""
    scorer = load_scorer(project, reward)
    held = read_rankings(project, round, "holdout")
    completions, prompts = _texts(project, held)
    order = sorted(completions)
    raw = scorer.raw_scores([prompts[i] for i in order], [completions[i].text for i in order])
    score = dict(zip(order, raw, strict=True))
    lengths = [len(scorer.chat.completion_ids(completions[i].text)) for i in order]
    pairs = [pair for ranking in held for pair in ranking.comparisons()]
    return check_reward_health(
        [score[pair.first_id] for pair in pairs],
        [score[pair.second_id] for pair in pairs],
        [pair.preference for pair in pairs],
        [pair.prompt_id for pair in pairs],
        lengths,
        raw,
        pairwise_agreement(held, project.seed("ceiling", round)).interval,
        _score_differences(scorer, [(prompts[i], completions[i].text) for i in order[:INVARIANCE_TEXTS]]),
        project.settings.health,
        project.seed("health", round),
    )


def load_scorer(project: Project, reward: str) -> RewardModelScorer:
    """A saved reward model, ready to score."""
    model = load_scalar_model(project.folder(reward), project.settings.model.dtype)
    model.to(project.device).eval().requires_grad_(False)
    return RewardModelScorer(model, project.chat(reward), project.settings.compute.tokens_per_microbatch)


def read_rankings(project: Project, round: int, purpose: str, first: int = 1) -> list[Ranking]:
    """Every ranking of the rounds `first` to `round` for a purpose, in order of submission."""
    return rankings(project.store, [sample_run(number) for number in range(first, round + 1)], purpose)


def _previous(project: Project, round: int) -> str | None:
    """The reward model of the round before, if this one is to go on from it."""
    before = get_run(project.store, f"round{round - 1}-reward")
    if not project.settings.reward_model.warm_start or before is None or not before.done:
        return None
    return str(before.result["reward"])


def _classifier(project: Project, initial: str, chat: ChatFormat, run_id: str, lora: LoraSettings, fresh: bool) -> Any:
    """The initial model with a scalar head, and a tokenizer whose pad token is no other token."""
    dtype = project.settings.model.dtype
    seed = project.seed(run_id, "head")
    model: Any = load_scalar_model(project.folder(initial), dtype, fresh_head_seed=seed if fresh else None)
    tokenizer = chat.tokenizer
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        # Plain transformers finds the last token by the pad id, which must therefore never stand in a text.
        tokenizer.add_special_tokens({"pad_token": PAD})
        if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.config.pad_token_id = tokenizer.pad_token_id
    if lora.rank > 0:
        model = add_adapter(model, lora, "SEQ_CLS", seed)
    model.to(project.device).train()
    return model, chat


def _sequences(
    project: Project, scorer: RewardModelScorer, found: Sequence[Ranking]
) -> dict[int, tuple[list[int], list[int]]]:
    completions, prompts = _texts(project, found)
    return {i: scorer.encode(prompts[i], completion.text) for i, completion in completions.items()}


def _texts(project: Project, found: Sequence[Ranking]) -> tuple[dict[int, Completion], dict[int, Prompt]]:
    """The completions of these rankings and the prompt of each, by completion id."""
    ids = sorted({i for ranking in found for i in ranking.completion_ids})
    completions = dict(zip(ids, get_completions(project.store, ids), strict=True))
    asked = get_prompts(project.store, [completions[i].prompt_id for i in ids])
    return completions, dict(zip(ids, asked, strict=True))


def _normalise(project: Project, scorer: RewardModelScorer, reference: str, run_id: str) -> tuple[float, float]:
    """Mean and deviation of the raw scores of fresh samples of the reference policy on training prompts."""
    count = project.settings.reward_model.reference_samples
    train = project.prompts["train"]
    prompts = [train[i % len(train)] for i in range(count)]
    rollouts = Writer(project, reference, "reference samples").write(prompts, 1, project.seed(run_id, "samples"))
    return normalisation(scorer.raw_scores(prompts, [rollout.text for rollout in rollouts]))


def _score_differences(scorer: RewardModelScorer, texts: Sequence[tuple[Prompt, str]]) -> dict[str, float]:
    """The largest difference of one text's score between ways to batch it."""
    sequences = [scorer.encode(prompt, text) for prompt, text in texts]
    together = scorer.batch_scores(make_batch([p for p, _ in sequences], [c for _, c in sequences]))
    alone = [float(scorer.batch_scores(make_batch([p], [c]))[0]) for p, c in sequences]
    # The same tokens with all the padding on the left, and all of it on the right.
    left = scorer.batch_scores(make_batch([[*p, *c[:-1]] for p, c in sequences], [c[-1:] for _, c in sequences]))
    right = scorer.batch_scores(make_batch([p[:1] for p, _ in sequences], [[*p[1:], *c] for p, c in sequences]))
    packed = scorer.packed_scores(sequences)

    def largest(a: Sequence[float], b: Sequence[float]) -> float:
        return max(abs(float(x) - float(y)) for x, y in zip(a, b, strict=True))

    return {
        "batch size": largest(together.tolist(), alone),
        "padding side": largest(left.tolist(), right.tolist()),
        "packing": largest(packed, alone),
    }
