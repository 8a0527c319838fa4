"""What the judgements say, read for training and for measuring how far people agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from assent.store.database import Store
from assent.store.revisions import is_current
from assent.store.tables import AssignmentRow, DatasetJudgementRow, JudgementRow, PersonRow, TaskRow
from assent.store.tasks import completion_ids_of
from assent.types.feedback import LabelKind, PersonKind, Ranking


@dataclass(frozen=True)
class AgreementRow:
    """One person's judgement of one task, beside which others of the same task can be laid."""

    task_id: int
    person_id: int
    person_kind: PersonKind
    completion_ids: tuple[int, ...]  # [K]
    ranks: tuple[int, ...]  # [K] 1 is best, equal numbers tie


@dataclass(frozen=True)
class Counts:
    """How far the judging of some tasks has come."""

    tasks: int
    wanted: int  # judgements asked for: the sum of the tasks' overlaps
    submitted: int
    leased: int  # in people's hands now, leases that ran out included
    people: int  # who submitted at least one


def rankings(
    store: Store,
    run_ids: Sequence[str] | None = None,
    purpose: str | None = None,
    person_ids: Sequence[int] | None = None,
    dataset: str | None = None,
) -> list[Ranking]:
    """All judgements in order of submission, with what training needs of their tasks; of each its newest revision.

    Args:
        store: the open store.
        run_ids: only tasks of these runs; all if None.
        purpose: only tasks of this purpose; all if None.
        person_ids: only by these people; all if None.
        dataset: only those that this dataset version holds, whatever became of them since; all if None.
    """
    query = select(JudgementRow, TaskRow).join(TaskRow, JudgementRow.task_id == TaskRow.id)
    query = query.where(*_conditions(run_ids, purpose))
    if dataset is None:
        query = query.where(is_current())
    else:
        held = select(DatasetJudgementRow.judgement_id).where(DatasetJudgementRow.artifact_id == dataset)
        query = query.where(JudgementRow.id.in_(held))
    if person_ids is not None:
        query = query.where(JudgementRow.person_id.in_(person_ids))
    with store.read() as session:
        found = session.execute(query.order_by(JudgementRow.id)).all()
        return rankings_of(session, [(judgement, task) for judgement, task in found])


def rankings_of(session: Session, found: Sequence[tuple[JudgementRow, TaskRow]]) -> list[Ranking]:
    """Judgements with their tasks, as the ranks of completions in the tasks' own order."""
    completions = _completions(session, [task for _, task in found])
    return [
        Ranking(
            judgement_id=judgement.id,
            person_id=judgement.person_id,
            prompt_id=task.prompt_id,
            completion_ids=completions[task.id],
            ranks=tuple(judgement.ranks),
            label=LabelKind(judgement.label),
            marks=tuple(judgement.marks),
        )
        for judgement, task in found
    ]


def agreement_rows(
    store: Store, run_ids: Sequence[str] | None = None, purpose: str | None = None
) -> list[AgreementRow]:
    """The judgements of all tasks that two or more people have judged, by task, then in order of submission."""
    query = (
        select(JudgementRow, TaskRow, PersonRow.kind)
        .join(TaskRow, JudgementRow.task_id == TaskRow.id)
        .join(PersonRow, JudgementRow.person_id == PersonRow.id)
        .where(*_conditions(run_ids, purpose), is_current())
    )
    shared = select(JudgementRow.task_id).where(is_current()).group_by(JudgementRow.task_id).having(func.count() >= 2)
    query = query.where(TaskRow.id.in_(shared)).order_by(TaskRow.id, JudgementRow.id)
    with store.read() as session:
        found = session.execute(query).all()
        completions = _completions(session, [task for _, task, _ in found])
        return [
            AgreementRow(task.id, judgement.person_id, PersonKind(kind), completions[task.id], tuple(judgement.ranks))
            for judgement, task, kind in found
        ]


def counts(store: Store, run_ids: Sequence[str] | None = None, purpose: str | None = None) -> Counts:
    """How many tasks there are, how many judgements they want, and how many are there."""
    wanted = _conditions(run_ids, purpose)
    tasks = select(func.count(TaskRow.id), func.coalesce(func.sum(TaskRow.overlap), 0)).where(*wanted)
    states = (
        select(AssignmentRow.state, func.count())
        .join(TaskRow, AssignmentRow.task_id == TaskRow.id)
        .where(*wanted)
        .group_by(AssignmentRow.state)
    )
    people = (
        select(func.count(JudgementRow.person_id.distinct()))
        .join(TaskRow, JudgementRow.task_id == TaskRow.id)
        .where(*wanted, is_current())
    )
    with store.read() as session:
        number, overlaps = session.execute(tasks).one()
        by_state = {state: count for state, count in session.execute(states)}
        return Counts(
            tasks=number,
            wanted=int(overlaps),
            submitted=by_state.get("submitted", 0),
            leased=by_state.get("leased", 0),
            people=session.scalar(people) or 0,
        )


def _conditions(run_ids: Sequence[str] | None, purpose: str | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if run_ids is not None:
        conditions.append(TaskRow.run_id.in_(run_ids))
    if purpose is not None:
        conditions.append(TaskRow.purpose == purpose)
    return conditions


def _completions(session: Session, tasks: Sequence[TaskRow]) -> dict[int, tuple[int, ...]]:
    return completion_ids_of(session, list(dict.fromkeys(task.id for task in tasks)))
