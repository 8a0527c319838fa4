"""Leases: who may judge which task now. Every function here runs inside a write transaction that the caller holds.

A task has room while its live leases and its submissions, of other people, are fewer than its overlap.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import Session

from assent.store.queries import batches
from assent.store.tables import AssignmentRow, TaskRow
from assent.types.errors import DataError, LeaseLostError
from assent.types.seeds import derive_seed


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
    session: Session,
    tasks: Sequence[tuple[TaskRow, int]],
    person_id: int,
    seed: int,
    now: datetime,
    seconds: float,
) -> list[AssignmentRow]:
    """This person's assignments on these tasks: held ones (renewed), submitted ones, and new ones where there is room.

    Args:
        session: inside a write transaction.
        tasks: each locked task with its number of completions.
        person_id: who.
        seed: of the order shown.
        now: the time.
        seconds: how long the lease lasts.
    """
    ids = [task.id for task, _ in tasks]
    return_expired(session, ids, person_id, now)
    others = count_others(session, ids, person_id, now)
    mine = _held(session, ids, person_id)
    rows = []
    for task, count in tasks:
        row = mine.get(task.id)
        if row is None or (row.state != "submitted" and not _is_live(row, now)):
            if others.get(task.id, 0) >= task.overlap:
                continue
            if row is None:
                row = new_assignment(task.id, person_id, order_of(seed, person_id, task.id, count))
                session.add(row)
            row.leased_at = now
        if row.state != "submitted":
            row.state = "leased"
            row.expires_at = now + timedelta(seconds=seconds)
        rows.append(row)
    session.flush()
    return rows


def return_expired(session: Session, task_ids: Sequence[int], person_id: int, now: datetime) -> None:
    """Put other people's leases that ran out back into the pool."""
    for some in batches(task_ids):
        session.execute(
            update(AssignmentRow)
            .where(
                AssignmentRow.task_id.in_(some),
                AssignmentRow.person_id != person_id,
                AssignmentRow.state == "leased",
                AssignmentRow.expires_at <= now,
            )
            .values(state="expired")
        )


def count_others(session: Session, task_ids: Sequence[int], person_id: int, now: datetime) -> dict[int, int]:
    """How many other people hold a live lease on each task, or have submitted it; tasks with none are left out."""
    live = and_(AssignmentRow.state == "leased", AssignmentRow.expires_at > now)
    counts: dict[int, int] = {}
    for some in batches(task_ids):
        query = (
            select(AssignmentRow.task_id, func.count())
            .where(AssignmentRow.task_id.in_(some), AssignmentRow.person_id != person_id)
            .where(or_(AssignmentRow.state == "submitted", live))
            .group_by(AssignmentRow.task_id)
        )
        counts.update((task_id, count) for task_id, count in session.execute(query))
    return counts


def require_room(session: Session, row: AssignmentRow, task: TaskRow, now: datetime) -> None:
    """Check that a judgement on this assignment still counts: its lease is live, or its room was not taken.

    Raises:
        DataError: the lease ran out and others filled the task.
    """
    if _is_live(row, now):
        return
    if count_others(session, [task.id], row.person_id, now).get(task.id, 0) >= task.overlap:
        raise LeaseLostError(
            f"the lease of assignment {row.id} ran out, and task {task.id} was given to someone else",
            "This judgement was not recorded; go on with another task.",
        )


def _held(session: Session, task_ids: Sequence[int], person_id: int) -> dict[int, AssignmentRow]:
    found: dict[int, AssignmentRow] = {}
    for some in batches(task_ids):
        query = select(AssignmentRow).where(AssignmentRow.task_id.in_(some), AssignmentRow.person_id == person_id)
        found.update((row.task_id, row) for row in session.scalars(query))
    return found


def _is_live(row: AssignmentRow, now: datetime) -> bool:
    return row.state == "leased" and row.expires_at > now


def order_of(seed: int, person_id: int, task_id: int, count: int) -> list[int]:
    """The order in which a task's completions are shown to a person: it depends on these alone."""
    order = list(range(count))
    random.Random(derive_seed(seed, person_id, task_id)).shuffle(order)
    return order


def new_assignment(task_id: int, person_id: int, order: Sequence[int]) -> AssignmentRow:
    """A lease that is not in the session yet, and has no times."""
    return AssignmentRow(
        task_id=task_id,
        person_id=person_id,
        order_shown=list(order),
        state="leased",
        idempotency_key=f"{task_id}:{person_id}",
        declined_as="",
    )
