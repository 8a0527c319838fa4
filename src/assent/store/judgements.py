"""Judgements: the `FeedbackStore` that pages, simulated people and AI judges share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from assent.store.database import Store
from assent.store.leases import Lease, lock_tasks, require_room, take_leases
from assent.store.queries import batches, insert_one, rows_by_id
from assent.store.revisions import LAST_REVISION, note_whether_open
from assent.store.service_tables import DraftRow
from assent.store.tables import AssignmentRow, CompletionRow, JudgementRow, PersonRow, PromptRow, TaskRow
from assent.store.tasks import completion_ids_of
from assent.types.errors import ConflictError, DataError, NotFoundError
from assent.types.feedback import Assignment, Judgement, LabelKind, Span
from assent.types.messages import Message

LEASE_SECONDS = 3600.0

_assignments_wanted = AssignmentRow.id.in_(bindparam("assignments", expanding=True))
_SUBMITTED = (
    select(
        *(AssignmentRow.id, AssignmentRow.task_id, AssignmentRow.person_id, AssignmentRow.order_shown),
        *(AssignmentRow.state, AssignmentRow.idempotency_key, AssignmentRow.expires_at),
        *(TaskRow.label, TaskRow.overlap, LAST_REVISION.label("revision")),
    )
    .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
    .where(_assignments_wanted)
)
_LOCK = (  # in the order of their ids: two who submit several at once cannot deadlock
    select(TaskRow.id)
    .where(TaskRow.id.in_(select(AssignmentRow.task_id).where(_assignments_wanted)))
    .order_by(TaskRow.id)
    .with_for_update()
)
_RECORDED = select(JudgementRow.id, JudgementRow.idempotency_key, JudgementRow.assignment_id).where(
    JudgementRow.idempotency_key.in_(bindparam("keys", expanding=True))
)
_INSERT = insert(JudgementRow)
_SUBMIT = update(AssignmentRow).where(AssignmentRow.id == bindparam("assignment")).values(state="submitted")
_FORGET = delete(DraftRow).where(DraftRow.assignment_id.in_(bindparam("assignments", expanding=True)))


class Judgements:
    """Who judges what, and what they said. Implements `assent.types.protocols.FeedbackStore`.

    Args:
        store: the open store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def lease(
        self, task_ids: Sequence[int], person_id: int, seed: int, seconds: float = LEASE_SECONDS
    ) -> list[Assignment]:
        """This person's assignments on these tasks, in the order of the tasks, in one transaction.

        A task that the person holds is returned again (its lease renewed), one they judged comes with
        `submitted=True`, and a task without room is left out: live leases and submissions never exceed the overlap.

        Args:
            task_ids: the tasks wanted.
            person_id: who will judge.
            seed: of the order shown; the permutation depends on it, the person and the task alone.
            seconds: how long new leases last.

        Raises:
            DataError: unknown person or task.
        """
        with self._store.write() as session:
            if session.get(PersonRow, person_id) is None:
                raise DataError(f"no person {person_id}", "Enter the person first.")
            wanted = list(dict.fromkeys(task_ids))
            tasks = lock_tasks(session, wanted)
            completions = completion_ids_of(session, wanted)
            pairs = [(task_id, len(completions[task_id])) for task_id in wanted]
            held = take_leases(session.connection(), pairs, person_id, seed, self._store.now(), seconds)
            return _assignments(session, held, tasks, completions)

    def submit(self, assignment_id: int, judgement: Judgement, idempotency_key: str = "") -> int:
        """Record a judgement for good and return its id. The same key again returns the same id, records nothing.

        Args:
            assignment_id: from `lease`.
            judgement: what the person said.
            idempotency_key: from the assignment, which is also the default.

        Raises:
            DataError: unknown assignment; a judgement that does not fit it; submitted before under another key; or
                the lease ran out and the task was given to someone else.
        """
        said = [(assignment_id, judgement, idempotency_key)]
        return self._store.write_soon(lambda session: _record_all(session.connection(), said, self._store.now()))[0]

    def submit_all(self, submissions: Sequence[tuple[int, Judgement, str]]) -> list[int]:
        """Record several judgements in one transaction, all or none, and return their ids in order.

        Each is treated as by `submit`; a simulated person need not wait for the disk after every one.

        Args:
            submissions: (assignment id, judgement, idempotency key or "") each.

        Raises:
            DataError: see `submit`; then none was recorded.
        """
        with self._store.write() as session:
            return _record_all(session.connection(), submissions, self._store.now())

    def get(self, judgement_id: int) -> Judgement:
        """A judgement as it was submitted.

        Raises:
            DataError: no such judgement.
        """
        with self._store.read() as session:
            row = session.get(JudgementRow, judgement_id)
            if row is None:
                raise DataError(f"no judgement {judgement_id}", "Was it made in another workspace?")
            return judgement_of(row)


def judgement_of(row: JudgementRow | Row[Any]) -> Judgement:
    """A row, or its columns, as what the person said."""
    return Judgement(
        ranks=tuple(row.ranks),
        order_shown=tuple(row.order_shown),
        label=LabelKind(row.label),
        marks=tuple(row.marks),
        flags=tuple(row.flags),
        note=row.note,
        seconds=row.seconds,
        strength=row.strength,
        all_bad=row.all_bad,
        reasons=tuple(row.reasons),
        spans=tuple(Span(**span) for span in row.spans),
        rewrite=row.rewrite,
    )


def row_of(
    judgement: Judgement, assignment: AssignmentRow, key: str, now: datetime, revision: int, withdrawn: bool = False
) -> JudgementRow:
    """What a person said, as a row that is not in the session yet."""
    return JudgementRow(**columns_of_row(judgement, assignment, key, now, revision, withdrawn))


def columns_of_row(
    judgement: Judgement,
    assignment: AssignmentRow | Row[Any],
    key: str,
    now: datetime,
    revision: int,
    withdrawn: bool = False,
) -> dict[str, Any]:
    """What a person said of an assignment, by the names of all columns but the id."""
    return {
        "assignment_id": assignment.id,
        "task_id": assignment.task_id,
        "person_id": assignment.person_id,
        "idempotency_key": key,
        "submitted_at": now,
        "revision": revision,
        "withdrawn": withdrawn,
        **columns_of(judgement),
    }


def columns_of(judgement: Judgement) -> dict[str, Any]:
    """What a person said, by the names of the columns; `judgement_of` reads it back."""
    return {
        "ranks": list(judgement.ranks),
        "order_shown": list(judgement.order_shown),
        "label": judgement.label.value,
        "marks": [dict(marks) for marks in judgement.marks],
        "flags": list(judgement.flags),
        "note": judgement.note,
        "seconds": judgement.seconds,
        "strength": judgement.strength,
        "all_bad": judgement.all_bad,
        "reasons": list(judgement.reasons),
        "spans": [asdict(span) for span in judgement.spans],
        "rewrite": judgement.rewrite,
    }


def _record_all(connection: Connection, submissions: Sequence[tuple[int, Judgement, str]], now: datetime) -> list[int]:
    """See `Judgements.submit_all`; inside a transaction that writes."""
    rows = _assignments_submitted(connection, [assignment_id for assignment_id, _, _ in submissions])
    keys = [key or rows[assignment_id].idempotency_key for assignment_id, _, key in submissions]
    known = _recorded_by(connection, keys)
    submitted = {row.id for row in rows.values() if row.state == "submitted"}
    new: set[int] = set()
    for (assignment_id, judgement, _), key in zip(submissions, keys, strict=True):
        row = rows[assignment_id]
        if key in known:
            _require_same(known[key], row, key)
            continue
        if assignment_id in submitted:
            raise ConflictError(
                f"assignment {assignment_id} was submitted before, under another key",
                "A judgement is never changed after it was submitted; add a revision of it.",
            )
        require_fit(judgement, row, LabelKind(row.label), len(row.order_shown))
        require_room(connection, row, row.task_id, row.overlap, now)
        columns = columns_of_row(judgement, row, key, now, row.revision + 1)  # more than 1 if it was taken back
        known[key] = (insert_one(connection, _INSERT, columns), assignment_id)
        connection.execute(_SUBMIT, {"assignment": assignment_id})  # at once: those that follow need room beside it
        submitted.add(assignment_id)
        new.add(assignment_id)
    for some in batches(sorted(new)):
        connection.execute(_FORGET, {"assignments": list(some)})
    note_whether_open(connection, sorted({rows[each].task_id for each in new}))
    return [known[key][0] for key in keys]


def _assignments_submitted(connection: Connection, ids: Sequence[int]) -> dict[int, Row[Any]]:
    """These assignments with what their tasks ask; on PostgreSQL locked, as others write there meanwhile."""
    found: dict[int, Row[Any]] = {}
    for some in batches(ids):
        if connection.dialect.name != "sqlite":
            connection.execute(_LOCK, {"assignments": list(some)})
        found.update((row.id, row) for row in connection.execute(_SUBMITTED, {"assignments": list(some)}))
    missing = next((each for each in ids if each not in found), None)
    if missing is not None:
        raise NotFoundError(f"no assignment {missing}", "Lease the task first.")
    return found


def _recorded_by(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[int, int]]:
    """By idempotency key, the judgement that was recorded under it and its assignment."""
    found: dict[str, tuple[int, int]] = {}
    for some in batches(keys):
        rows = connection.execute(_RECORDED, {"keys": list(some)})
        found.update((row.idempotency_key, (row.id, row.assignment_id)) for row in rows)
    return found


def _require_same(known: tuple[int, int], row: Row[Any], key: str) -> None:
    if known[1] != row.id:
        raise ConflictError(
            f"idempotency key {key!r} was used for assignment {known[1]}, not {row.id}",
            "Use the key that the assignment came with.",
        )


def require_fit(judgement: Judgement, assignment: AssignmentRow | Row[Any], label: LabelKind, count: int) -> None:
    """Check that a judgement is one of what this assignment asked.

    Raises:
        DataError: other completions, another order, another form.
    """
    hint = "This judgement was not recorded; send it for the assignment it was made for."
    if len(judgement.ranks) != count:
        raise DataError(
            f"assignment {assignment.id} has {count} completions, the judgement ranks {len(judgement.ranks)}", hint
        )
    if list(judgement.order_shown) != assignment.order_shown:
        raise DataError(
            f"assignment {assignment.id} showed the order {tuple(assignment.order_shown)}, "
            f"the judgement says {judgement.order_shown}",
            hint,
        )
    if judgement.label is not label:
        raise DataError(
            f"assignment {assignment.id} asks for {label.value}, the judgement is {judgement.label.value}", hint
        )
    if judgement.marks and len(judgement.marks) != count:
        raise DataError(f"assignment {assignment.id} has {count} completions, got {len(judgement.marks)} marks", hint)


def _assignments(
    session: Session,
    rows: Sequence[Lease],
    tasks: dict[int, TaskRow],
    completions: dict[int, tuple[int, ...]],
) -> list[Assignment]:
    texts = rows_by_id(session, CompletionRow, [c for row in rows for c in completions[row.task_id]])
    prompts = rows_by_id(session, PromptRow, [tasks[row.task_id].prompt_id for row in rows])
    return [
        Assignment(
            id=row.id,
            task_id=row.task_id,
            person_id=row.person_id,
            prompt=prompts[tasks[row.task_id].prompt_id].text,
            completions=tuple(texts[c].text for c in completions[row.task_id]),
            order_shown=row.order_shown,
            label=LabelKind(tasks[row.task_id].label),
            idempotency_key=row.idempotency_key,
            submitted=row.state == "submitted",
            meta=prompts[tasks[row.task_id].prompt_id].meta,
            messages=tuple(Message(m["role"], m["content"]) for m in prompts[tasks[row.task_id].prompt_id].messages),
        )
        for row in rows
    ]
