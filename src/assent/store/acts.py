"""What a person does with an assignment of theirs: keep it, type, submit, decline, take back, correct."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from assent.store.checks import agreement
from assent.store.database import Store
from assent.store.judgements import Judgements, judgement_of, require_fit, row_of
from assent.store.leases import lock_tasks, require_room
from assent.store.progress import standing_of
from assent.store.queue import LEASE_SECONDS, require_own
from assent.store.revisions import frozen_in, is_current, newest, note_whether_open
from assent.store.service_tables import DraftRow
from assent.store.shown import Asked, Draft
from assent.store.tables import AssignmentRow, JudgementRow, PromptRow, TaskRow
from assent.types.errors import ConflictError, DataError, NotFoundError
from assent.types.feedback import Judgement, LabelKind

DECLINED_AS = ("skip", "cannot-judge")


@dataclass(frozen=True)
class Submitted:
    """A judgement that is kept, and what a training task teaches."""

    judgement_id: int
    expected: tuple[int, ...] | None = None  # the expected ranks, in the task's own order
    explanation: str = ""
    right: bool | None = None  # ordered as expected
    stage: str = "queue"  # what comes next: training, qualification, queue, or failed where they did not qualify


@dataclass(frozen=True)
class Past:
    """A judgement of one's own, in the list of them."""

    id: int
    assignment_id: int
    revision: int
    prompt: str
    judgement: Judgement
    submitted_at: datetime
    frozen: bool  # it can be changed no more


def renew(store: Store, assignment_id: int, person_id: int, seconds: float = LEASE_SECONDS) -> datetime:
    """Keep a lease; returns when it runs out now.

    Raises:
        NotFoundError: no such assignment of theirs.
        ConflictError: it was submitted or declined, or ran out and others took the place.
    """
    with store.write() as session:
        row = require_own(session, assignment_id, person_id, lock=False)
        task = lock_tasks(session, [row.task_id])[row.task_id]  # before the assignment, as everywhere: no deadlock
        session.refresh(row, with_for_update=True)
        if row.state in ("submitted", "declined"):
            raise ConflictError(f"assignment {assignment_id} is {row.state}", "Go on with another task.")
        require_room(session, row, task, store.now())
        row.state, row.expires_at = "leased", store.now() + timedelta(seconds=seconds)
        return row.expires_at


def save_draft(
    store: Store, assignment_id: int, person_id: int, version: int, content: Mapping[str, Any]
) -> tuple[bool, Draft]:
    """Keep what is typed.

    Args:
        store: the open store.
        assignment_id: a lease of theirs.
        person_id: who types.
        version: the version that the content is based on; 0 for the first.
        content: JSON values.

    Returns:
        True and the draft as it is now; or False and the other one, if another tab or device saved meanwhile.

    Raises:
        NotFoundError: no such assignment of theirs.
        ConflictError: it was submitted or declined.
    """
    with store.write() as session:
        row = require_own(session, assignment_id, person_id)
        if row.state in ("submitted", "declined"):
            raise ConflictError(f"assignment {assignment_id} is {row.state}", "Go on with another task.")
        draft = session.get(DraftRow, assignment_id)
        if draft is not None and draft.content == dict(content):
            return True, Draft(draft.version, draft.content)  # a repeated request, or nothing new
        if (0 if draft is None else draft.version) != version:
            return False, Draft(0, {}) if draft is None else Draft(draft.version, draft.content)
        if draft is None:
            draft = DraftRow(assignment_id=assignment_id)
            session.add(draft)
        draft.version, draft.content, draft.saved_at = version + 1, dict(content), store.now()
        return True, Draft(draft.version, draft.content)


def submit(store: Store, asked: Asked, judgement: Judgement, key: str = "") -> Submitted:
    """Record a person's judgement for good. The same key again gives the same answer and records nothing.

    Args:
        store: the open store.
        asked: from `asked_of`, which sees to it that the assignment is theirs.
        judgement: what they said.
        key: one of `asked.submission_keys()`, or the client's own; by default the assignment's.

    Raises:
        DataError: it does not fit, or came sooner than the campaign's floor allows.
        ConflictError: see `Judgements.submit`.
    """
    if asked.state != "submitted":
        _require_time(store, asked, judgement)
    number = Judgements(store).submit(asked.assignment_id, judgement, key)
    gold = asked.gold
    if gold is None or gold.stage == "hidden":
        return Submitted(number)
    stage = standing_of(store, gold.campaign_id, asked.person_id).stage
    if gold.stage != "training":
        return Submitted(number, stage=stage)
    right, total = agreement(gold.ranks, Judgements(store).get(number).ranks)
    return Submitted(number, tuple(gold.ranks), gold.explanation, right == total, stage)


def decline(store: Store, assignment_id: int, person_id: int, why: str) -> None:
    """Give the task back to others: skipped, or it cannot be judged. Declining again does nothing.

    Raises:
        NotFoundError: no such assignment of theirs.
        ConflictError: it was submitted.
        DataError: an unknown reason.
    """
    if why not in DECLINED_AS:
        raise DataError(f"reason: {' or '.join(DECLINED_AS)}, got {why!r}")
    with store.write() as session:
        row = require_own(session, assignment_id, person_id)
        if row.state == "submitted":
            raise ConflictError(f"assignment {assignment_id} is submitted", "Take the judgement back first.")
        row.state, row.declined_as, row.expires_at = "declined", why, store.now()
        draft = session.get(DraftRow, assignment_id)
        if draft is not None:
            session.delete(draft)


def undo(store: Store, judgement_id: int, person_id: int, seconds: float = LEASE_SECONDS) -> int:
    """Take a judgement back; returns the assignment, which the person holds again. Repeating it does nothing more.

    Raises:
        NotFoundError: no such judgement of theirs.
        ConflictError: it was revised since, or a dataset version holds it.
    """
    with store.write() as session:
        old, row, task = _own_judgement(session, judgement_id, person_id)
        key = f"undo:{judgement_id}"
        if session.scalar(select(JudgementRow.id).where(JudgementRow.idempotency_key == key)) is not None:
            return row.id
        _require_newest(session, old)
        session.add(row_of(judgement_of(old), row, key, store.now(), old.revision + 1, withdrawn=True))
        row.state, row.expires_at = "leased", store.now() + timedelta(seconds=seconds)
        row.idempotency_key = f"{row.task_id}:{row.person_id}:{old.revision + 1}"
        session.flush()
        note_whether_open(session, [task])
        return row.id


def edit(store: Store, judgement_id: int, person_id: int, judgement: Judgement) -> int:
    """Correct a judgement by a new revision and return its id. The same correction again does nothing more.

    Raises:
        NotFoundError: no such judgement of theirs.
        ConflictError: it was revised since, or a dataset version holds it.
        DataError: it does not fit.
    """
    with store.write() as session:
        old, row, task = _own_judgement(session, judgement_id, person_id)
        key = f"edit:{judgement_id}"
        again = session.scalar(select(JudgementRow).where(JudgementRow.idempotency_key == key))
        if again is not None and judgement_of(again) == judgement:
            return again.id
        _require_newest(session, old)
        judgement = replace(judgement, label=LabelKind(task.label))
        require_fit(judgement, row, LabelKind(task.label), len(row.order_shown))
        new = row_of(judgement, row, key, store.now(), old.revision + 1)
        session.add(new)
        session.flush()
        return new.id


def past_judgements(store: Store, person_id: int, before: int | None = None, limit: int = 50) -> list[Past]:
    """A person's own judgements as they stand now, the newest first, or those before one of them."""
    query = (
        select(JudgementRow, PromptRow.text)
        .join(TaskRow, TaskRow.id == JudgementRow.task_id)
        .join(PromptRow, PromptRow.id == TaskRow.prompt_id)
        .where(JudgementRow.person_id == person_id, is_current())
        .order_by(JudgementRow.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(JudgementRow.id < before)
    with store.read() as session:
        return [
            Past(
                row.id,
                row.assignment_id,
                row.revision,
                prompt,
                judgement_of(row),
                row.submitted_at,
                frozen_in(session, row.id) is not None,
            )
            for row, prompt in session.execute(query).all()
        ]


def own_judgement(store: Store, judgement_id: int, person_id: int) -> tuple[int, Judgement]:
    """A judgement of one's own, and its assignment.

    Raises:
        NotFoundError: there is none of this id, or it is someone else's.
    """
    with store.read() as session:
        row = session.get(JudgementRow, judgement_id)
        if row is None or row.person_id != person_id:
            raise NotFoundError(f"no judgement {judgement_id}")
        return row.assignment_id, judgement_of(row)


def _own_judgement(session: Session, judgement_id: int, person_id: int) -> tuple[JudgementRow, AssignmentRow, TaskRow]:
    old = session.get(JudgementRow, judgement_id)
    if old is None or old.person_id != person_id:
        raise NotFoundError(f"no judgement {judgement_id}")
    task = lock_tasks(session, [old.task_id])[old.task_id]
    row = session.get_one(AssignmentRow, old.assignment_id, with_for_update=True)
    return old, row, task


def _require_newest(session: Session, old: JudgementRow) -> None:
    last = newest(session, old.assignment_id)
    if last is None or last.id != old.id or old.withdrawn:
        raise ConflictError(f"judgement {old.id} was revised since", "Look at it again and change the newest.")
    dataset = frozen_in(session, old.id)
    if dataset is not None:
        raise ConflictError(
            f"judgement {old.id} is part of the frozen dataset {dataset}",
            "What models were trained on is never changed; it can be left out of the next version.",
        )


def _require_time(store: Store, asked: Asked, judgement: Judgement) -> None:
    floor = asked.asked.floor_seconds
    passed = min((store.now() - asked.leased_at).total_seconds(), judgement.seconds)
    if passed < floor:
        raise DataError(
            f"too quick: this campaign asks for at least {floor:g} seconds, and {passed:.1f} have passed",
            f"Read all of them, then submit again in {floor - passed:.0f} seconds or later.",
        )
