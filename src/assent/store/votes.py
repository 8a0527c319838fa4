"""What people said of each task, gathered by the database: thousands of tasks, but few different sets of votes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Text, cast, func, select
from sqlalchemy.orm import Session

from assent.store.revisions import is_current
from assent.store.tables import JudgementRow, TaskRow

_BETWEEN = ";"

Votes = tuple[tuple[int, ...], ...]  # of one task: the ranks that each person gave, in the task's own order


def votes_of_tasks(session: Session, run_ids: Sequence[str], *conditions: ColumnElement[bool]) -> dict[int, Votes]:
    """The votes that count on each judged task of these runs. Tasks with the same votes share the same tuple.

    Args:
        session: that reads.
        run_ids: whose tasks.
        conditions: on `TaskRow`, which tasks of them.
    """
    query = (
        select(JudgementRow.task_id, func.aggregate_strings(cast(JudgementRow.ranks, Text), _BETWEEN))
        .join(TaskRow, TaskRow.id == JudgementRow.task_id)
        .where(TaskRow.run_id.in_(run_ids), is_current(), *conditions)
        .group_by(JudgementRow.task_id)
        .order_by(JudgementRow.task_id)
    )
    known: dict[str, Votes] = {}
    found: dict[int, Votes] = {}
    for task_id, said in session.execute(query):
        votes = known.get(said)
        if votes is None:
            votes = known[said] = tuple(sorted(tuple(json.loads(ranks)) for ranks in said.split(_BETWEEN)))
        found[task_id] = votes
    return found
