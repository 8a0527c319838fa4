"""The health check of a reward model on judgements or samples that it never saw, before any RL."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from assent.config.settings import HealthSettings
from assent.evaluation import HealthReport, HeldOut, check_reward_health, check_sample_health
from assent.feedback import pairwise_agreement
from assent.functional.batching import make_batch
from assent.models.packed import padded
from assent.rewards.ensemble import EnsembleScorer
from assent.rewards.scorer import RewardModelScorer
from assent.stages.project import Project
from assent.stages.reward import load_scorer
from assent.stages.reward_labels import asked_of, frozen_samples, read_rankings, texts_of
from assent.store import hash_json, write_atomic
from assent.store.run_files import PAIRS
from assent.store.runs import finish_run, get_run
from assent.types.errors import DataError, UnhealthyRewardError
from assent.types.feedback import Ranking
from assent.types.messages import Prompt

INVARIANCE_TEXTS = 32

Loaded = RewardModelScorer | EnsembleScorer


def check_health(project: Project, reward: str) -> dict[str, Any]:
    """Measure a reward model as RL would use it on what it never saw; an unhealthy one stops the loop.

    It is measured once, and once more for other `reward.weights` or another pessimism.

    Raises:
        UnhealthyRewardError: with every reason; `--force` goes on, and the report says so.
    """
    trained = project.artifact(reward).run_id
    found = None if trained is None else get_run(project.store, trained)
    if found is None:
        raise DataError(f"{reward} was not trained in this workspace", "train one with `assent reward`")
    reading = project.settings.reward.model_copy(update={"model": None, "function": None})
    reader = replace(project, settings=project.settings.model_copy(update={"reward": reading}))
    run_id = f"{found.id.removesuffix('-reward') if _is_loops(found.id) else found.id}-health"
    known = get_run(project.store, run_id)
    if known is not None and known.settings["reward"] != reading.model_dump(mode="json"):
        run_id = f"{run_id}-{hash_json(reading.model_dump(mode='json'))[:6]}"
    run = reader.begin(run_id, "health", found.round, ("health", "reward"), {"reward": reward})
    if run.done:
        report = dict(run.result)
    else:
        kept = reader.run_dir(run_id) / PAIRS
        report = measure_health(reader, reward, found.round, dict(found.inputs)["dataset"], kept)
        finish_run(project.store, run_id, report)
    if not report["healthy"] and not project.force:
        raise UnhealthyRewardError(
            "the reward model is unhealthy, so no RL was started:\n    " + "\n    ".join(report["reasons"]),
            "look at the judgements (`assent report`), gather more, or go on regardless with --force",
        )
    return report


def measure_health(project: Project, reward: str, round: int, dataset: str, kept: Path | None = None) -> dict[str, Any]:
    """The figures, in words what is wrong, and for an ensemble how far its members lie apart.

    Args:
        project: the open project.
        reward: the reward model's id.
        round: of the loop.
        dataset: for samples, the version that holds those held out.
        kept: a file that takes the scores of each held-out pair, so that errors lead to their votes.
    """
    scorer = load_scorer(project, reward)
    card = project.artifact(reward).card
    if "samples" in card:
        return _of_samples(project, scorer, dataset, str(card["loss"]), round)
    return _of_rankings(project, scorer, str(card["loss"]), round, kept)


def _is_loops(run_id: str) -> bool:
    return re.fullmatch(r"round\d+-reward", run_id) is not None


def _of_rankings(project: Project, scorer: Loaded, loss: str, round: int, kept: Path | None) -> dict[str, Any]:
    """Held-out accuracy beside the human ceiling, calibration, length, and invariance to how texts are batched."""
    held = read_rankings(project, round, "holdout")
    completions, prompts = texts_of(project, held)
    order = sorted(completions)
    asked, texts = [prompts[i] for i in order], [completions[i].text for i in order]
    lengths = [len(scorer.chat.completion_ids(text)) for text in texts]
    ceiling = pairwise_agreement(held, project.seed("ceiling", round)).interval
    differences = _score_differences(scorer, list(zip(asked, texts, strict=True))[:INVARIANCE_TEXTS])
    # Rewards and marks are fitted as they are: their differences are no logits of a preference.
    scale = None if loss == "regression" else scorer.logit_scale

    def report(scores: Sequence[float], pairs: Sequence[_Pair], name: str, scale: float | None) -> HealthReport:
        score = dict(zip(order, scores, strict=True))
        overall = not name
        return check_reward_health(
            [score[first] for first, _, _, _ in pairs],
            [score[second] for _, second, _, _ in pairs],
            [preference for _, _, preference, _ in pairs],
            [prompt for _, _, _, prompt in pairs],
            lengths,
            list(scores),
            ceiling if overall else None,
            differences if overall else {},
            project.settings.health,
            project.seed("health", round, *([name] if name else [])),
            scale,
            _slope(scorer),
        )

    scored = scorer.unchecked(asked, texts)
    if kept is not None:
        write_atomic(kept, _scored_pairs(held, dict(zip(order, scored, strict=True))))
    whole = report(scored, _overall_pairs(held), "", scale)
    found = whole.as_dict()
    if (criteria := scorer.members[0].reading.criteria) != ("overall",):
        scores = scorer.criteria_scores(asked, texts)
        heads = {
            name: report(scores[name], _pairs_by(held, name), name, None if loss == "regression" else _std(scorer, i))
            for i, name in enumerate(criteria)
        }
        found["criteria"] = {name: head.as_dict() for name, head in heads.items()}
        found["reasons"] += [f"{name}: {reason}" for name, head in heads.items() for reason in head.reasons]
        found["healthy"] = not found["reasons"]
    return _with_spread(found, scorer, asked, texts)


def _of_samples(project: Project, scorer: Loaded, dataset: str, loss: str, round: int) -> dict[str, Any]:
    """Held-out error or AUC, calibration, length, and invariance to how texts are batched."""
    held = frozen_samples(project, dataset, "holdout")
    asked, texts = asked_of(held), [sample.text for sample in held]
    raw = [member.raw_outputs(asked, texts) for member in scorer.members]
    lengths = [float(len(scorer.members[0].encode(p, text)[1])) for p, text in zip(asked, texts, strict=True)]
    differences = _score_differences(scorer, list(zip(asked, texts, strict=True))[:INVARIANCE_TEXTS])
    criteria = scorer.members[0].reading.criteria
    found: dict[str, dict[str, Any]] = {}
    for head, name in enumerate(criteria):
        key = "value" if criteria == ("overall",) else name
        rows = [i for i, sample in enumerate(held) if key in sample.values]
        config = scorer.members[0].model.config
        # In units of the labels, which were fitted as deviations from their mean.
        std = config.assent_target_std[head] if loss == "regression" else 1.0
        mean = config.assent_target_mean[head] if loss == "regression" else 0.0
        predictions = [sum(each[i][head] for each in raw) / len(raw) * std + mean for i in rows]
        columns = HeldOut(
            predictions,
            [held[i].values[key] for i in rows],
            [held[i].group for i in rows],
            [lengths[i] for i in rows],
            _raw_slope(scorer) * std,
        )
        settings: HealthSettings = project.settings.health
        checked = check_sample_health(
            columns, loss == "binary", differences if head == 0 else {}, settings, project.seed("health", round, name)
        )
        found[name] = checked.as_dict()
    if len(found) == 1:
        return _with_spread(next(iter(found.values())), scorer, asked, texts)
    reasons = [f"{name}: {reason}" for name, each in found.items() for reason in each["reasons"]]
    first = {**next(iter(found.values())), "rmse": None, "explained": None, "calibration_slope": None}
    joined = {**first, "healthy": not reasons, "reasons": reasons, "criteria": found}
    return _with_spread(joined, scorer, asked, texts)


_Pair = tuple[int, int, float, int]  # first and second completion, preference, prompt


def _overall_pairs(held: Sequence[Ranking]) -> list[_Pair]:
    pairs = (pair for ranking in held for pair in ranking.comparisons())
    return [(pair.first_id, pair.second_id, pair.preference, pair.prompt_id) for pair in pairs]


def _scored_pairs(held: Sequence[Ranking], score: Mapping[int, float]) -> str:
    """Each strict pair of each judgement, a line of JSON: which completion people chose, and what both scored."""
    lines = []
    for ranking in held:
        for pair in ranking.comparisons():
            if pair.preference != 0.5:
                first = pair.preference > 0.5
                chosen, rejected = (pair.first_id, pair.second_id) if first else (pair.second_id, pair.first_id)
                line = {
                    "judgement": ranking.judgement_id,
                    "chosen": chosen,
                    "rejected": rejected,
                    "chosen_score": score[chosen],
                    "rejected_score": score[rejected],
                }
                lines.append(json.dumps(line) + "\n")
    return "".join(lines)


def _pairs_by(held: Sequence[Ranking], criterion: str) -> list[_Pair]:
    """What people's marks for a criterion say of pairs."""
    pairs = []
    for ranking in held:
        marked = [
            (i, m[criterion]) for i, m in zip(ranking.completion_ids, ranking.marks, strict=False) if criterion in m
        ]
        for (i, first), (j, second) in combinations(marked, 2):
            pairs.append((i, j, 0.5 if first == second else float(first > second), ranking.prompt_id))
    return pairs


def _std(scorer: Loaded, head: int) -> float:
    """What a difference of one head's normalised scores is in logits, on average over the members."""
    return sum(member.reading.stds[head] for member in scorer.members) / len(scorer.members)


def _raw_slope(scorer: Loaded) -> float:
    return sum(member.reading.length_slope for member in scorer.members) / len(scorer.members)


def _slope(scorer: Loaded) -> float:
    """What a token of length explained of the labels, in normalised score."""
    return sum(m.reading.length_slope / m.reading.stds[0] for m in scorer.members) / len(scorer.members)


def _with_spread(
    found: dict[str, Any], scorer: Loaded, asked: Sequence[Prompt], texts: Sequence[str]
) -> dict[str, Any]:
    if isinstance(scorer, EnsembleScorer) and found["healthy"]:
        spread = scorer.disagreement(asked, texts)
        found["disagreement"] = sum(spread) / len(spread)
        found["notes"] = [
            *found["notes"],
            f"{len(scorer.members)} members lie {found['disagreement']:.2f} deviations of the reference's scores apart,"
            f" on average; reward.pessimism is {scorer.pessimism}",
        ]
    return found


def _score_differences(scorer: Loaded, texts: Sequence[tuple[Prompt, str]]) -> dict[str, float]:
    """The largest difference of one text's outputs between ways to batch it, over all members and heads."""
    found: dict[str, float] = {}
    for member in scorer.members:
        for name, value in _differences_of(member, texts).items():
            found[name] = max(found.get(name, 0.0), value)
    return found


def _differences_of(scorer: RewardModelScorer, texts: Sequence[tuple[Prompt, str]]) -> dict[str, float]:
    sequences = [scorer.encode(prompt, text) for prompt, text in texts]
    everything = make_batch([p for p, _ in sequences], [c for _, c in sequences])
    # The same tokens with all the padding on the left, and all of it on the right.
    whole = [[*p, *c] for p, c in sequences]
    left = make_batch([ids[: max(1, len(ids) - 1)] for ids in whole], [ids[1:][-1:] for ids in whole])
    right = make_batch([ids[:1] for ids in whole], [ids[1:] for ids in whole])
    with padded():
        alone = torch.cat([scorer.batch_scores(make_batch([p], [c])) for p, c in sequences])
        together, lefts, rights = (scorer.batch_scores(batch) for batch in (everything, left, right))
    differences = {
        "batch size": together - alone,
        "padding side": lefts - rights,
        "packing": scorer.batch_scores(everything) - alone,
    }
    return {name: float(difference.abs().max()) for name, difference in differences.items()}
