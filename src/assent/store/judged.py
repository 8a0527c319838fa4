"""Judgements with how they came about, for what they say of the people who gave them."""

from __future__ import annotations

from collections.abc import Sequence

from assent.store.database import Store
from assent.store.queries import rows_by_id
from assent.store.rankings import rankings
from assent.store.tables import CompletionRow, JudgementRow
from assent.types.feedback import JudgedTask


def judged_tasks(
    store: Store, run_ids: Sequence[str] | None = None, purpose: str | None = None, lengths: bool = False
) -> list[JudgedTask]:
    """What `rankings` gives, in its order, each with its task, the order shown, flags and seconds.

    Args:
        store: the open store.
        run_ids: only tasks of these runs; all if None.
        purpose: only tasks of this purpose; all if None.
        lengths: read the completions too, and count their words.
    """
    found = rankings(store, run_ids, purpose)
    wanted = sorted({i for ranking in found for i in ranking.completion_ids}) if lengths else []
    with store.read() as session:
        words = {i: len(row.text.split()) for i, row in rows_by_id(session, CompletionRow, wanted).items()}
        rows = rows_by_id(session, JudgementRow, [ranking.judgement_id for ranking in found])
        return [
            JudgedTask(
                ranking,
                row.task_id,
                tuple(row.order_shown),
                row.seconds,
                tuple(words[i] for i in ranking.completion_ids) if lengths else (),
                tuple(row.flags),
            )
            for ranking in found
            for row in (rows[ranking.judgement_id],)
        ]
