"""Which judgements count: of each the newest revision, unless that withdraws it."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.orm import Session, aliased

from assent.store.queries import batches
from assent.store.tables import AssignmentRow, DatasetJudgementRow, JudgementRow, TaskRow


def is_current(row: type[JudgementRow] = JudgementRow) -> ColumnElement[bool]:
    """A condition on `JudgementRow`, or an alias of it: no newer revision of it, and not withdrawn."""
    newer = aliased(JudgementRow)
    later = exists().where(newer.assignment_id == row.assignment_id, newer.revision > row.revision)
    return and_(~row.withdrawn, ~later)


def newest(session: Session, assignment_id: int) -> JudgementRow | None:
    """The newest revision of an assignment's judgement, which may withdraw it; None before the first."""
    query = select(JudgementRow).where(JudgementRow.assignment_id == assignment_id)
    return session.scalar(query.order_by(JudgementRow.revision.desc()).limit(1))


def frozen_in(session: Session, judgement_id: int) -> str | None:
    """A dataset version that holds this revision; None if none does."""
    query = select(DatasetJudgementRow.artifact_id).where(DatasetJudgementRow.judgement_id == judgement_id)
    return session.scalar(query.order_by(DatasetJudgementRow.artifact_id).limit(1))


def note_whether_open(session: Session, tasks: list[TaskRow]) -> None:
    """Write down of these locked tasks whether they want more judgements."""
    for some in batches(tasks):
        query = (
            select(AssignmentRow.task_id, func.count())
            .where(AssignmentRow.task_id.in_([task.id for task in some]), AssignmentRow.state == "submitted")
            .group_by(AssignmentRow.task_id)
        )
        submitted = {task_id: count for task_id, count in session.execute(query)}
        for task in some:
            task.is_open = submitted.get(task.id, 0) < task.overlap
