"""Leases: who may judge which task now. Every function here runs inside a write transaction that the caller holds.

A task has room while its live leases and its submissions, of other people, are fewer than its overlap.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from assent.store.queries import batches, insert_one
from assent.store.tables import AssignmentRow, TaskRow
from assent.types.errors import DataError, LeaseLostError
from assent.types.seeds import derive_seed

_person: BindParameter[int] = bindparam("person")
_now: BindParameter[datetime] = bindparam("now")
_tasks: BindParameter[int] = bindparam("tasks", expanding=True)
_own = aliased(AssignmentRow)
_others = (AssignmentRow.task_id == TaskRow.id, AssignmentRow.person_id != _person)
_live = and_(AssignmentRow.state == "leased", AssignmentRow.expires_at > _now)
_run_out = and_(AssignmentRow.state == "leased", AssignmentRow.expires_at <= _now)
_STANDING = (  # of each task: how many others have it, whether leases of others ran out, and the person's own row
    select(
        TaskRow.id.label("task_id"),
        TaskRow.overlap,
        select(func.count())
        .where(*_others, or_(AssignmentRow.state == "submitted", _live))
        .scalar_subquery()
        .label("taken"),
        select(AssignmentRow.id).where(*_others, _run_out).exists().label("run_out"),
        *(_own.id, _own.person_id, _own.order_shown, _own.state, _own.idempotency_key, _own.expires_at),
    )
    .outerjoin(_own, and_(_own.task_id == TaskRow.id, _own.person_id == _person))
    .where(TaskRow.id.in_(_tasks))
)
_RETURN = (
    update(AssignmentRow)
    .where(AssignmentRow.task_id.in_(_tasks), AssignmentRow.person_id != _person, _run_out)
    .values(state="expired")
)
_RENEW = (
    update(AssignmentRow)
    .where(AssignmentRow.id == bindparam("assignment"))
    .values(state="leased", expires_at=bindparam("until"))
)
_TAKE_AGAIN = _RENEW.values(leased_at=_now)
_INSERT = insert(AssignmentRow)


@dataclass(frozen=True)
class Lease:
    """An assignment that a person holds, or has submitted."""

    id: int
    task_id: int
    person_id: int
    order_shown: tuple[int, ...]
    state: str
    idempotency_key: str
    expires_at: datetime


def lock_tasks(session: Session, task_ids: Sequence[int]) -> dict[int, TaskRow]:
    """The tasks, locked until the transaction ends (PostgreSQL; in SQLite the writer is alone anyway).

    Raises:
        DataError: no such task.
    """
    found: dict[int, TaskRow] = {}
    for some in batches(sorted(set(task_ids))):  # sorted: two people who lease the same tasks cannot deadlock
        query = select(TaskRow).where(TaskRow.id.in_(some)).order_by(TaskRow.id).with_for_update()
        found.update((row.id, row) for row in session.scalars(query))
    missing = next((task_id for task_id in task_ids if task_id not in found), None)
    if missing is not None:
        raise DataError(f"no task {missing}", "Was it made in another workspace?")
    return found


def take_leases(
    connection: Connection, tasks: Sequence[tuple[int, int]], person_id: int, seed: int, now: datetime, seconds: float
) -> list[Lease]:
    """This person's assignments on these tasks: held ones (renewed), submitted ones, and new ones where there is room.

    Args:
        connection: inside a write transaction.
        tasks: the id of each locked task with its number of completions.
        person_id: who.
        seed: of the order shown.
        now: the time.
        seconds: how long the lease lasts.
    """
    until = now + timedelta(seconds=seconds)
    standing = _standing(connection, [task_id for task_id, _ in tasks], person_id, now)
    if run_out := [task_id for task_id, _ in tasks if standing[task_id].run_out]:
        connection.execute(_RETURN, {"tasks": run_out, "person": person_id, "now": now})
    found = []
    for task_id, count in tasks:
        row = standing[task_id]
        if row.state == "submitted":
            found.append(_lease(row, person_id, row.expires_at))
        elif row.state is not None and is_live(row, now):
            connection.execute(_RENEW, {"assignment": row.id, "until": until})
            found.append(_lease(row, person_id, until))
        elif row.taken < row.overlap and row.state is not None:
            connection.execute(_TAKE_AGAIN, {"assignment": row.id, "now": now, "until": until})
            found.append(_lease(row, person_id, until))
        elif row.taken < row.overlap:
            order = order_of(seed, person_id, task_id, count)
            found.append(_new_lease(connection, task_id, person_id, order, now, until))
    return found


def _standing(connection: Connection, task_ids: Sequence[int], person_id: int, now: datetime) -> dict[int, Row[Any]]:
    found: dict[int, Row[Any]] = {}
    for some in batches(task_ids):
        asked = {"tasks": list(some), "person": person_id, "now": now}
        found.update((row.task_id, row) for row in connection.execute(_STANDING, asked))
    return found


def _lease(row: Row[Any], person_id: int, until: datetime) -> Lease:
    state = "submitted" if row.state == "submitted" else "leased"
    return Lease(row.id, row.task_id, person_id, tuple(row.order_shown), state, row.idempotency_key, until)


def _new_lease(
    connection: Connection, task_id: int, person_id: int, order: Sequence[int], now: datetime, until: datetime
) -> Lease:
    columns = columns_of_assignment(task_id, person_id, order)
    number = insert_one(connection, _INSERT, {**columns, "leased_at": now, "expires_at": until})
    key = columns["idempotency_key"]
    return Lease(number, task_id, person_id, tuple(order), "leased", key, until)


def require_room(
    connection: Connection, row: AssignmentRow | Row[Any], task_id: int, overlap: int, now: datetime
) -> None:
    """Check that a judgement on this assignment still counts: its lease is live, or its room was not taken.

    Raises:
        LeaseLostError: the lease ran out and others filled the task.
    """
    if is_live(row, now):
        return
    if _standing(connection, [task_id], row.person_id, now)[task_id].taken >= overlap:
        raise LeaseLostError(
            f"the lease of assignment {row.id} ran out, and task {task_id} was given to someone else",
            "This judgement was not recorded; go on with another task.",
        )


def is_live(row: AssignmentRow | Row[Any], now: datetime) -> bool:
    """True while nobody else may take the place of this assignment."""
    return bool(row.state == "leased" and row.expires_at > now)


def order_of(seed: int, person_id: int, task_id: int, count: int) -> list[int]:
    """The order in which a task's completions are shown to a person: it depends on these alone."""
    order = list(range(count))
    random.Random(derive_seed(seed, person_id, task_id)).shuffle(order)
    return order


def new_assignment(task_id: int, person_id: int, order: Sequence[int]) -> AssignmentRow:
    """A lease that is not in the session yet, and has no times."""
    return AssignmentRow(**columns_of_assignment(task_id, person_id, order))


def columns_of_assignment(task_id: int, person_id: int, order: Sequence[int]) -> dict[str, Any]:
    """A new lease but for its times, by the names of the columns."""
    return {
        "task_id": task_id,
        "person_id": person_id,
        "order_shown": list(order),
        "state": "leased",
        "idempotency_key": f"{task_id}:{person_id}",
        "declined_as": "",
    }
