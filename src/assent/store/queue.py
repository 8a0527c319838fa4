"""The queue: which task a person is given next.

Training tasks come first, then those that qualify, then the campaign's own by priority and age, among which tasks with
a known answer and tasks shown before are hidden at the shares asked for. All of it happens in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Integer, and_, cast, exists, func, or_, select
from sqlalchemy.orm import Session

from assent.store.accounts import Account
from assent.store.campaigns import Campaign, checks_run, has_consented, read_campaign
from assent.store.checks import answers_right, open_gold, repeat_for, unjudged_gold
from assent.store.database import Store
from assent.store.leases import take_leases
from assent.store.queries import add_unless_there
from assent.store.service_tables import CampaignRow, CampaignRunRow, GoldTaskRow, MemberRow
from assent.store.tables import AssignmentRow, CompletionRow, TaskCompletionRow, TaskRow
from assent.types.errors import NotFoundError
from assent.types.seeds import derive_seed

LEASE_SECONDS = 900.0
MOST_HELD = 4  # leases of one person in one campaign: what is on the screen, and what was fetched ahead
_CANDIDATES = 8
LABELLING, COMPARING = ("train", "holdout"), ("evaluate",)


@dataclass(frozen=True)
class Next:
    """The assignment that a person is given, or why there is none."""

    assignment_id: int | None
    reason: str = ""
    campaign: Campaign | None = None


def next_assignment(
    store: Store,
    campaign_id: int,
    account: Account,
    seed: int,
    beside: Sequence[int] = (),
    seconds: float = LEASE_SECONDS,
) -> Next:
    """Lease the next task to a person, or return one that they hold.

    Args:
        store: the open store.
        campaign_id: whose tasks.
        account: who asks.
        seed: of the order shown and of where checks are hidden.
        beside: assignments that they have before them: another one is wanted, to be fetched ahead.
        seconds: how long the lease lasts.

    Returns:
        The assignment, or the reason that there is none: `paused`, `closed`, `not-for-you`, `consent-needed`,
        `not-qualified`, `enough-held`, `nothing-open`, or `others-must` where only tasks are left that who labelled
        must not judge.

    Raises:
        NotFoundError: no such campaign.
    """
    with store.write() as session:
        campaign = read_campaign(session, campaign_id)
        if refusal := _refusal(session, campaign, account):
            return Next(None, refusal)
        member = _member(session, store, campaign_id, account.person_id)
        walk = _Walk(session, store, campaign, member, seed, seconds)
        held = walk.held()
        for row in held:
            if row.id not in beside:
                return Next(walk.renew(row).id, campaign=campaign)
        if len(held) >= MOST_HELD:
            return Next(None, "enough-held")
        found = walk.gold() or walk.from_queue()
        if isinstance(found, str):
            return Next(None, found)
        return Next(found.id, campaign=campaign)


def _refusal(session: Session, campaign: Campaign, account: Account) -> str:
    if campaign.state != "open":
        return campaign.state
    if set(campaign.settings.groups) - set(account.groups):
        return "not-for-you"
    return "" if has_consented(session, campaign, account.person_id) else "consent-needed"


def _member(session: Session, store: Store, campaign_id: int, person_id: int) -> MemberRow:
    """The person's row, locked: two requests of one person come one after the other."""
    key = (campaign_id, person_id)
    row = session.get(MemberRow, key, with_for_update=True)
    if row is None:
        new = MemberRow(
            campaign_id=campaign_id,
            person_id=person_id,
            stage="training",
            served=0,
            last_task_id=0,
            joined_at=store.now(),
        )
        add_unless_there(session, new)
        row = session.get_one(MemberRow, key, with_for_update=True)
    return row


@dataclass
class _Walk:
    """One person's way through one campaign, inside a write transaction."""

    session: Session
    store: Store
    campaign: Campaign
    member: MemberRow
    seed: int
    seconds: float

    def held(self) -> list[AssignmentRow]:
        """Their live leases in this campaign."""
        query = (
            select(AssignmentRow)
            .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
            .where(AssignmentRow.person_id == self.member.person_id, AssignmentRow.state == "leased")
            .where(AssignmentRow.expires_at > self.store.now(), TaskRow.run_id.in_(self._runs()))
            .order_by(AssignmentRow.id)
        )
        return list(self.session.scalars(query))

    def renew(self, row: AssignmentRow) -> AssignmentRow:
        """The lease lasts anew from now."""
        row.expires_at = self.store.now() + timedelta(seconds=self.seconds)
        return row

    def gold(self) -> AssignmentRow | str | None:
        """The next training or qualification task; None once the person is in the queue."""
        while self.member.stage in ("training", "qualification"):
            stage = self.member.stage
            task = open_gold(self.session, self.campaign.id, stage, self.member.person_id)
            if task is not None:
                return self._lease(task) or "nothing-open"
            if unjudged_gold(self.session, self.campaign.id, stage, self.member.person_id) is not None:
                return "enough-held"  # the last ones are before them: what comes of those decides
            if stage == "training":
                self.member.stage = "qualification"
            else:
                right = answers_right(self.session, self.campaign.id, "qualification", self.member.person_id)
                passed = right is None or right >= self.campaign.settings.pass_share
                self.member.stage = "queue" if passed else "failed"
        return "not-qualified" if self.member.stage == "failed" else None

    def from_queue(self) -> AssignmentRow | str:
        """A task that is wanted, or in its place a hidden check."""
        found = self._check() or self._wanted()
        if not isinstance(found, str):
            self.member.served += 1
        return found

    def _check(self) -> AssignmentRow | None:
        settings = self.campaign.settings
        address = ("check", self.campaign.id, self.member.person_id, self.member.served)
        draw = derive_seed(self.seed, *address) / 2.0**63
        if draw < settings.gold_share:
            task = open_gold(self.session, self.campaign.id, "hidden", self.member.person_id)
            return None if task is None else self._lease(task)
        if draw < settings.gold_share + settings.repeat_share:
            row = repeat_for(self.session, self.store, self.campaign, self.member.person_id)
            return None if row is None else self.renew(row)
        return None

    def _wanted(self) -> AssignmentRow | str:
        purposes = self._purposes()
        for run_id in self.campaign.run_ids:
            for task_id in self._candidates(run_id, purposes):
                locked = select(TaskRow).where(TaskRow.id == task_id).with_for_update(skip_locked=True)
                task = self.session.scalar(locked)
                row = None if task is None else self._lease(task)
                if row is not None:
                    self.member.last_task_id = row.task_id
                    return row
        others = LABELLING if purposes == COMPARING else COMPARING
        if purposes != (*LABELLING, *COMPARING):
            for run_id in self.campaign.run_ids:
                if next(self._candidates(run_id, others), None) is not None:
                    return "others-must"
        return "nothing-open"

    def _purposes(self) -> tuple[str, ...]:
        """No one both labels for training and compares policies: who they are is settled by their first task."""
        query = (
            select(TaskRow.purpose)
            .join(AssignmentRow, AssignmentRow.task_id == TaskRow.id)
            .where(AssignmentRow.person_id == self.member.person_id)
            .where(AssignmentRow.state.in_(("submitted", "leased")), TaskRow.purpose.in_((*LABELLING, *COMPARING)))
            .order_by(AssignmentRow.id)
            .limit(1)
        )
        first = self.session.scalar(query)
        if first is None:
            return (*LABELLING, *COMPARING)
        return COMPARING if first in COMPARING else LABELLING

    def _candidates(self, run_id: str, purposes: tuple[str, ...]) -> Iterator[int]:
        """Tasks of a run with room for this person, by priority; those behind the last one they were given first."""
        base = (TaskRow.run_id == run_id, TaskRow.is_open.is_(True))
        priority = self.session.scalar(select(func.max(TaskRow.priority)).where(*base))
        while priority is not None:
            here = (*base, TaskRow.priority == priority, TaskRow.purpose.in_(purposes))
            last = self.member.last_task_id
            yield from self._fitting(here, last, None)
            yield from self._fitting(here, 0, last)
            lower = select(func.max(TaskRow.priority)).where(*base, TaskRow.priority < priority)
            priority = self.session.scalar(lower)

    def _fitting(self, here: Sequence[ColumnElement[bool]], after: int, until: int | None) -> Iterator[int]:
        while True:
            query = select(TaskRow.id).where(*here, TaskRow.id > after, *self._fits())
            if until is not None:
                query = query.where(TaskRow.id <= until)
            found = self.session.scalars(query.order_by(TaskRow.id).limit(_CANDIDATES)).all()
            yield from found
            if len(found) < _CANDIDATES:
                return
            after = found[-1]

    def _fits(self) -> tuple[ColumnElement[bool], ...]:
        """There is room, the person has not had it, and wrote none of it."""
        mine, other = AssignmentRow.__table__.alias(), AssignmentRow.__table__.alias()
        had = exists().where(
            mine.c.task_id == TaskRow.id,
            mine.c.person_id == self.member.person_id,
            mine.c.state != "expired",
        )
        live = and_(other.c.state == "leased", other.c.expires_at > self.store.now())
        taken = (
            select(cast(func.count(), Integer))
            .where(other.c.task_id == TaskRow.id, or_(other.c.state == "submitted", live))
            .scalar_subquery()
        )
        wrote = exists().where(
            TaskCompletionRow.task_id == TaskRow.id,
            CompletionRow.id == TaskCompletionRow.completion_id,
            CompletionRow.policy_version == f"person:{self.member.person_id}",
        )
        return TaskRow.person_id.is_(None), ~had, taken < TaskRow.overlap, ~wrote

    def _lease(self, task: TaskRow) -> AssignmentRow | None:
        query = select(func.count()).where(TaskCompletionRow.task_id == task.id)
        shown = self.session.scalar(query) or 0
        rows = take_leases(
            self.session, [(task, shown)], self.member.person_id, self.seed, self.store.now(), self.seconds
        )
        return rows[0] if rows and rows[0].state == "leased" else None

    def _runs(self) -> list[str]:
        return [*self.campaign.run_ids, checks_run(self.campaign.id)]


def require_own(session: Session, assignment_id: int, person_id: int, lock: bool = True) -> AssignmentRow:
    """A person's own assignment, locked unless the transaction only reads.

    Raises:
        NotFoundError: there is none of this id, or it is someone else's.
    """
    row = session.get(AssignmentRow, assignment_id, with_for_update=lock)
    if row is None or row.person_id != person_id:
        raise NotFoundError(f"no assignment {assignment_id}")
    return row


def campaign_of(session: Session, task: TaskRow) -> Campaign:
    """The campaign that serves a task.

    Raises:
        NotFoundError: none does.
    """
    return read_campaign(session, campaign_row_of(session, task).id)


def campaign_row_of(session: Session, task: TaskRow) -> CampaignRow:
    """Its row: the gold task's own, or the one that serves the run, or else the automatic one.

    Raises:
        NotFoundError: none does.
    """
    if task.purpose == "gold":
        gold = session.get(GoldTaskRow, task.id)
        if gold is None:
            raise NotFoundError(f"task {task.id} is asked no more")
        return session.get_one(CampaignRow, gold.campaign_id)
    origin = task if task.repeat_of is None else session.get_one(TaskRow, task.repeat_of)
    serves = CampaignRunRow.run_id == origin.run_id
    query = (
        select(CampaignRow)
        .outerjoin(CampaignRunRow, and_(CampaignRunRow.campaign_id == CampaignRow.id, serves))
        .where(or_(serves, CampaignRow.automatic))
        .order_by(CampaignRunRow.run_id.is_(None), CampaignRow.id)
        .limit(1)
    )
    found = session.scalar(query)
    if found is None:
        raise NotFoundError(f"task {task.id} is served by no campaign")
    return found
