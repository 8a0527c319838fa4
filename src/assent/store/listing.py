"""Judgements as those see them who run the labelling: page by page, with every revision, and who said it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from assent.store.database import Store
from assent.store.judgements import judgement_of
from assent.store.revisions import is_current
from assent.store.tables import JudgementRow, PersonRow, PromptRow, TaskRow
from assent.store.tasks import completion_ids_of
from assent.types.errors import NotFoundError
from assent.types.feedback import Judgement


@dataclass(frozen=True)
class Listed:
    """A judgement with where it belongs."""

    id: int
    task_id: int
    run_id: str
    purpose: str
    prompt_id: int
    completion_ids: tuple[int, ...]  # [K] in the task's own order, which `judgement.ranks` follows
    person_id: int
    person: str
    person_kind: str
    revision: int
    withdrawn: bool
    judgement: Judgement
    submitted_at: datetime


@dataclass(frozen=True)
class Demonstration:
    """A better answer that a person wrote."""

    judgement_id: int
    person_id: int
    messages: tuple[dict[str, str], ...]
    answer: str


def list_judgements(
    store: Store,
    run_ids: Sequence[str] | None = None,
    person_id: int | None = None,
    task_id: int | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[Listed]:
    """Judgements as they stand now, in order of submission, behind one of them.

    Args:
        store: the open store.
        run_ids: only tasks of these runs; all if None.
        person_id: only by this person; all if None.
        task_id: only of this task; all if None.
        after: a judgement's id.
        limit: at most so many.
    """
    query = _query().where(JudgementRow.id > after, is_current()).limit(limit)
    if run_ids is not None:
        query = query.where(TaskRow.run_id.in_(run_ids))
    if person_id is not None:
        query = query.where(JudgementRow.person_id == person_id)
    if task_id is not None:
        query = query.where(JudgementRow.task_id == task_id)
    return _listed(store, query)


def revisions_of(store: Store, judgement_id: int) -> list[Listed]:
    """Every revision of a judgement, the first first, whichever of them is named.

    Raises:
        NotFoundError: no such judgement.
    """
    with store.read() as session:
        row = session.get(JudgementRow, judgement_id)
        if row is None:
            raise NotFoundError(f"no judgement {judgement_id}")
        assignment = row.assignment_id
    return _listed(store, _query().where(JudgementRow.assignment_id == assignment))


def demonstrations(
    store: Store,
    run_ids: Sequence[str] | None = None,
    after: int = 0,
    limit: int = 100,
    purposes: Sequence[str] | None = None,
) -> list[Demonstration]:
    """The better answers that people wrote, of judgements as they stand now, in order of submission.

    Args:
        store: the open store.
        run_ids: only of these runs' tasks; of all if None.
        after: only judgements with a higher number.
        limit: how many at most.
        purposes: only of tasks of these purposes; of all if None.
    """
    query = (
        select(JudgementRow, PromptRow.messages)
        .join(TaskRow, TaskRow.id == JudgementRow.task_id)
        .join(PromptRow, PromptRow.id == TaskRow.prompt_id)
        .where(JudgementRow.rewrite != "", JudgementRow.id > after, is_current())
        .order_by(JudgementRow.id)
        .limit(limit)
    )
    if run_ids is not None:
        query = query.where(TaskRow.run_id.in_(run_ids))
    if purposes is not None:
        query = query.where(TaskRow.purpose.in_(purposes))
    with store.read() as session:
        return [
            Demonstration(row.id, row.person_id, tuple(messages), row.rewrite)
            for row, messages in session.execute(query)
        ]


def _query() -> Any:
    return (
        select(JudgementRow, TaskRow, PersonRow)
        .join(TaskRow, TaskRow.id == JudgementRow.task_id)
        .join(PersonRow, PersonRow.id == JudgementRow.person_id)
        .order_by(JudgementRow.id)
    )


def _listed(store: Store, query: Any) -> list[Listed]:
    with store.read() as session:
        found = session.execute(query).all()
        completions = completion_ids_of(session, list(dict.fromkeys(task.id for _, task, _ in found)))
        return [
            Listed(
                id=row.id,
                task_id=task.id,
                run_id=task.run_id,
                purpose=task.purpose,
                prompt_id=task.prompt_id,
                completion_ids=completions[task.id],
                person_id=person.id,
                person=person.name,
                person_kind=person.kind,
                revision=row.revision,
                withdrawn=row.withdrawn,
                judgement=judgement_of(row),
                submitted_at=row.submitted_at,
            )
            for row, task, person in found
        ]
