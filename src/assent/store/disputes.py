"""Tasks that people disagreed on, and the ruling of somebody who judges them blind, as they did.

A ruling is a judgement of a task of its own, a repetition of the disputed one for the adjudicator alone: the asked
overlap of the disputed task stays exact, and nobody's vote is replaced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session, aliased

from assent.store.accounts import Account
from assent.store.audit import record
from assent.store.campaigns import require_checks_run
from assent.store.database import Store
from assent.store.leases import new_assignment, order_of
from assent.store.own import campaign_of
from assent.store.queue import LEASE_SECONDS
from assent.store.revisions import is_current
from assent.store.tables import AssignmentRow, JudgementRow, PersonRow, PromptRow, TaskCompletionRow, TaskRow
from assent.store.tasks import completion_ids_of
from assent.store.votes import Votes, votes_of_tasks
from assent.types.errors import ConflictError, NotFoundError


@dataclass(frozen=True)
class Ruling:
    """What an adjudicator said of a disputed task."""

    task_id: int  # of the ruling itself
    person: str
    ranks: tuple[int, ...] | None  # in the disputed task's own order; None while it is not given


@dataclass(frozen=True)
class Dispute:
    """A task on which people ordered pairs oppositely."""

    task_id: int
    run_id: str
    prompt: str
    votes: int
    contested: float  # share of the meetings of two people on a strict pair in which they disagreed
    rulings: tuple[Ruling, ...]
    mine: bool  # who asks has judged it and cannot rule on it


def list_disputes(store: Store, run_ids: Sequence[str], person_id: int, most: int = 20) -> list[Dispute]:
    """The tasks of these runs that people disagreed on most, those without a ruling first.

    Args:
        store: the open store.
        run_ids: whose tasks.
        person_id: who asks.
        most: how many at most.
    """
    with store.read() as session:
        said = votes_of_tasks(session, run_ids)
        shares = {votes: _contested(votes) for votes in set(said.values())}
        contested = {task_id: share for task_id, votes in said.items() if (share := shares[votes]) > 0}
        rulings = _rulings(session, run_ids)
        order = sorted(contested, key=lambda task_id: (task_id in rulings, -contested[task_id], task_id))[:most]
        found = select(TaskRow.id, TaskRow.run_id, PromptRow.text).join(PromptRow, PromptRow.id == TaskRow.prompt_id)
        rows = {row.id: row for row in session.execute(found.where(TaskRow.id.in_(order)))}
        own = select(JudgementRow.task_id).where(JudgementRow.task_id.in_(order), JudgementRow.person_id == person_id)
        mine = set(session.scalars(own.where(is_current())))
    return [
        Dispute(
            task_id,
            rows[task_id].run_id,
            rows[task_id].text,
            len(said[task_id]),
            contested[task_id],
            tuple(rulings.get(task_id, ())),
            task_id in mine,
        )
        for task_id in order
    ]


def open_ruling(store: Store, task_id: int, account: Account, seed: int) -> tuple[int, int]:
    """Give a disputed task to an adjudicator, in an order of their own; returns the campaign and the assignment.

    Called again, it returns the same and renews the lease.

    Raises:
        NotFoundError: no such task, or no campaign serves it.
        ConflictError: they judged it themselves, or have ruled on it.
    """
    with store.write() as session:
        origin = session.get(TaskRow, task_id)
        if origin is None or origin.repeat_of is not None or origin.purpose == "gold":
            raise NotFoundError(f"no task {task_id} that people can disagree on")
        campaign = campaign_of(session.connection(), origin.id)
        own = select(AssignmentRow.id).where(
            AssignmentRow.task_id == task_id,
            AssignmentRow.person_id == account.person_id,
            AssignmentRow.state == "submitted",
        )
        if session.scalar(own) is not None:
            raise ConflictError("you judged this task yourself", "Somebody else must rule on it.")
        row = _ruling_of(session, task_id, account.person_id)
        if row is not None and row.state == "submitted":
            raise ConflictError("you have ruled on this task", "Change it under your past judgements.")
        if row is None:
            row = _new_ruling(session, store, origin, campaign.id, account, seed)
        now = store.now()
        row.state, row.leased_at, row.expires_at = "leased", now, now + timedelta(seconds=LEASE_SECONDS)
        session.flush()
        return campaign.id, row.id


def _contested(votes: Votes) -> float:
    against = total = 0
    for one, other in combinations(votes, 2):
        for i, j in combinations(range(len(one)), 2):
            if one[i] != one[j] and other[i] != other[j]:
                total += 1
                against += (one[i] < one[j]) != (other[i] < other[j])
    return against / total if total else 0.0


def is_ruling() -> ColumnElement[bool]:
    """For queries of repeated tasks. What a person is shown again is their self-consistency, and no ruling."""
    first = select(AssignmentRow.id).where(
        AssignmentRow.task_id == TaskRow.repeat_of,
        AssignmentRow.person_id == TaskRow.person_id,
        AssignmentRow.state == "submitted",
    )
    return and_(TaskRow.repeat_of.is_not(None), ~first.exists())


def _rulings(session: Session, run_ids: Sequence[str]) -> dict[int, list[Ruling]]:
    """By disputed task of these runs."""
    origin = aliased(TaskRow)
    query = (
        select(TaskRow.id, TaskRow.repeat_of, PersonRow.name, JudgementRow.ranks)
        .join(origin, origin.id == TaskRow.repeat_of)
        .join(PersonRow, PersonRow.id == TaskRow.person_id)
        .outerjoin(JudgementRow, (JudgementRow.task_id == TaskRow.id) & is_current())
        .where(origin.run_id.in_(run_ids), is_ruling())
        .order_by(TaskRow.id)
    )
    found: dict[int, list[Ruling]] = defaultdict(list)
    for number, disputed, name, ranks in session.execute(query):
        assert disputed is not None
        found[disputed].append(Ruling(number, name, None if ranks is None else tuple(ranks)))
    return found


def _ruling_of(session: Session, task_id: int, person_id: int) -> AssignmentRow | None:
    query = select(AssignmentRow).join(TaskRow, TaskRow.id == AssignmentRow.task_id)
    return session.scalar(query.where(TaskRow.repeat_of == task_id, TaskRow.person_id == person_id).limit(1))


def _new_ruling(
    session: Session, store: Store, origin: TaskRow, campaign_id: int, account: Account, seed: int
) -> AssignmentRow:
    task = TaskRow(
        run_id=require_checks_run(session, store, campaign_id),
        prompt_id=origin.prompt_id,
        label=origin.label,
        overlap=1,
        purpose="repeat",
        priority=0,
        is_open=True,
        repeat_of=origin.id,
        person_id=account.person_id,
    )
    session.add(task)
    session.flush()
    completions = completion_ids_of(session, [origin.id])[origin.id]
    session.add_all(
        TaskCompletionRow(task_id=task.id, position=place, completion_id=completion_id)
        for place, completion_id in enumerate(completions)
    )
    row = new_assignment(task.id, account.person_id, order_of(seed, account.person_id, task.id, len(completions)))
    row.leased_at = row.expires_at = store.now()
    session.add(row)
    record(session, store, account.id, "adjudicate", "task", origin.id, {"ruling": task.id})
    return row
