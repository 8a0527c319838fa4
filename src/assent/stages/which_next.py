"""Which of the completions that were written people are asked about: `people.arms`, on the reward model before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assent.feedback.selection import Candidate, Chosen, choose
from assent.stages.project import Project
from assent.store import Store, get_completions, get_prompts, get_run, get_tasks


@dataclass(frozen=True)
class Written:
    """The completions of one place: by the policy, and by the initial one as far as the two differ."""

    new: tuple[int, ...]
    old: tuple[int, ...]


def is_choosy(project: Project) -> bool:
    """Whether any arm but the random one has a share."""
    return any(share > 0 for arm, share in project.settings.people.arms.items() if arm != "random")


def reward_before(project: Project, round: int) -> str | None:
    """The reward model that the round before has trained."""
    run = get_run(project.store, f"round{round - 1}-reward")
    return None if run is None or not run.done else str(run.result["reward"])


def choose_written(
    project: Project, round: int, written: Sequence[Written], old: int, count: int, reward: str | None
) -> list[Chosen]:
    """Choose `count` of the places.

    Args:
        written: of each place; its random task is the first of the new with `old` of the old ones.
        old: completions by the initial policy in a random task.
        count: how many tasks.
        reward: who knows what it is unsure of; None: nobody.
    """
    size = project.settings.people.completions_per_ranking
    half = size // 2
    candidates = []
    ids = [i for each in written for i in (*each.new, *each.old)]
    scores = dict(zip(ids, _scores(project, reward, ids), strict=True))
    for place, each in enumerate(written):
        sets = [(each.new[: size - old], each.old[:old])]
        if half != old and len(each.old) >= half:
            sets.append((each.new[: size - half], each.old[:half]))
        for new, before in sets:
            together = (*new, *before)
            members = tuple(zip(*(scores[i] for i in together), strict=True))
            authors = ("new",) * len(new) + ("old",) * len(before)
            candidates.append(Candidate(place, together, members, authors))
    return choose(candidates, count, project.settings.people.arms, project.seed("arms", round))


def arms_of_tasks(store: Store, run_id: str) -> dict[int, str]:
    """Which arm chose each training task of a sampling run; all are random where nothing was chosen."""
    run = get_run(store, run_id)
    recorded: dict[str, Any] = {} if run is None else dict(run.result.get("arms", {}))
    by_task = {int(task): arm for arm, tasks in recorded.items() for task in tasks}
    return {task.id: by_task.get(task.id, "random") for task in get_tasks(store, run_id, "train")}


def _scores(project: Project, reward: str | None, ids: Sequence[int]) -> list[tuple[float, ...]]:
    """Of each completion by each member of the reward model."""
    if reward is None:
        return [()] * len(ids)
    from assent.rewards.ensemble import EnsembleScorer
    from assent.stages.reward import load_scorer  # which knows of samples, and so cannot be known to them beforehand

    scorer = load_scorer(project, reward)
    members = scorer.members if isinstance(scorer, EnsembleScorer) else [scorer]
    completions = get_completions(project.store, ids)
    prompts = get_prompts(project.store, [each.prompt_id for each in completions])
    by_member = [member.score(prompts, [each.text for each in completions]) for member in members]
    return list(zip(*by_member, strict=True))
