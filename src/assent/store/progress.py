"""How a person is getting on: what they judged, and how far they agree with themselves."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, exists, func, select
from sqlalchemy.orm import Session, aliased

from assent.store.campaigns import checks_run, read_campaign
from assent.store.checks import answers_right, unjudged_gold
from assent.store.database import Store
from assent.store.revisions import is_current
from assent.store.service_tables import GoldTaskRow, MemberRow
from assent.store.tables import AssignmentRow, JudgementRow, TaskRow


@dataclass(frozen=True)
class Progress:
    """A person's own figures. There is none by which people could race each other."""

    judgements: int
    repeated_pairs: int  # pairs of completions that they were asked about twice
    repeated_alike: int  # of these, how many they ordered the same both times

    @property
    def self_consistency(self) -> float | None:
        """The share of repeated pairs that were ordered the same; None before there are any."""
        return self.repeated_alike / self.repeated_pairs if self.repeated_pairs else None


def progress_of(store: Store, person_id: int) -> Progress:
    """A person's progress. The second answer to a task that was shown again is no judgement of its own."""
    counted = select(func.count()).select_from(JudgementRow).join(TaskRow, TaskRow.id == JudgementRow.task_id)
    counted = counted.where(JudgementRow.person_id == person_id, TaskRow.repeat_of.is_(None), is_current())
    again, first = aliased(JudgementRow), aliased(JudgementRow)
    twice = (
        select(first.ranks, again.ranks)
        .select_from(TaskRow)
        .join(again, again.task_id == TaskRow.id)
        .join(first, and_(first.task_id == TaskRow.repeat_of, first.person_id == again.person_id))
        .where(TaskRow.person_id == person_id, TaskRow.repeat_of.is_not(None), is_current(again), is_current(first))
    )
    alike = total = 0
    with store.read() as session:
        judgements = session.scalar(counted) or 0
        for one, two in session.execute(twice):
            pairs = [(i, j) for i in range(len(one)) for j in range(i)]
            total += len(pairs)
            alike += sum(_sign(one[i] - one[j]) == _sign(two[i] - two[j]) for i, j in pairs)
    return Progress(judgements, total, alike)


@dataclass(frozen=True)
class Standing:
    """How far a person has come in a campaign.

    Attributes:
        stage: what comes next: training, qualification, queue, or failed where they did not qualify.
        done: their judgements in it as they stand, checks included.
        open: its tasks that still want somebody's judgement, but for those that they judged or declined.
        asked: qualification tasks there are.
        answered: of these, judged by them.
        right: the share of pairs in these that they ordered as expected; None before the first.
        needed: the share that lets them into the queue.
    """

    stage: str
    done: int
    open: int
    asked: int
    answered: int
    right: float | None
    needed: float


def standing_of(store: Store, campaign_id: int, person_id: int) -> Standing:
    """A person's standing in a campaign.

    Raises:
        NotFoundError: no such campaign.
    """
    with store.read() as session:
        campaign = read_campaign(session.connection(), campaign_id)
        runs = [*campaign.run_ids, checks_run(campaign_id)]
        done = select(func.count()).select_from(AssignmentRow).join(TaskRow, TaskRow.id == AssignmentRow.task_id)
        done = done.where(AssignmentRow.person_id == person_id, AssignmentRow.state == "submitted")
        had = exists().where(
            AssignmentRow.task_id == TaskRow.id,
            AssignmentRow.person_id == person_id,
            AssignmentRow.state.in_(("submitted", "declined")),
        )
        wanted = select(func.count()).select_from(TaskRow)
        wanted = wanted.where(TaskRow.run_id.in_(campaign.run_ids), TaskRow.is_open.is_(True), ~had)
        asked = select(func.count()).where(GoldTaskRow.campaign_id == campaign_id, GoldTaskRow.stage == "qualification")
        answered = (
            select(func.count())
            .select_from(AssignmentRow)
            .join(GoldTaskRow, GoldTaskRow.task_id == AssignmentRow.task_id)
            .where(GoldTaskRow.campaign_id == campaign_id, GoldTaskRow.stage == "qualification")
            .where(AssignmentRow.person_id == person_id, AssignmentRow.state == "submitted")
        )
        right = answers_right(session, campaign_id, "qualification", person_id)
        needed = campaign.settings.pass_share
        return Standing(
            stage=_stage(session, campaign_id, person_id, right, needed),
            done=session.scalar(done.where(TaskRow.run_id.in_(runs))) or 0,
            open=session.scalar(wanted) or 0,
            asked=session.scalar(asked) or 0,
            answered=session.scalar(answered) or 0,
            right=right,
            needed=needed,
        )


def _stage(session: Session, campaign_id: int, person_id: int, right: float | None, needed: float) -> str:
    """As the queue will find it: the person's row moves on only when they ask for the next task."""
    member = session.get(MemberRow, (campaign_id, person_id))
    stage = "training" if member is None else member.stage
    if stage == "training" and unjudged_gold(session, campaign_id, "training", person_id) is None:
        stage = "qualification"
    if stage == "qualification" and unjudged_gold(session, campaign_id, "qualification", person_id) is None:
        stage = "queue" if right is None or right >= needed else "failed"
    return stage


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
