"""What a person does with an assignment of theirs: keep it, type, submit, decline, take back, correct."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from assent.store.checks import agreement
from assent.store.database import Store
from assent.store.judgements import Judgements, judgement_of, require_fit, row_of
from assent.store.leases import lock_tasks, require_room
from assent.store.own import require_own
from assent.store.progress import standing_of
from assent.store.queue import LEASE_SECONDS
from assent.store.revisions import frozen_in, is_current, newest_of, note_whether_open
from assent.store.service_tables import DraftRow
from assent.store.shown import Asked, Draft
from assent.store.tables import AssignmentRow, JudgementRow, PromptRow, TaskRow
from assent.types.errors import ConflictError, DataError, NotFoundError
from assent.types.feedback import Judgement, LabelKind

DECLINED_AS = ("skip", "cannot-judge")

_own = AssignmentRow.id == bindparam("assignment")
_TASK_OF = select(AssignmentRow.task_id).where(_own)
_EXTEND = update(AssignmentRow).where(_own).values(state="leased", expires_at=bindparam("until"))
_DECLINE = (
    update(AssignmentRow)
    .where(_own)
    .values(state="declined", declined_as=bindparam("why"), expires_at=bindparam("now"))
)
_FORGET = delete(DraftRow).where(DraftRow.assignment_id == bindparam("assignment"))
_DRAFT = (
    select(AssignmentRow.id, AssignmentRow.state, DraftRow.version, DraftRow.content)
    .outerjoin(DraftRow, DraftRow.assignment_id == AssignmentRow.id)
    .where(_own, AssignmentRow.person_id == bindparam("person"))
)


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
    until = store.now() + timedelta(seconds=seconds)

    def extend(session: Session) -> None:
        connection = session.connection()
        found = connection.scalar(_TASK_OF, {"assignment": assignment_id})
        task = None if found is None else lock_tasks(session, [found])[found]  # before the assignment: no deadlock
        row = require_own(connection, assignment_id, person_id)
        _require_unfinished(row.id, row.state)
        if task is not None:
            require_room(connection, row, task.id, task.overlap, store.now())
        connection.execute(_EXTEND, {"assignment": assignment_id, "until": until})

    store.write_soon(extend)
    return until


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
    asked = {"assignment": assignment_id, "person": person_id}
    with store.look() as connection:
        kept = _kept_draft(connection, asked, content)
    if kept is not None:
        return True, kept  # a repeated request, or nothing new
    return store.write_soon(lambda session: _save_draft(session.connection(), asked, version, content, store.now()))


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
    number = asked.recorded.get(key or asked.idempotency_key)
    if number is None:
        number = Judgements(store).submit(asked.assignment_id, judgement, key)
    gold = asked.gold
    if gold is None or gold.stage == "hidden":
        return Submitted(number)
    stage = standing_of(store, asked.campaign_id, asked.person_id).stage
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

    def give_back(session: Session) -> None:
        connection = session.connection()
        if require_own(connection, assignment_id, person_id).state == "submitted":
            raise ConflictError(f"assignment {assignment_id} is submitted", "Take the judgement back first.")
        connection.execute(_DECLINE, {"assignment": assignment_id, "why": why, "now": store.now()})
        connection.execute(_FORGET, {"assignment": assignment_id})

    store.write_soon(give_back)


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
        note_whether_open(session.connection(), [task.id])
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


def _require_unfinished(assignment_id: int, state: str) -> None:
    if state in ("submitted", "declined"):
        raise ConflictError(f"assignment {assignment_id} is {state}", "Go on with another task.")


def _kept_draft(connection: Connection, asked: Mapping[str, int], content: Mapping[str, Any]) -> Draft | None:
    """The draft, if it says the same already."""
    row = connection.execute(_DRAFT, asked).one_or_none()
    if row is None:
        raise NotFoundError(f"no assignment {asked['assignment']}")
    _require_unfinished(row.id, row.state)
    return Draft(row.version, row.content) if row.version is not None and row.content == dict(content) else None


def _save_draft(
    connection: Connection, asked: Mapping[str, int], version: int, content: Mapping[str, Any], now: datetime
) -> tuple[bool, Draft]:
    require_own(connection, asked["assignment"], asked["person"])
    kept = _kept_draft(connection, asked, content)
    if kept is not None:
        return True, kept
    found = connection.execute(_DRAFT, asked).one()
    if (found.version or 0) != version:
        return False, Draft(found.version or 0, found.content or {})
    values = {"version": version + 1, "content": dict(content), "saved_at": now}
    if found.version is None:
        connection.execute(insert(DraftRow), {"assignment_id": asked["assignment"], **values})
    else:
        mine = update(DraftRow).where(DraftRow.assignment_id == asked["assignment"])
        connection.execute(mine.values(**values))
    return True, Draft(version + 1, dict(content))


def _own_judgement(session: Session, judgement_id: int, person_id: int) -> tuple[JudgementRow, AssignmentRow, TaskRow]:
    old = session.get(JudgementRow, judgement_id)
    if old is None or old.person_id != person_id:
        raise NotFoundError(f"no judgement {judgement_id}")
    task = lock_tasks(session, [old.task_id])[old.task_id]
    row = session.get_one(AssignmentRow, old.assignment_id, with_for_update=True)
    return old, row, task


def _require_newest(session: Session, old: JudgementRow) -> None:
    last = newest_of(session.connection(), old.assignment_id)
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
