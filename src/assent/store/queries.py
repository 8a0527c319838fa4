"""Queries by many ids: in batches that every database takes, answers in the order asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Insert, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from assent.store.tables import ArtifactRow, Base, CompletionRow, JudgementRow, PromptRow, RunRow, TaskRow
from assent.types.errors import DataError

Item = TypeVar("Item")
Numbered = TypeVar("Numbered", PromptRow, CompletionRow, TaskRow, JudgementRow)

_BATCH = 500  # SQLite's oldest limit is 999 variables in a statement


def batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """The items in slices short enough for `IN (...)`."""
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


def rows_by_id(session: Session, table: type[Numbered], ids: Sequence[int]) -> dict[int, Numbered]:
    """The rows of these ids.

    Raises:
        DataError: one of them does not exist.
    """
    found: dict[int, Numbered] = {}
    for some in batches(sorted(set(ids))):
        found.update((row.id, row) for row in session.scalars(select(table).where(table.id.in_(some))))
    missing = next((wanted for wanted in ids if wanted not in found), None)
    if missing is not None:
        raise DataError(f"no {table.__tablename__} row with id {missing}", "Was it made in another workspace?")
    return found


def require_run(session: Session, run_id: str) -> RunRow:
    """The run of this id.

    Raises:
        DataError: no such run.
    """
    row = session.get(RunRow, run_id)
    if row is None:
        raise DataError(f"no run {run_id!r} in the store", "Start the run before its rows are added.")
    return row


def add_unless_there(session: Session, row: Base) -> bool:
    """Insert a row at once; False, and nothing done, if another transaction was first with the same key."""
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
    except IntegrityError:
        return False
    return True


def insert_one(connection: Connection, statement: Insert, columns: Mapping[str, Any]) -> int:
    """Insert a row with these columns into a table that numbers its rows, and return its id."""
    made = connection.execute(statement, columns).inserted_primary_key
    assert made is not None
    return int(made[0])


def next_serial(session: Session, table: type[RunRow] | type[ArtifactRow]) -> int:
    """One more than the greatest serial so far; only inside a write transaction."""
    return (session.scalar(select(func.max(table.serial))) or 0) + 1
