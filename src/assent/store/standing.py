"""Where a person stands in a campaign: what they agreed to, how far they have come, and what is open for them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import exists, func, select

from assent.store.campaigns import checks_run, has_consented, read_campaign
from assent.store.checks import answers_right
from assent.store.database import Store
from assent.store.service_tables import GoldTaskRow, MemberRow
from assent.store.tables import AssignmentRow, TaskRow


@dataclass(frozen=True)
class Standing:
    """A person in a campaign."""

    consented: bool  # to the newest texts, or there are none
    stage: str  # training, qualification, queue or failed
    done: int  # tasks that they judged here, checks among them
    open: int  # tasks that wait for them, if nobody else comes first
    qualifying: int  # tasks that qualify, which they answered
    right: float | None  # the share of pairs that they ordered as expected there; None without any


def standing_of(store: Store, campaign_id: int, person_id: int) -> Standing:
    """Where a person stands in a campaign. It counts through the open tasks: for a page, not for every request.

    Raises:
        NotFoundError: no such campaign.
    """
    with store.read() as session:
        campaign = read_campaign(session, campaign_id)
        member = session.get(MemberRow, (campaign_id, person_id))
        mine = (AssignmentRow.task_id == TaskRow.id, AssignmentRow.person_id == person_id)
        had = exists().where(*mine, AssignmentRow.state.in_(("submitted", "declined")))
        runs = TaskRow.run_id.in_(campaign.run_ids)
        waiting = select(func.count()).select_from(TaskRow).where(runs, TaskRow.is_open.is_(True), ~had)
        judged = (
            select(func.count())
            .select_from(AssignmentRow)
            .join(TaskRow, TaskRow.id == AssignmentRow.task_id)
            .where(AssignmentRow.person_id == person_id, AssignmentRow.state == "submitted")
            .where(TaskRow.run_id.in_([*campaign.run_ids, checks_run(campaign_id)]))
        )
        asked = (
            select(func.count())
            .select_from(AssignmentRow)
            .join(GoldTaskRow, GoldTaskRow.task_id == AssignmentRow.task_id)
            .where(GoldTaskRow.campaign_id == campaign_id, GoldTaskRow.stage == "qualification")
            .where(AssignmentRow.person_id == person_id, AssignmentRow.state == "submitted")
        )
        return Standing(
            consented=has_consented(session, campaign, person_id),
            stage="training" if member is None else member.stage,
            done=session.scalar(judged) or 0,
            open=session.scalar(waiting) or 0,
            qualifying=session.scalar(asked) or 0,
            right=answers_right(session, campaign_id, "qualification", person_id),
        )
