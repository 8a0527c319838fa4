"""A person's own assignment, and the campaign that serves its task."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, bindparam, func, or_, select
from sqlalchemy.orm import aliased

from assent.store.campaigns import Campaign, read_campaign
from assent.store.service_tables import CampaignRow, CampaignRunRow, GoldTaskRow
from assent.store.tables import AssignmentRow, TaskRow
from assent.types.errors import NotFoundError

Query = TypeVar("Query", bound=Select[Any])

_origin = aliased(TaskRow)  # of a repeat
_AUTOMATIC = select(func.min(CampaignRow.id)).where(CampaignRow.automatic).scalar_subquery()


def with_campaign(query: Query) -> Query:
    """Join to a query of tasks the campaign that serves each, if any does, and its gold task, if it is one.

    That is the gold task's own, or the one that serves the run, or else the automatic one.
    """
    return (
        query.outerjoin(_origin, _origin.id == TaskRow.repeat_of)
        .outerjoin(GoldTaskRow, GoldTaskRow.task_id == TaskRow.id)
        .outerjoin(CampaignRunRow, CampaignRunRow.run_id == func.coalesce(_origin.run_id, TaskRow.run_id))
        .outerjoin(
            CampaignRow,
            CampaignRow.id == func.coalesce(GoldTaskRow.campaign_id, CampaignRunRow.campaign_id, _AUTOMATIC),
        )
        .where(or_(TaskRow.purpose != "gold", GoldTaskRow.task_id.is_not(None)))  # else it is asked no more
    )


_CAMPAIGN_OF = with_campaign(select(CampaignRow.id).select_from(TaskRow)).where(TaskRow.id == bindparam("task"))
_OWN = (
    select(AssignmentRow.__table__)
    .where(AssignmentRow.id == bindparam("assignment"), AssignmentRow.person_id == bindparam("person"))
    .with_for_update()
)


def campaign_of(connection: Connection, task_id: int) -> Campaign:
    """The campaign that serves a task.

    Raises:
        NotFoundError: none does.
    """
    found = connection.scalar(_CAMPAIGN_OF, {"task": task_id})
    if found is None:
        raise NotFoundError(f"task {task_id} is served by no campaign")
    return read_campaign(connection, found)


def require_own(connection: Connection, assignment_id: int, person_id: int) -> Row[Any]:
    """A person's own assignment, locked in a transaction that writes.

    Raises:
        NotFoundError: there is none of this id, or it is someone else's.
    """
    found = connection.execute(_OWN, {"assignment": assignment_id, "person": person_id}).one_or_none()
    if found is None:
        raise NotFoundError(f"no assignment {assignment_id}")
    return found
