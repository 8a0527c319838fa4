"""Which judgements count: of each the newest revision, unless that withdraws it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from assent.store.queries import batches
from assent.store.tables import AssignmentRow, DatasetJudgementRow, JudgementRow, TaskRow

_submitted = (
    select(func.count())
    .where(AssignmentRow.task_id == TaskRow.id, AssignmentRow.state == "submitted")
    .scalar_subquery()
)
_wanted = _submitted < TaskRow.overlap
_NOTE_WHETHER_OPEN = (
    update(TaskRow)
    .where(TaskRow.id.in_(bindparam("tasks", expanding=True)), TaskRow.is_open != _wanted)
    .values(is_open=_wanted)
)
LAST_REVISION = (  # of an assignment, in a statement about assignments; 0 before it was first submitted
    select(func.coalesce(func.max(JudgementRow.revision), 0))
    .where(JudgementRow.assignment_id == AssignmentRow.id)
    .scalar_subquery()
)
_NEWEST = (
    select(JudgementRow.__table__)
    .where(JudgementRow.assignment_id == bindparam("assignment"))
    .order_by(JudgementRow.revision.desc())
    .limit(1)
)


def is_current(row: type[JudgementRow] = JudgementRow) -> ColumnElement[bool]:
    """A condition on `JudgementRow`, or an alias of it: no newer revision of it, and not withdrawn."""
    newer = aliased(JudgementRow)
    later = exists().where(newer.assignment_id == row.assignment_id, newer.revision > row.revision)
    return and_(~row.withdrawn, ~later)


def newest_of(connection: Connection, assignment_id: int) -> Row[Any] | None:
    """The newest revision of an assignment's judgement, which may withdraw it; None before the first."""
    return connection.execute(_NEWEST, {"assignment": assignment_id}).one_or_none()


def frozen_in(session: Session, judgement_id: int) -> str | None:
    """A dataset version that holds this revision; None if none does."""
    query = select(DatasetJudgementRow.artifact_id).where(DatasetJudgementRow.judgement_id == judgement_id)
    return session.scalar(query.order_by(DatasetJudgementRow.artifact_id).limit(1))


def note_whether_open(connection: Connection, task_ids: Sequence[int]) -> None:
    """Write down of these locked tasks whether they want more judgements."""
    for some in batches(task_ids):
        connection.execute(_NOTE_WHETHER_OPEN, {"tasks": list(some)})
