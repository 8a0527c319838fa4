"""What the arms of a round's sampling have saved, measured on what people said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from assent.evaluation import LabelSaving, arm_savings
from assent.rewards.scorer import RewardModelScorer
from assent.stages.project import Project
from assent.stages.reward_labels import read_rankings, texts_of
from assent.stages.sample import sample_run
from assent.stages.which_next import arms_of_tasks
from assent.store import get_tasks
from assent.types.feedback import Ranking


def savings_of_arms(project: Project, round: int, before: Callable[[], RewardModelScorer]) -> dict[str, Any]:
    """For each arm that chose tasks of this round: labels needed over those of chance, or the reason for none.

    Args:
        before: loads the reward model that the arms asked, or the first of its members.
    """
    run_id = sample_run(round)
    arms = arms_of_tasks(project.store, run_id)
    if set(arms.values()) <= {"random"}:
        return {}
    member = before()
    asked = get_tasks(project.store, run_id, "train")
    arm_of = {frozenset(each.task.completion_ids): arms[each.id] for each in asked}
    given = [each for each in read_rankings(project, round, "train", first=round) if _key(each) in arm_of]
    held_out = read_rankings(project, round, "holdout")
    completions, prompts = texts_of(project, [*given, *held_out])
    ids = list(completions)
    told = member.features([prompts[i] for i in ids], [completions[i].text for i in ids])
    features = dict(zip(ids, np.asarray(told, dtype=np.float64), strict=True))
    tasks: dict[str, list[Any]] = {arm: [] for arm in sorted(set(arms.values()))}
    for ranking in given:
        tasks[arm_of[_key(ranking)]].append(_differences(ranking, features))
    by_task: dict[frozenset[int], list[Any]] = {}
    for ranking in held_out:  # several people judge one
        by_task.setdefault(_key(ranking), []).append(_differences(ranking, features))
    known = [np.concatenate(each) for each in by_task.values()]
    found = arm_savings(tasks, known, project.seed("arms", "saving", round))
    counts = {arm: len(group) for arm, group in tasks.items()}
    for arm, saving in found.items():
        project.progress.say(f"arm {arm}: {saving}")
    return {
        "labels": counts,
        "saving": {arm: each.as_dict() if isinstance(each, LabelSaving) else each for arm, each in found.items()},
    }


def _key(ranking: Ranking) -> frozenset[int]:
    return frozenset(ranking.completion_ids)


def _differences(ranking: Ranking, features: dict[int, Any]) -> Any:
    """Better less worse, a row for each pair that was not called equal."""
    size = len(next(iter(features.values())))
    rows = [
        (2.0 * each.preference - 1.0) * (features[each.first_id] - features[each.second_id])
        for each in ranking.comparisons()
        if each.preference != 0.5
    ]
    return np.array(rows).reshape(len(rows), size)
