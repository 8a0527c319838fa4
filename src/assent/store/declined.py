"""Tasks that people gave back, and how they take one up again because that was a slip."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, update

from assent.store.database import Store
from assent.store.leases import is_live, lock_tasks, require_room
from assent.store.own import require_own
from assent.store.queue import LEASE_SECONDS
from assent.store.tables import AssignmentRow, TaskRow
from assent.types.errors import ConflictError, LeaseLostError


def take_up_again(store: Store, assignment_id: int, person_id: int, seconds: float = LEASE_SECONDS) -> None:
    """Hold a task again that was skipped or could not be judged. Repeating it does nothing more.

    Raises:
        NotFoundError: no such assignment of theirs.
        ConflictError: it was judged, or others have taken its place meanwhile.
    """
    with store.write() as session:
        connection = session.connection()
        task_id = session.scalar(select(AssignmentRow.task_id).where(AssignmentRow.id == assignment_id))
        tasks = {} if task_id is None else lock_tasks(session, [task_id])  # before the assignment: no deadlock
        row = require_own(connection, assignment_id, person_id)
        if row.state == "submitted":
            raise ConflictError(f"assignment {assignment_id} is submitted", "Take the judgement back instead.")
        now, task = store.now(), tasks[row.task_id]
        if is_live(row, now):
            return
        try:
            require_room(connection, row, task.id, task.overlap, now)
        except LeaseLostError as error:
            raise ConflictError(f"others judge task {task.id} by now", "Go on with another task.") from error
        held = {"state": "leased", "declined_as": "", "leased_at": now, "expires_at": now + timedelta(seconds=seconds)}
        session.execute(update(AssignmentRow).where(AssignmentRow.id == assignment_id).values(**held))


def given_back(store: Store, run_id: str) -> set[int]:
    """The tasks of a run that somebody skipped or could not judge, and has not taken up again."""
    query = (
        select(AssignmentRow.task_id)
        .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
        .where(TaskRow.run_id == run_id, AssignmentRow.state == "declined")
    )
    with store.read() as session:
        return set(session.scalars(query))
