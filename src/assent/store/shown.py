"""What a person is shown of an assignment: texts by the slot they stand in, and nothing of who wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, select

from assent.store.campaigns import Campaign, CampaignSettings, settings_of
from assent.store.database import Store
from assent.store.judgements import judgement_of
from assent.store.own import campaign_of, with_campaign
from assent.store.revisions import LAST_REVISION, newest_of
from assent.store.service_tables import CampaignRow, DraftRow, GoldTaskRow
from assent.store.tables import AssignmentRow, CompletionRow, JudgementRow, PromptRow, TaskCompletionRow, TaskRow
from assent.types.errors import NotFoundError
from assent.types.feedback import Judgement, LabelKind

_own = and_(AssignmentRow.id == bindparam("assignment"), AssignmentRow.person_id == bindparam("person"))
_SHOWN = (
    select(
        *(AssignmentRow.id, AssignmentRow.task_id, AssignmentRow.order_shown, AssignmentRow.state),
        *(AssignmentRow.idempotency_key, AssignmentRow.leased_at, AssignmentRow.expires_at),
        *(TaskRow.label, TaskRow.purpose, PromptRow.messages, GoldTaskRow.stage),
        *(DraftRow.version, DraftRow.content, LAST_REVISION.label("revision")),
    )
    .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
    .join(PromptRow, PromptRow.id == TaskRow.prompt_id)
    .outerjoin(GoldTaskRow, GoldTaskRow.task_id == TaskRow.id)
    .outerjoin(DraftRow, DraftRow.assignment_id == AssignmentRow.id)
    .where(_own)
)
_TEXTS = (
    select(CompletionRow.text)
    .join(TaskCompletionRow, TaskCompletionRow.completion_id == CompletionRow.id)
    .where(TaskCompletionRow.task_id == bindparam("task"))
    .order_by(TaskCompletionRow.position)
)
_ASKED = with_campaign(
    select(
        *(AssignmentRow.order_shown, AssignmentRow.state.label("lease"), AssignmentRow.leased_at),
        *(AssignmentRow.idempotency_key, TaskRow.label, CampaignRow.__table__),
        *(GoldTaskRow.stage, GoldTaskRow.ranks, GoldTaskRow.explanation),
        *(JudgementRow.id.label("judgement"), JudgementRow.idempotency_key.label("judged_by")),
    )
    .select_from(AssignmentRow)
    .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
    .outerjoin(JudgementRow, JudgementRow.assignment_id == AssignmentRow.id)
).where(_own)


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
class Gold:
    """The known answer to a task."""

    stage: str
    ranks: tuple[int, ...]  # in the task's own order
    explanation: str


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
    gold: Gold | None
    idempotency_key: str
    recorded: Mapping[str, int]  # the judgements that were submitted by now, by their keys

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
    with store.look() as connection:
        rows = connection.execute(_ASKED, {"assignment": assignment_id, "person": person_id}).all()
    if not rows or rows[0].id is None:
        raise NotFoundError(f"no assignment {assignment_id}")
    row = rows[0]
    return Asked(
        assignment_id=assignment_id,
        person_id=person_id,
        asked=settings_of(row),
        campaign_id=row.id,
        order_shown=tuple(row.order_shown),
        label=LabelKind(row.label),
        state=row.lease,
        leased_at=row.leased_at,
        gold=None if row.stage is None else Gold(row.stage, tuple(row.ranks), row.explanation),
        idempotency_key=row.idempotency_key,
        recorded={each.judged_by: each.judgement for each in rows if each.judgement is not None},
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
    with store.look() as connection:
        row = connection.execute(_SHOWN, {"assignment": assignment_id, "person": person_id}).one_or_none()
        if row is None:
            raise NotFoundError(f"no assignment {assignment_id}")
        texts = connection.scalars(_TEXTS, {"task": row.task_id}).all()
        before = newest_of(connection, assignment_id) if row.revision else None
        campaign = campaign or campaign_of(connection, row.task_id)
    return Shown(
        id=row.id,
        task_id=row.task_id,
        campaign=campaign,
        messages=tuple(row.messages),
        texts=tuple(texts[place] for place in row.order_shown),
        order_shown=tuple(row.order_shown),
        label=LabelKind(row.label),
        purpose=row.purpose,
        stage=row.stage or "",
        state=row.state,
        idempotency_key=row.idempotency_key,
        leased_at=row.leased_at,
        expires_at=row.expires_at,
        draft=None if row.version is None else Draft(row.version, row.content),
        before=None if before is None else judgement_of(before),
    )
