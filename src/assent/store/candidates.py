"""The statements by which the queue finds a task for a person. They are made once: each request asks most of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import BindParameter, Connection, Row, and_, bindparam, exists, func, or_, select
from sqlalchemy.orm import aliased

from assent.store.database import Store
from assent.store.tables import AssignmentRow, CompletionRow, TaskCompletionRow, TaskRow

LABELLING, COMPARING = ("train", "holdout"), ("evaluate",)
_LARGEST = 2**31 - 1

_person: BindParameter[int] = bindparam("person")
_mine, _other = aliased(AssignmentRow), aliased(AssignmentRow)
_shown = select(func.count()).where(TaskCompletionRow.task_id == TaskRow.id).scalar_subquery()
_had = (  # counted: PostgreSQL would turn NOT EXISTS into a join with all that the person or others ever judged
    select(func.count())
    .where(_mine.task_id == TaskRow.id, _mine.person_id == _person, _mine.state != "expired")
    .scalar_subquery()
)
_live = and_(_other.state == "leased", _other.expires_at > bindparam("now"))
_taken = (
    select(func.count()).where(_other.task_id == TaskRow.id, or_(_other.state == "submitted", _live)).scalar_subquery()
)
_wrote = exists().where(
    TaskCompletionRow.task_id == TaskRow.id,
    CompletionRow.id == TaskCompletionRow.completion_id,
    CompletionRow.policy_version == bindparam("author"),
)
_open = (TaskRow.run_id == bindparam("run"), TaskRow.is_open.is_(True))
_urgent = aliased(TaskRow)
_most_urgent = (
    select(func.max(_urgent.priority)).where(_urgent.run_id == bindparam("run"), _urgent.is_open.is_(True))
).scalar_subquery()
_PRIORITY = select(func.max(TaskRow.priority)).where(*_open, TaskRow.priority < bindparam("below"))
_fitting = (  # there is room, the person has not had it, and wrote none of it
    select(TaskRow.id, _shown.label("shown"))
    .where(*_open, TaskRow.id > bindparam("after"))
    .where(TaskRow.purpose.in_(bindparam("purposes", expanding=True)), TaskRow.person_id.is_(None))
    .where(_had == 0, _taken < TaskRow.overlap, ~_wrote)
    .order_by(TaskRow.is_open, TaskRow.id)  # all are open: this is the order of the index that has no others
    .limit(1)
    .with_for_update(of=TaskRow, skip_locked=True)
)
_FITTING = _fitting.where(TaskRow.priority == bindparam("priority"), TaskRow.id <= bindparam("until"))
_FIRST_FITTING = _fitting.where(TaskRow.priority == _most_urgent)  # which mostly is what is looked for
_FIRST_PURPOSE = (
    select(TaskRow.purpose)
    .join(AssignmentRow, AssignmentRow.task_id == TaskRow.id)
    .where(AssignmentRow.person_id == _person, AssignmentRow.state == bindparam("state"))
    .where(TaskRow.purpose.in_((*LABELLING, *COMPARING)))
    .order_by(AssignmentRow.id)
    .limit(1)
)


def purposes_of(connection: Connection, person_id: int) -> tuple[str, ...]:
    """No one both labels for training and compares policies: who they are is settled by their first task."""
    for state in ("submitted", "leased"):
        first = connection.scalar(_FIRST_PURPOSE, {"person": person_id, "state": state})
        if first is not None:
            return COMPARING if first in COMPARING else LABELLING
    return (*LABELLING, *COMPARING)


def candidates(
    connection: Connection, store: Store, run_id: str, person_id: int, purposes: Sequence[str], last: int
) -> Iterator[Row[int, int]]:
    """Tasks of a run with room for this person, locked, as (id, number of completions), by priority.

    Of one priority, those behind the last one that the person was given come first. On PostgreSQL, where others write
    meanwhile, a task that another transaction holds is passed over, and whether there is room must be asked again.
    """
    asked = {
        "run": run_id,
        "person": person_id,
        "author": f"person:{person_id}",
        "purposes": list(purposes),
        "now": store.now(),
    }
    first = connection.execute(_FIRST_FITTING, {**asked, "after": last}).one_or_none()
    if first is not None:
        yield first
    priority = connection.scalar(_PRIORITY, {"run": run_id, "below": _LARGEST})
    while priority is not None:
        for after, until in ((last, _LARGEST), (0, last)):
            asked.update(priority=priority, after=after, until=until)
            while (found := connection.execute(_FITTING, asked).one_or_none()) is not None:
                yield found
                asked.update(after=found.id)
        priority = connection.scalar(_PRIORITY, {"run": run_id, "below": priority})
