"""What a person is shown of an assignment: texts by the slot they stand in, and nothing of who wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from assent.store.campaigns import Campaign, CampaignSettings, settings_of
from assent.store.database import Store
from assent.store.judgements import judgement_of
from assent.store.queue import campaign_of, campaign_row_of
from assent.store.revisions import newest
from assent.store.service_tables import DraftRow, GoldTaskRow
from assent.store.tables import AssignmentRow, CompletionRow, PromptRow, TaskCompletionRow, TaskRow
from assent.types.errors import NotFoundError
from assent.types.feedback import Judgement, LabelKind


@dataclass(frozen=True)
class Draft:
    """What was typed and not submitted. Each saving makes a new version."""

    version: int
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Shown:
    """An assignment before a person's eyes."""

    id: int
    task_id: int
    campaign: Campaign
    messages: tuple[Mapping[str, str], ...]  # the conversation: role and content each
    texts: tuple[str, ...]  # [K] by slot
    order_shown: tuple[int, ...]  # [K] by slot, the place in the task's own order
    label: LabelKind
    purpose: str
    stage: str  # of a task with a known answer: training, qualification or hidden; else empty
    state: str
    idempotency_key: str
    leased_at: datetime
    expires_at: datetime
    draft: Draft | None
    before: Judgement | None  # what they said before they took it back


@dataclass(frozen=True)
class Asked:
    """What an answer to an assignment must fit."""

    assignment_id: int
    person_id: int
    asked: CampaignSettings
    campaign_id: int
    order_shown: tuple[int, ...]  # [K] by slot, the place in the task's own order
    label: LabelKind
    state: str
    leased_at: datetime
    gold: GoldTaskRow | None
    idempotency_key: str

    def submission_keys(self) -> list[str]:
        """The key of the next submission, then those of submissions that were taken back."""
        task, person, *revision = self.idempotency_key.split(":")
        first = f"{task}:{person}"
        later = [f"{first}:{number}" for number in range(int(revision[0]), 1, -1)] if revision else []
        return [*later, first]


def asked_of(store: Store, assignment_id: int, person_id: int) -> Asked:
    """What a person's own assignment asks for, without its texts.

    Raises:
        NotFoundError: there is none of this id, or it is someone else's.
    """
    with store.read() as session:
        row, task = _require_own(session, assignment_id, person_id)
        campaign = campaign_row_of(session, task)
        return Asked(
            assignment_id=row.id,
            person_id=row.person_id,
            asked=settings_of(campaign),
            campaign_id=campaign.id,
            order_shown=tuple(row.order_shown),
            label=LabelKind(task.label),
            state=row.state,
            leased_at=row.leased_at,
            gold=session.get(GoldTaskRow, task.id) if task.purpose == "gold" else None,
            idempotency_key=row.idempotency_key,
        )


def show_assignment(store: Store, assignment_id: int, person_id: int, campaign: Campaign | None = None) -> Shown:
    """A person's own assignment with its texts.

    Args:
        store: the open store.
        assignment_id: which.
        person_id: whose it must be.
        campaign: that serves it, where that is known already.

    Raises:
        NotFoundError: there is none of this id, or it is someone else's.
    """
    with store.read() as session:
        row, task = _require_own(session, assignment_id, person_id)
        return _shown(session, row, task, campaign or campaign_of(session, task))


def _require_own(session: Session, assignment_id: int, person_id: int) -> tuple[AssignmentRow, TaskRow]:
    query = select(AssignmentRow, TaskRow).join(TaskRow, TaskRow.id == AssignmentRow.task_id)
    found = session.execute(query.where(AssignmentRow.id == assignment_id)).one_or_none()
    if found is None or found[0].person_id != person_id:
        raise NotFoundError(f"no assignment {assignment_id}")
    return found[0], found[1]


def _shown(session: Session, row: AssignmentRow, task: TaskRow, campaign: Campaign) -> Shown:
    written = (
        select(CompletionRow.text, PromptRow.messages)
        .join(TaskCompletionRow, TaskCompletionRow.completion_id == CompletionRow.id)
        .join(PromptRow, PromptRow.id == CompletionRow.prompt_id)
        .where(TaskCompletionRow.task_id == task.id)
        .order_by(TaskCompletionRow.position)
    )
    found = session.execute(written).all()
    gold = session.get(GoldTaskRow, task.id) if task.purpose == "gold" else None
    draft = session.get(DraftRow, row.id)
    before = newest(session, row.id)
    return Shown(
        id=row.id,
        task_id=task.id,
        campaign=campaign,
        messages=tuple(found[0][1]),
        texts=tuple(found[place][0] for place in row.order_shown),
        order_shown=tuple(row.order_shown),
        label=LabelKind(task.label),
        purpose=task.purpose,
        stage="" if gold is None else gold.stage,
        state=row.state,
        idempotency_key=row.idempotency_key,
        leased_at=row.leased_at,
        expires_at=row.expires_at,
        draft=None if draft is None else Draft(draft.version, draft.content),
        before=None if before is None else judgement_of(before),
    )
