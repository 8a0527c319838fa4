"""The queue: which task a person is given next.

Training tasks come first, then those that qualify, then the campaign's own by priority and age, among which tasks with
a known answer and tasks shown before are hidden at the shares asked for. Who holds one already is told so without
writing; what is new is found and leased in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BindParameter, Connection, Row, and_, bindparam, func, select, update
from sqlalchemy.orm import Session

from assent.store.accounts import Account
from assent.store.campaigns import Campaign, checks_run, has_consented, read_campaign
from assent.store.candidates import COMPARING, LABELLING, candidates, purposes_of
from assent.store.checks import answers_right, open_gold, repeat_for, unjudged_gold
from assent.store.database import Store
from assent.store.leases import take_leases
from assent.store.queries import add_unless_there
from assent.store.service_tables import MemberRow
from assent.store.tables import AssignmentRow, TaskCompletionRow, TaskRow
from assent.types.seeds import derive_seed

LEASE_SECONDS = 900.0
MOST_HELD = 4  # leases of one person in one campaign: what is on the screen, and what was fetched ahead

_person: BindParameter[int] = bindparam("person")
_own = and_(MemberRow.campaign_id == bindparam("campaign"), MemberRow.person_id == _person)
_HELD = (
    select(AssignmentRow.id, AssignmentRow.expires_at)
    .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
    .where(AssignmentRow.person_id == _person, AssignmentRow.state == "leased")
    .where(AssignmentRow.expires_at > bindparam("now"), TaskRow.run_id.in_(bindparam("runs", expanding=True)))
    .order_by(AssignmentRow.id)
)
_RENEW = update(AssignmentRow).where(AssignmentRow.id == bindparam("assignment")).values(expires_at=bindparam("until"))
_MEMBER = select(MemberRow.stage, MemberRow.served, MemberRow.last_task_id).where(_own).with_for_update()
_PROGRESS = (
    update(MemberRow)
    .where(_own)
    .values(stage=bindparam("to_stage"), served=bindparam("to_served"), last_task_id=bindparam("to_task"))
)
_SHOWN = select(func.count()).where(TaskCompletionRow.task_id == bindparam("task"))


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
    with store.look() as connection:
        campaign = read_campaign(connection, campaign_id)
        if refusal := _refusal(connection, campaign, account):
            return Next(None, refusal)
        held = _held(connection, campaign, account.person_id, store.now())
    until = store.now() + timedelta(seconds=seconds)
    first = next((each for each in held if each[0] not in beside), None)
    if first is not None and _lasts(first[1], until, seconds):
        return Next(first[0], campaign=campaign)
    found = store.write_soon(
        lambda session: _Walk(session, store, campaign, account.person_id, seed, seconds).next(beside)
    )
    return Next(None, found) if isinstance(found, str) else Next(found, campaign=campaign)


def _refusal(connection: Connection, campaign: Campaign, account: Account) -> str:
    if campaign.state != "open":
        return campaign.state
    if set(campaign.settings.groups) - set(account.groups):
        return "not-for-you"
    return "" if has_consented(connection, campaign, account.person_id) else "consent-needed"


def _held(connection: Connection, campaign: Campaign, person_id: int, now: datetime) -> list[tuple[int, datetime]]:
    """The live leases of a person in a campaign, and when they run out."""
    asked = {"person": person_id, "runs": [*campaign.run_ids, checks_run(campaign.id)], "now": now}
    return [(row.id, row.expires_at) for row in connection.execute(_HELD, asked)]


def _lasts(expires: datetime, until: datetime, seconds: float) -> bool:
    """True of a lease that was just taken: writing it anew would cost the disk's patience."""
    return until - expires <= timedelta(seconds=seconds / 10)


class _Walk:
    """One person's way through one campaign, inside a write transaction.

    Two requests of one person come one after the other: the row that says how far they have come is locked.
    """

    def __init__(
        self, session: Session, store: Store, campaign: Campaign, person_id: int, seed: int, seconds: float
    ) -> None:
        self.session, self.store, self.campaign = session, store, campaign
        self.person_id, self.seed, self.seconds = person_id, seed, seconds
        self.connection = session.connection()
        self._key = {"campaign": campaign.id, "person": person_id}
        found = self.connection.execute(_MEMBER, self._key).one_or_none()
        if found is None:
            self._enter()
            found = self.connection.execute(_MEMBER, self._key).one()
        self.stage, self.served, self.last_task_id = found
        self._before = tuple(found)

    def _enter(self) -> None:
        joined = self.store.now()
        new = MemberRow(
            campaign_id=self.campaign.id,
            person_id=self.person_id,
            stage="training",
            served=0,
            last_task_id=0,
            joined_at=joined,
        )
        add_unless_there(self.session, new)

    def next(self, beside: Sequence[int]) -> int | str:
        """The assignment, or the reason that there is none."""
        held = _held(self.connection, self.campaign, self.person_id, self.store.now())
        for assignment, expires in held:
            if assignment not in beside:
                return self._renew(assignment, expires)
        if len(held) >= MOST_HELD:
            return "enough-held"
        found = self._gold() or self._from_queue()
        reached = self.stage, self.served, self.last_task_id
        if reached != self._before:
            values = dict(zip(("to_stage", "to_served", "to_task"), reached, strict=True))
            self.connection.execute(_PROGRESS, {**self._key, **values})
        return found

    def _renew(self, assignment: int, expires: datetime) -> int:
        until = self.store.now() + timedelta(seconds=self.seconds)
        if not _lasts(expires, until, self.seconds):
            self.connection.execute(_RENEW, {"assignment": assignment, "until": until})
        return assignment

    def _gold(self) -> int | str | None:
        """The next training or qualification task; None once the person is in the queue."""
        while self.stage in ("training", "qualification"):
            task = open_gold(self.session, self.campaign.id, self.stage, self.person_id)
            if task is not None:
                return self._lease(task.id) or "nothing-open"
            if unjudged_gold(self.session, self.campaign.id, self.stage, self.person_id) is not None:
                return "enough-held"  # the last ones are before them: what comes of those decides
            if self.stage == "training":
                self.stage = "qualification"
            else:
                right = answers_right(self.session, self.campaign.id, "qualification", self.person_id)
                passed = right is None or right >= self.campaign.settings.pass_share
                self.stage = "queue" if passed else "failed"
        return "not-qualified" if self.stage == "failed" else None

    def _from_queue(self) -> int | str:
        """A task that is wanted, or in its place a hidden check."""
        found = self._check() or self._wanted()
        if not isinstance(found, str):
            self.served += 1
        return found

    def _check(self) -> int | None:
        settings = self.campaign.settings
        if not settings.gold_share + settings.repeat_share:
            return None
        draw = derive_seed(self.seed, "check", self.campaign.id, self.person_id, self.served) / 2.0**63
        if draw < settings.gold_share:
            task = open_gold(self.session, self.campaign.id, "hidden", self.person_id)
            return None if task is None else self._lease(task.id)
        if draw < settings.gold_share + settings.repeat_share:
            row = repeat_for(self.session, self.store, self.campaign, self.person_id)
            return None if row is None else self._renew(row.id, row.expires_at)
        return None

    def _wanted(self) -> int | str:
        purposes = purposes_of(self.connection, self.person_id)
        for run_id in self.campaign.run_ids:
            for task_id, shown in self._candidates(run_id, purposes):
                found = self._lease(task_id, shown)
                if found is not None:
                    self.last_task_id = task_id
                    return found
        if purposes != (*LABELLING, *COMPARING):
            others = LABELLING if purposes == COMPARING else COMPARING
            if any(next(self._candidates(run_id, others), None) for run_id in self.campaign.run_ids):
                return "others-must"
        return "nothing-open"

    def _candidates(self, run_id: str, purposes: tuple[str, ...]) -> Iterator[Row[int, int]]:
        return candidates(self.connection, self.store, run_id, self.person_id, purposes, self.last_task_id)

    def _lease(self, task_id: int, shown: int | None = None) -> int | None:
        """A lease of a task of so many completions; None if there is no room."""
        if shown is None:
            shown = self.connection.scalar(_SHOWN, {"task": task_id}) or 0
        now = self.store.now()
        found = take_leases(self.connection, [(task_id, shown)], self.person_id, self.seed, now, self.seconds)
        return found[0].id if found and found[0].state == "leased" else None
