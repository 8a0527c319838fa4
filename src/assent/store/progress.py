"""How a person is getting on: what they judged, and how far they agree with themselves."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, func, select
from sqlalchemy.orm import aliased

from assent.store.database import Store
from assent.store.revisions import is_current
from assent.store.tables import JudgementRow, TaskRow


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


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
