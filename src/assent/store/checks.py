"""Checks on the judging: tasks whose answer is known, and tasks shown to a person a second time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from assent.store.audit import record
from assent.store.campaigns import Campaign, read_campaign, require_checks_run
from assent.store.database import Store
from assent.store.leases import new_assignment
from assent.store.queries import rows_by_id
from assent.store.revisions import is_current
from assent.store.service_tables import GoldTaskRow
from assent.store.tables import AssignmentRow, CompletionRow, JudgementRow, TaskCompletionRow, TaskRow
from assent.store.tasks import completion_ids_of
from assent.types.errors import ConflictError, DataError, NotFoundError
from assent.types.feedback import LabelKind

STAGES = ("training", "qualification", "hidden")
EVERYBODY = 1_000_000  # the overlap of a task that all are given
_GAP = 5  # so many other tasks at least lie between a task and its repeat


@dataclass(frozen=True)
class GoldTask:
    """A task whose answer is known."""

    task_id: int
    stage: str
    prompt_id: int
    completion_ids: tuple[int, ...]
    ranks: tuple[int, ...]
    explanation: str


def add_gold(
    store: Store,
    campaign_id: int,
    stage: str,
    completion_ids: Sequence[int],
    ranks: Sequence[int],
    explanation: str = "",
    by: int | None = None,
) -> int:
    """Make a task with a known answer and return its id.

    Args:
        store: the open store.
        campaign_id: where it is asked.
        stage: `training` (with feedback), `qualification`, or `hidden` among the others.
        completion_ids: [K] of one prompt.
        ranks: [K] the expected answer: 1 is best, equal numbers tie.
        explanation: shown after a training task.
        by: the account that asks for it.

    Raises:
        NotFoundError: no such campaign.
        DataError: an unknown stage or completion, completions of several prompts, or ranks that do not fit.
    """
    if stage not in STAGES:
        raise DataError(f"stage: one of {', '.join(STAGES)}, got {stage!r}")
    count = len(completion_ids)
    if not 2 <= count <= 6 or len(set(completion_ids)) != count:
        raise DataError("completion_ids: from 2 to 6 different ones")
    if len(ranks) != count or not all(1 <= rank <= count for rank in ranks):
        raise DataError(f"ranks: {count} numbers from 1 to {count}, 1 for the best")
    with store.write() as session:
        read_campaign(session.connection(), campaign_id)
        found = rows_by_id(session, CompletionRow, completion_ids)
        prompts = {row.prompt_id for row in found.values()}
        if len(prompts) > 1:
            raise DataError("completion_ids: they answer different prompts", "A task compares completions of one.")
        run_id = require_checks_run(session, store, campaign_id)
        task = TaskRow(
            run_id=run_id,
            prompt_id=prompts.pop(),
            label=LabelKind.RANKING.value,
            overlap=EVERYBODY,
            purpose="gold",
            priority=0,
            is_open=True,
        )
        _insert(session, task, completion_ids)
        session.add(
            GoldTaskRow(
                task_id=task.id, campaign_id=campaign_id, stage=stage, ranks=list(ranks), explanation=explanation
            )
        )
        record(session, store, by, "add gold task", "campaign", campaign_id, {"task": task.id, "stage": stage})
        return task.id


def list_gold(store: Store, campaign_id: int) -> list[GoldTask]:
    """A campaign's tasks with a known answer, in order of entry."""
    query = (
        select(GoldTaskRow, TaskRow.prompt_id)
        .join(TaskRow, TaskRow.id == GoldTaskRow.task_id)
        .where(GoldTaskRow.campaign_id == campaign_id)
        .order_by(GoldTaskRow.task_id)
    )
    with store.read() as session:
        found = session.execute(query).all()
        completions = completion_ids_of(session, [row.task_id for row, _ in found])
        return [
            GoldTask(row.task_id, row.stage, prompt, completions[row.task_id], tuple(row.ranks), row.explanation)
            for row, prompt in found
        ]


def remove_gold(store: Store, campaign_id: int, task_id: int, by: int | None = None) -> None:
    """Ask this task no more. What people said to it stays.

    Raises:
        NotFoundError: no such gold task in this campaign.
    """
    with store.write() as session:
        row = session.get(GoldTaskRow, task_id)
        if row is None or row.campaign_id != campaign_id:
            raise NotFoundError(f"no gold task {task_id} in campaign {campaign_id}")
        session.get_one(TaskRow, task_id, with_for_update=True)
        answered = select(AssignmentRow.id).where(AssignmentRow.task_id == task_id).limit(1)
        if session.scalar(answered) is not None:
            raise ConflictError(
                f"gold task {task_id} was given to people already", "Its answers measure them; add others beside it."
            )
        session.delete(row)
        session.get_one(TaskRow, task_id).is_open = False
        record(session, store, by, "remove gold task", "campaign", campaign_id, {"task": task_id})


def open_gold(session: Session, campaign_id: int, stage: str, person_id: int) -> TaskRow | None:
    """The first gold task of this stage that the person has neither judged nor declined, nor holds."""
    return _gold_without(session, campaign_id, stage, person_id, ("leased", "submitted", "declined"))


def unjudged_gold(session: Session, campaign_id: int, stage: str, person_id: int) -> TaskRow | None:
    """The first gold task of this stage that the person has neither judged nor declined."""
    return _gold_without(session, campaign_id, stage, person_id, ("submitted", "declined"))


def _gold_without(
    session: Session, campaign_id: int, stage: str, person_id: int, states: Sequence[str]
) -> TaskRow | None:
    had = exists().where(
        AssignmentRow.task_id == TaskRow.id, AssignmentRow.person_id == person_id, AssignmentRow.state.in_(states)
    )
    query = (
        select(TaskRow)
        .join(GoldTaskRow, GoldTaskRow.task_id == TaskRow.id)
        .where(GoldTaskRow.campaign_id == campaign_id, GoldTaskRow.stage == stage, ~had)
        .order_by(TaskRow.id)
        .limit(1)
    )
    return session.scalar(query)


def answers_right(session: Session, campaign_id: int, stage: str, person_id: int) -> float | None:
    """The share of pairs that a person orders as expected, in a campaign's gold tasks of a stage; None without any."""
    query = (
        select(GoldTaskRow.ranks, JudgementRow.ranks)
        .join(JudgementRow, JudgementRow.task_id == GoldTaskRow.task_id)
        .where(GoldTaskRow.campaign_id == campaign_id, GoldTaskRow.stage == stage)
        .where(JudgementRow.person_id == person_id, is_current())
    )
    found = session.execute(query).all()
    pairs = [agreement(expected, given) for expected, given in found]
    total = sum(count for _, count in pairs)
    return sum(right for right, _ in pairs) / total if total else None


def agreement(expected: Sequence[int], given: Sequence[int]) -> tuple[int, int]:
    """Of the pairs that the expected answer orders, how many the given one orders alike, and how many there are."""
    pairs = [(i, j) for i in range(len(expected)) for j in range(i) if expected[i] != expected[j]]
    right = sum((expected[i] < expected[j]) == (given[i] < given[j]) and given[i] != given[j] for i, j in pairs)
    return right, len(pairs)


def repeat_for(session: Session, store: Store, campaign: Campaign, person_id: int) -> AssignmentRow | None:
    """Something the person judged, as a new task in the opposite order; None if nothing is long enough ago.

    Repeats follow the order of judging, so that the next one is found without going through them all. The row's lease
    is yet to be dated by the caller's renewal.
    """
    last = session.scalar(select(func.max(TaskRow.repeat_of)).where(TaskRow.person_id == person_id))
    behind = 0
    if last is not None:
        own = select(AssignmentRow.id).where(AssignmentRow.task_id == last, AssignmentRow.person_id == person_id)
        behind = session.scalar(own) or 0
    query = (
        select(AssignmentRow)
        .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
        .where(AssignmentRow.person_id == person_id, AssignmentRow.state == "submitted", AssignmentRow.id > behind)
        .where(TaskRow.run_id.in_(campaign.run_ids), TaskRow.repeat_of.is_(None), TaskRow.purpose != "gold")
        .order_by(AssignmentRow.id)
        .limit(1 + _GAP)
    )
    found = session.scalars(query).all()
    if len(found) <= _GAP:
        return None
    return _repeat(session, store, campaign, found[0])


def _repeat(session: Session, store: Store, campaign: Campaign, before: AssignmentRow) -> AssignmentRow:
    origin = session.get_one(TaskRow, before.task_id)
    task = TaskRow(
        run_id=require_checks_run(session, store, campaign.id),
        prompt_id=origin.prompt_id,
        label=origin.label,
        overlap=1,
        purpose="repeat",
        priority=0,
        is_open=True,
        repeat_of=origin.id,
        person_id=before.person_id,
    )
    _insert(session, task, completion_ids_of(session, [origin.id])[origin.id])
    row = new_assignment(task.id, before.person_id, before.order_shown[::-1])
    row.leased_at = row.expires_at = store.now()
    session.add(row)
    session.flush()
    return row


def _insert(session: Session, task: TaskRow, completion_ids: Sequence[int]) -> None:
    session.add(task)
    session.flush()
    session.add_all(
        TaskCompletionRow(task_id=task.id, position=place, completion_id=completion_id)
        for place, completion_id in enumerate(completion_ids)
    )
    session.flush()
