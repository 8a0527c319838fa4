"""Tasks that people gave back, and how they take one up again because that was a slip."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from assent.store.database import Store
from assent.store.leases import count_others, lock_tasks
from assent.store.queue import LEASE_SECONDS, require_own
from assent.store.tables import AssignmentRow, TaskRow
from assent.types.errors import ConflictError


def take_up_again(store: Store, assignment_id: int, person_id: int, seconds: float = LEASE_SECONDS) -> None:
    """Hold a task again that was skipped or could not be judged. Repeating it does nothing more.

    Raises:
        NotFoundError: no such assignment of theirs.
        ConflictError: it was judged, or others have taken its place meanwhile.
    """
    with store.write() as session:
        row = require_own(session, assignment_id, person_id, lock=False)
        task = lock_tasks(session, [row.task_id])[row.task_id]  # before the assignment, as everywhere: no deadlock
        session.refresh(row, with_for_update=True)
        if row.state == "submitted":
            raise ConflictError(f"assignment {assignment_id} is submitted", "Take the judgement back instead.")
        now = store.now()
        if row.state == "leased" and row.expires_at > now:
            return
        if count_others(session, [task.id], person_id, now).get(task.id, 0) >= task.overlap:
            raise ConflictError(f"others judge task {task.id} by now", "Go on with another task.")
        row.state, row.declined_as, row.leased_at = "leased", "", now
        row.expires_at = now + timedelta(seconds=seconds)


def given_back(store: Store, run_id: str) -> set[int]:
    """The tasks of a run that somebody skipped or could not judge, and has not taken up again."""
    query = (
        select(AssignmentRow.task_id)
        .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
        .where(TaskRow.run_id == run_id, AssignmentRow.state == "declined")
    )
    with store.read() as session:
        return set(session.scalars(query))
