"""What adjudicators ruled of the tasks that people disagreed on, as rankings of those tasks' completions."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import aliased

from assent.store.database import Store
from assent.store.disputes import is_ruling
from assent.store.rankings import rankings_of
from assent.store.revisions import is_current
from assent.store.tables import JudgementRow, TaskRow
from assent.types.feedback import Ranking


def given_rulings(store: Store, run_ids: Sequence[str], purpose: str) -> list[Ranking]:
    """The rulings on tasks of these runs and this purpose, in order of submission.

    Args:
        store: the open store.
        run_ids: whose tasks were disputed.
        purpose: of the disputed tasks.
    """
    origin = aliased(TaskRow)
    query = (
        select(JudgementRow, TaskRow)
        .join(TaskRow, TaskRow.id == JudgementRow.task_id)
        .join(origin, origin.id == TaskRow.repeat_of)
        .where(origin.run_id.in_(run_ids), origin.purpose == purpose, is_ruling(), is_current())
        .order_by(JudgementRow.id)
    )
    with store.read() as session:
        found = session.execute(query).all()
        return rankings_of(session, [(judgement, task) for judgement, task in found])
