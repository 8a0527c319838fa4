"""Judgements: the `FeedbackStore` that pages, simulated people and AI judges share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from assent.store.database import Store
from assent.store.leases import lock_tasks, require_room, take_leases
from assent.store.queries import batches, rows_by_id
from assent.store.revisions import newest, note_whether_open
from assent.store.service_tables import DraftRow
from assent.store.tables import AssignmentRow, CompletionRow, JudgementRow, PersonRow, PromptRow, TaskRow
from assent.store.tasks import completion_ids_of
from assent.types.errors import ConflictError, DataError, NotFoundError
from assent.types.feedback import Assignment, Judgement, LabelKind, Span
from assent.types.messages import Message

LEASE_SECONDS = 3600.0


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
            pairs = [(tasks[task_id], len(completions[task_id])) for task_id in wanted]
            rows = take_leases(session, pairs, person_id, seed, self._store.now(), seconds)
            return _assignments(session, rows, tasks, completions)

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
        return self.submit_all([(assignment_id, judgement, idempotency_key)])[0]

    def submit_all(self, submissions: Sequence[tuple[int, Judgement, str]]) -> list[int]:
        """Record several judgements in one transaction, all or none, and return their ids in order.

        Each is treated as by `submit`; a simulated person need not wait for the disk after every one.

        Args:
            submissions: (assignment id, judgement, idempotency key or "") each.

        Raises:
            DataError: see `submit`; then none was recorded.
        """
        with self._store.write() as session:
            rows = [_require_assignment(session, assignment_id) for assignment_id, _, _ in submissions]
            task_ids = [row.task_id for row in rows]
            tasks = lock_tasks(session, task_ids)
            completions = completion_ids_of(session, task_ids)
            others_write = session.get_bind().dialect.name != "sqlite"
            numbers = []
            for row, (_, judgement, key) in zip(rows, submissions, strict=True):
                if others_write:
                    session.refresh(row)  # what was read before the lock may be old
                shown = len(completions[row.task_id])
                numbers.append(self._record(session, row, tasks[row.task_id], shown, judgement, key))
            session.flush()
            note_whether_open(session, list(tasks.values()))
            for some in batches([row.id for row in rows]):
                session.execute(delete(DraftRow).where(DraftRow.assignment_id.in_(some)))
            return numbers

    def _record(
        self, session: Session, row: AssignmentRow, task: TaskRow, shown: int, judgement: Judgement, key: str
    ) -> int:
        key = key or row.idempotency_key
        known = _submitted_before(session, row, key)
        if known is not None:
            return known
        require_fit(judgement, row, LabelKind(task.label), shown)
        now = self._store.now()
        require_room(session, row, task, now)
        before = newest(session, row.id)  # there is one if the person took it back
        new = row_of(judgement, row, key, now, 1 if before is None else before.revision + 1)
        row.state = "submitted"
        session.add(new)
        session.flush()
        return new.id

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


def judgement_of(row: JudgementRow) -> Judgement:
    """A row as what the person said."""
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
    return JudgementRow(
        assignment_id=assignment.id,
        task_id=assignment.task_id,
        person_id=assignment.person_id,
        idempotency_key=key,
        submitted_at=now,
        revision=revision,
        withdrawn=withdrawn,
        **columns_of(judgement),
    )


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


def _require_assignment(session: Session, assignment_id: int) -> AssignmentRow:
    row = session.get(AssignmentRow, assignment_id)
    if row is None:
        raise NotFoundError(f"no assignment {assignment_id}", "Lease the task first.")
    return row


def _submitted_before(session: Session, assignment: AssignmentRow, key: str) -> int | None:
    same_key = session.scalar(select(JudgementRow).where(JudgementRow.idempotency_key == key))
    if same_key is not None:
        if same_key.assignment_id == assignment.id:
            return same_key.id
        raise ConflictError(
            f"idempotency key {key!r} was used for assignment {same_key.assignment_id}, not {assignment.id}",
            "Use the key that the assignment came with.",
        )
    if assignment.state == "submitted":
        raise ConflictError(
            f"assignment {assignment.id} was submitted before, under another key",
            "A judgement is never changed after it was submitted; add a revision of it.",
        )
    return None


def require_fit(judgement: Judgement, assignment: AssignmentRow, label: LabelKind, count: int) -> None:
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
    rows: Sequence[AssignmentRow],
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
            order_shown=tuple(row.order_shown),
            label=LabelKind(tasks[row.task_id].label),
            idempotency_key=row.idempotency_key,
            submitted=row.state == "submitted",
            meta=prompts[tasks[row.task_id].prompt_id].meta,
            messages=tuple(Message(m["role"], m["content"]) for m in prompts[tasks[row.task_id].prompt_id].messages),
        )
        for row in rows
    ]
