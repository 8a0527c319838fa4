"""How the judging goes: what is there and what is wanted, who has what in hand, what is skipped, how long yet."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations

from sqlalchemy import ColumnElement, Text, cast, func, select
from sqlalchemy.orm import Session

from assent.store.database import Store
from assent.store.rankings import Counts, counts
from assent.store.revisions import is_current
from assent.store.tables import AssignmentRow, JudgementRow, PersonRow, TaskRow

RECENT = timedelta(hours=1)  # what the pace is measured over


@dataclass(frozen=True)
class Lease:
    """A task in somebody's hands."""

    person: str
    task_id: int
    since: datetime
    until: datetime


@dataclass(frozen=True)
class JudgingFigures:
    """How the judging of some runs goes.

    Attributes:
        counts: tasks, judgements wanted and there, people.
        histogram: (judgements, tasks): how many tasks have so many judgements by now.
        judgements: that stand, which the following are of.
        pairs: of completions in them.
        tied: pairs that were called equal.
        all_bad: judgements that call every completion bad.
        flags: how often each was given.
        strengths: how often each was given, of judgements of pairs.
        skipped: tasks given back unjudged.
        cannot_judge: the same, as not to be judged by them.
        expired: leases that ran out.
        leases: in hand now, those that end first at the top.
        recent: judgements of the last hour.
        seconds: the median time a judgement took; None where no time was taken.
    """

    counts: Counts
    histogram: tuple[tuple[int, int], ...]
    judgements: int
    pairs: int
    tied: int
    all_bad: int
    flags: tuple[tuple[str, int], ...]
    strengths: tuple[tuple[str, int], ...]
    skipped: int
    cannot_judge: int
    expired: int
    leases: tuple[Lease, ...]
    recent: int
    seconds: float | None

    @property
    def missing(self) -> int:
        """Judgements that are still wanted."""
        return max(0, self.counts.wanted - self.counts.submitted)

    @property
    def seconds_left(self) -> float | None:
        """How long it takes yet at the last hour's pace; None where nobody judged in it."""
        return None if not self.recent else self.missing * RECENT.total_seconds() / self.recent


def judging_figures(store: Store, run_ids: Sequence[str]) -> JudgingFigures:
    """How the judging of these runs' tasks goes."""
    here = TaskRow.run_id.in_(run_ids)
    now = store.now()
    asked = here, is_current()
    recent = select(func.count()).select_from(JudgementRow).join(TaskRow, TaskRow.id == JudgementRow.task_id)
    recent = recent.where(*asked, JudgementRow.submitted_at > now - RECENT)
    with store.read() as session:
        said = _said(session, asked)
        states = session.execute(
            select(AssignmentRow.state, AssignmentRow.declined_as, func.count())
            .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
            .where(here)
            .group_by(AssignmentRow.state, AssignmentRow.declined_as)
        ).all()
        last_hour = session.scalar(recent) or 0
        median = _median_seconds(session, asked)
    by_state = {(state, why): count for state, why, count in states}
    return JudgingFigures(
        counts=counts(store, run_ids),
        histogram=_histogram(store, here),
        judgements=said.judgements,
        pairs=said.pairs,
        tied=said.tied,
        all_bad=said.all_bad,
        flags=tuple(said.flags.most_common()),
        strengths=tuple(sorted(said.strengths.items(), reverse=True)),
        skipped=by_state.get(("declined", "skip"), 0),
        cannot_judge=by_state.get(("declined", "cannot-judge"), 0),
        expired=sum(count for (state, _), count in by_state.items() if state == "expired"),
        leases=_leases(store, here, now),
        recent=last_hour,
        seconds=median,
    )


@dataclass
class _Said:
    """What is counted over judgements."""

    judgements: int = 0
    pairs: int = 0
    tied: int = 0
    all_bad: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    strengths: Counter[str] = field(default_factory=Counter)


def _said(session: Session, asked: Sequence[ColumnElement[bool]]) -> _Said:
    """The database counts how often the same was said: there are far fewer different things than judgements."""
    same = cast(JudgementRow.ranks, Text), cast(JudgementRow.flags, Text), JudgementRow.all_bad, JudgementRow.strength
    query = select(*same, func.count()).join(TaskRow, TaskRow.id == JudgementRow.task_id).where(*asked).group_by(*same)
    found = _Said()
    for ranks, flags, all_bad, strength, times in session.execute(query):
        pairs = list(combinations(json.loads(ranks), 2))
        found.judgements += times
        found.pairs += times * len(pairs)
        found.tied += times * sum(a == b for a, b in pairs)
        found.all_bad += times * all_bad
        found.flags.update(dict.fromkeys(json.loads(flags), times))
        if strength:
            found.strengths[strength] += times
    return found


def _median_seconds(session: Session, asked: Sequence[ColumnElement[bool]]) -> float | None:
    timed = select(JudgementRow.seconds).join(TaskRow, TaskRow.id == JudgementRow.task_id)
    timed = timed.where(*asked, JudgementRow.seconds > 0)
    count = session.scalar(select(func.count()).select_from(timed.subquery())) or 0
    return session.scalar(timed.order_by(JudgementRow.seconds).offset(count // 2).limit(1))


def _histogram(store: Store, here: ColumnElement[bool]) -> tuple[tuple[int, int], ...]:
    votes = (
        select(TaskRow.id, func.count(AssignmentRow.id).label("votes"))
        .outerjoin(AssignmentRow, (AssignmentRow.task_id == TaskRow.id) & (AssignmentRow.state == "submitted"))
        .where(here)
        .group_by(TaskRow.id)
        .subquery()
    )
    query = select(votes.c.votes, func.count()).group_by(votes.c.votes).order_by(votes.c.votes)
    with store.read() as session:
        return tuple((number, tasks) for number, tasks in session.execute(query))


def _leases(store: Store, here: ColumnElement[bool], now: datetime) -> tuple[Lease, ...]:
    query = (
        select(PersonRow.name, AssignmentRow)
        .join(PersonRow, PersonRow.id == AssignmentRow.person_id)
        .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
        .where(here, AssignmentRow.state == "leased", AssignmentRow.expires_at > now)
        .order_by(AssignmentRow.expires_at)
        .limit(100)
    )
    with store.read() as session:
        return tuple(Lease(name, row.task_id, row.leased_at, row.expires_at) for name, row in session.execute(query))
