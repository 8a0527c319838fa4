"""What a person is shown of an assignment: texts by the slot they stand in, and nothing of who wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from assent.store.campaigns import Campaign
from assent.store.database import Store
from assent.store.judgements import judgement_of
from assent.store.queries import rows_by_id
from assent.store.queue import campaign_of, require_own
from assent.store.revisions import newest
from assent.store.service_tables import DraftRow, GoldTaskRow
from assent.store.tables import AssignmentRow, CompletionRow, PromptRow, TaskRow
from assent.store.tasks import completion_ids_of
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


def show_assignment(store: Store, assignment_id: int, person_id: int) -> Shown:
    """A person's own assignment with its texts.

    Raises:
        NotFoundError: there is none of this id, or it is someone else's.
    """
    with store.read() as session:
        row = require_own(session, assignment_id, person_id, lock=False)
        return _shown(session, row)


def _shown(session: Session, row: AssignmentRow) -> Shown:
    task = session.get_one(TaskRow, row.task_id)
    ids = completion_ids_of(session, [task.id])[task.id]
    completions = rows_by_id(session, CompletionRow, ids)
    prompt = session.get_one(PromptRow, task.prompt_id)
    gold = session.get(GoldTaskRow, task.id)
    draft = session.get(DraftRow, row.id)
    before = newest(session, row.id)
    return Shown(
        id=row.id,
        task_id=task.id,
        campaign=campaign_of(session, task),
        messages=tuple(prompt.messages),
        texts=tuple(completions[ids[place]].text for place in row.order_shown),
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
