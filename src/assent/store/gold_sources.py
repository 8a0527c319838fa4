"""Where tasks with a known answer come from: tasks that people judged alike, or on which somebody ruled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from sqlalchemy import select
from sqlalchemy.orm import Session

from assent.store.campaigns import get_campaign
from assent.store.checks import add_gold, agreement
from assent.store.database import Store
from assent.store.queries import batches, rows_by_id
from assent.store.revisions import is_current
from assent.store.service_tables import GoldTaskRow
from assent.store.tables import CompletionRow, JudgementRow, PromptRow, TaskCompletionRow, TaskRow
from assent.store.tasks import completion_ids_of
from assent.store.votes import Votes, votes_of_tasks
from assent.types.errors import ConflictError, NotFoundError


@dataclass(frozen=True)
class GoldSource:
    """A judged task: what its judges say together, and how far they agree."""

    task_id: int
    prompt: str
    texts: tuple[str, ...]  # [K] in the task's own order
    completion_ids: tuple[int, ...]
    ranks: tuple[int, ...]  # [K] by the number of pairs won, over all its judgements
    votes: int
    unanimous: float  # share of the pairs each judge ordered strictly that the joint answer orders alike


@dataclass(frozen=True)
class GoldScore:
    """How often a person ordered pairs of tasks with a known answer as expected."""

    right: int
    pairs: int


def gold_sources(store: Store, campaign_id: int, most: int = 10) -> list[GoldSource]:
    """Judged tasks of a campaign that are no gold task yet, those with the most judges and agreement first.

    Raises:
        NotFoundError: no such campaign.
    """
    runs = get_campaign(store, campaign_id).run_ids
    with store.read() as session:
        said = votes_of_tasks(session, runs, TaskRow.repeat_of.is_(None))
        joint = {votes: _joint(votes) for votes in set(said.values())}
        scored = {task_id: joint[votes] for task_id, votes in said.items()}
        used = _as_gold(session, campaign_id)
    good = [task_id for task_id, (ranks, _) in scored.items() if len(set(ranks)) > 1 and task_id not in used]
    chosen = sorted(good, key=lambda task_id: (-len(said[task_id]), -scored[task_id][1], task_id))[:most]
    return _sources(store, chosen, scored, said)


def _as_gold(session: Session, campaign_id: int) -> set[int]:
    """The tasks of the same completions as a gold task of a campaign."""
    gold = session.scalars(select(GoldTaskRow.task_id).where(GoldTaskRow.campaign_id == campaign_id)).all()
    used = {frozenset(ids) for ids in completion_ids_of(session, gold).values()}
    alike: set[int] = set()
    for some in batches(sorted({completion_id for ids in used for completion_id in ids})):
        of_them = select(TaskCompletionRow.task_id).where(TaskCompletionRow.completion_id.in_(some))
        alike.update(session.scalars(of_them))
    return {task_id for task_id, ids in completion_ids_of(session, sorted(alike)).items() if frozenset(ids) in used}


def gold_of_task(
    store: Store, campaign_id: int, task_id: int, stage: str, explanation: str, by: int, ruling: int | None = None
) -> int:
    """Make a gold task of a judged one: its answer is what its judges say together, or a ruling. Returns its id.

    Raises:
        NotFoundError: no such task with judgements.
        ConflictError: its judges order nothing together.
    """
    said: list[Sequence[int]] = []
    with store.read() as session:
        wanted = select(JudgementRow.ranks).where(JudgementRow.task_id == (ruling or task_id), is_current())
        said = list(session.scalars(wanted))
        task = session.get(TaskRow, task_id)
        if not said or task is None:
            raise NotFoundError(f"task {task_id} has no judgement to take an answer from")
        completions = completion_ids_of(session, [task_id])[task_id]
    ranks, _ = _joint(said)
    if len(set(ranks)) < 2:
        raise ConflictError("its judges order nothing together", "Choose a task on which people agree.")
    return add_gold(store, campaign_id, stage, completions, ranks, explanation, by)


def gold_scores(store: Store, stages: Sequence[str] = ("training", "qualification", "hidden")) -> dict[int, GoldScore]:
    """By person, over the gold tasks of these stages."""
    query = (
        select(JudgementRow.person_id, GoldTaskRow.ranks, JudgementRow.ranks)
        .join(GoldTaskRow, GoldTaskRow.task_id == JudgementRow.task_id)
        .where(GoldTaskRow.stage.in_(stages), is_current())
    )
    found: dict[int, GoldScore] = {}
    with store.read() as session:
        for person, expected, given in session.execute(query):
            right, pairs = agreement(expected, given)
            before = found.get(person, GoldScore(0, 0))
            found[person] = GoldScore(before.right + right, before.pairs + pairs)
    return found


def _joint(votes: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], float]:
    """Ranks by pairs won (Copeland), ties kept, and the share of strict pairs in which the judges say the same."""
    count = len(votes[0])
    wins = [0.0] * count
    for ranks in votes:
        for i, j in combinations(range(count), 2):
            wins[i] += (ranks[i] < ranks[j]) + 0.5 * (ranks[i] == ranks[j])
            wins[j] += (ranks[j] < ranks[i]) + 0.5 * (ranks[i] == ranks[j])
    joint = tuple(1 + sum(other > own for other in wins) for own in wins)
    alike = [agreement(ranks, joint) for ranks in votes]
    pairs = sum(total for _, total in alike)
    return joint, sum(right for right, _ in alike) / pairs if pairs else 0.0


def _sources(
    store: Store,
    task_ids: Sequence[int],
    scored: dict[int, tuple[tuple[int, ...], float]],
    said: dict[int, Votes],
) -> list[GoldSource]:
    with store.read() as session:
        tasks = rows_by_id(session, TaskRow, task_ids)
        completions = completion_ids_of(session, task_ids)
        prompts = rows_by_id(session, PromptRow, [row.prompt_id for row in tasks.values()])
        texts = rows_by_id(session, CompletionRow, [i for ids in completions.values() for i in ids])
        return [
            GoldSource(
                task_id,
                prompts[tasks[task_id].prompt_id].text,
                tuple(texts[i].text for i in completions[task_id]),
                completions[task_id],
                scored[task_id][0],
                len(said[task_id]),
                scored[task_id][1],
            )
            for task_id in task_ids
        ]
