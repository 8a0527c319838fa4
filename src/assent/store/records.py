"""Judged tasks as whole values, read in batches: what an export needs of each, in memory that does not grow.

Of every judgement the newest revision is read, unless that withdraws it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from assent.store.database import Store
from assent.store.judgements import judgement_of
from assent.store.people import NewPerson
from assent.store.queries import batches
from assent.store.revisions import is_current
from assent.store.tables import (
    AssignmentRow,
    CompletionRow,
    JudgementRow,
    PersonRow,
    PromptRow,
    RunRow,
    TaskCompletionRow,
    TaskRow,
)
from assent.types.feedback import Judgement, LabelKind, PersonKind
from assent.types.messages import Message, Prompt
from assent.types.rollout import FinishReason

IMPORT = "import"  # the kind of the runs that imported judgements hang on
PAGE = 1000  # tasks, or judgements, that are in memory at once


@dataclass(frozen=True)
class CompletionRecord:
    """A completion without its ids."""

    text: str
    policy_version: str
    group_index: int = 0
    sample_index: int = 0
    token_ids: tuple[int, ...] = ()  # [T] empty where only the text is known, or was not asked for
    finish_reason: FinishReason = FinishReason.STOP
    sampling: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What one person said of a task, and when."""

    person: NewPerson
    judgement: Judgement
    leased_at: datetime | None = None  # None: not known; the time of the import then
    submitted_at: datetime | None = None


@dataclass(frozen=True)
class SourceRun:
    """The run that put a task up; of an imported task, where it was put up first."""

    id: str
    kind: str
    round: int


@dataclass(frozen=True)
class TaskRecord:
    """A task with all that was said of it."""

    prompt: Prompt
    completions: tuple[CompletionRecord, ...]  # [K] in the task's own order
    verdicts: tuple[Verdict, ...]
    label: LabelKind = LabelKind.RANKING
    purpose: str = "train"
    overlap: int = 1
    priority: int = 0
    source: SourceRun | None = None


@dataclass(frozen=True)
class Selection:
    """Which tasks are meant; None is no restriction."""

    run_ids: tuple[str, ...] | None = None
    purposes: tuple[str, ...] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """On a query that has `tasks` in it."""
        found: list[ColumnElement[bool]] = []
        if self.run_ids is not None:
            found.append(TaskRow.run_id.in_(self.run_ids))
        if self.purposes is not None:
            found.append(TaskRow.purpose.in_(self.purposes))
        return found


def count_judged(store: Store, selection: Selection) -> tuple[int, int]:
    """(tasks with a judgement, judgements) that are meant."""
    query = select(func.count(JudgementRow.task_id.distinct()), func.count())
    with store.read() as session:
        found = session.execute(_joined(query).where(*selection.conditions())).one()
        return int(found[0]), int(found[1])


def task_records(store: Store, selection: Selection, tokens: bool = False) -> Iterator[TaskRecord]:
    """The tasks that were judged, in order of insertion, each with its judgements in order of submission.

    Args:
        store: the open store, of which one consistent state is read.
        selection: which tasks.
        tokens: read the completions' tokens and how they were sampled too.
    """
    judged = select(JudgementRow.id).where(JudgementRow.task_id == TaskRow.id, is_current()).exists()
    with store.read() as session:
        last = 0
        while True:
            query = select(TaskRow.id).where(TaskRow.id > last, judged, *selection.conditions())
            ids = list(session.scalars(query.order_by(TaskRow.id).limit(PAGE)))
            if not ids:
                return
            last = ids[-1]
            loaded = _Loaded(session, ids, tokens)
            verdicts = loaded.verdicts(JudgementRow.task_id, ids)
            yield from (loaded.task(task_id, [verdict for _, verdict in verdicts[task_id]]) for task_id in ids)


def records_in_order(store: Store, selection: Selection) -> Iterator[tuple[int, TaskRecord]]:
    """Every judgement in order of submission, as (number of its task, the task with that judgement alone).

    Tasks are numbered from 1 in the order in which they were first judged, so the numbers are the same in every store
    that holds the same.
    """
    first = select(JudgementRow.task_id, func.min(JudgementRow.id).label("first")).where(is_current())
    numbered = first.group_by(JudgementRow.task_id).subquery()
    number = func.dense_rank().over(order_by=numbered.c.first)
    query = (
        _joined(select(JudgementRow.id, JudgementRow.task_id, number))
        .join(numbered, numbered.c.task_id == JudgementRow.task_id)
        .where(*selection.conditions())
        .order_by(JudgementRow.id)
    )
    with store.read() as session:
        for page in session.execute(query, execution_options={"yield_per": PAGE}).partitions():
            loaded = _Loaded(session, list(dict.fromkeys(task_id for _, task_id, _ in page)), tokens=True)
            found = loaded.verdicts(JudgementRow.id, [judgement_id for judgement_id, _, _ in page])
            said = {judgement_id: verdict for held in found.values() for judgement_id, verdict in held}
            for judgement_id, task_id, place in page:
                yield int(place), loaded.task(task_id, [said[judgement_id]])


def _joined(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    joined = query.select_from(JudgementRow).join(TaskRow, JudgementRow.task_id == TaskRow.id)
    return joined.where(is_current())


class _Loaded:
    """What a page of tasks refers to. Columns, not objects: a million rows come by."""

    def __init__(self, session: Session, task_ids: Sequence[int], tokens: bool) -> None:
        self._session = session
        self._tokens = tokens
        self._tasks = {row.id: row for row in self._rows(select(*TaskRow.__table__.c), TaskRow.id, task_ids)}
        prompts = list({row.prompt_id for row in self._tasks.values()})
        self._prompts = {
            row.id: Prompt(tuple(Message(m["role"], m["content"]) for m in row.messages), row.split, row.meta)
            for row in self._rows(select(*PromptRow.__table__.c), PromptRow.id, prompts)
        }
        self._completions = self._completions_of(task_ids)
        self._sources = self._sources_of({row.run_id for row in self._tasks.values()})
        self._people: dict[int, NewPerson] = {}

    def task(self, task_id: int, verdicts: Sequence[Verdict]) -> TaskRecord:
        row = self._tasks[task_id]
        return TaskRecord(
            prompt=self._prompts[row.prompt_id],
            completions=self._completions[task_id],
            verdicts=tuple(verdicts),
            label=LabelKind(row.label),
            purpose=row.purpose,
            overlap=row.overlap,
            priority=row.priority,
            source=self._sources[row.run_id],
        )

    def verdicts(self, column: Any, ids: Sequence[int]) -> dict[int, list[tuple[int, Verdict]]]:
        """For each task its (judgement id, verdict) pairs, of the judgements whose `column` is one of `ids`."""
        query = select(*JudgementRow.__table__.c, AssignmentRow.leased_at).join(
            AssignmentRow, JudgementRow.assignment_id == AssignmentRow.id
        )
        query = query.where(is_current())
        rows = sorted(self._rows(query, column, ids), key=lambda row: int(row.id))
        missing = [person_id for person_id in {row.person_id for row in rows} if person_id not in self._people]
        for person in self._rows(select(*PersonRow.__table__.c), PersonRow.id, missing):
            self._people[person.id] = NewPerson(person.name, PersonKind(person.kind), person.profile)
        found: dict[int, list[tuple[int, Verdict]]] = {}
        for row in rows:
            verdict = Verdict(self._people[row.person_id], judgement_of(row), row.leased_at, row.submitted_at)
            found.setdefault(row.task_id, []).append((row.id, verdict))
        return found

    def _completions_of(self, task_ids: Sequence[int]) -> dict[int, tuple[CompletionRecord, ...]]:
        columns = [CompletionRow.text, CompletionRow.policy_version]
        more = [
            CompletionRow.group_index,
            CompletionRow.sample_index,
            CompletionRow.token_ids,
            CompletionRow.finish_reason,
            CompletionRow.sampling,
        ]
        query = select(
            TaskCompletionRow.task_id, TaskCompletionRow.position, *columns, *(more if self._tokens else ())
        ).join(CompletionRow, TaskCompletionRow.completion_id == CompletionRow.id)
        rows = sorted(self._rows(query, TaskCompletionRow.task_id, task_ids), key=lambda row: (row[0], row[1]))
        return {
            task_id: tuple(self._completion(row[2:]) for row in group)
            for task_id, group in groupby(rows, key=lambda row: int(row[0]))
        }

    def _completion(self, values: Sequence[Any]) -> CompletionRecord:
        if not self._tokens:
            return CompletionRecord(*values)
        text, version, group, sample, tokens, finish, sampling = values
        return CompletionRecord(text, version, group, sample, tuple(tokens), FinishReason(finish), sampling)

    def _sources_of(self, run_ids: set[str]) -> dict[str, SourceRun]:
        query = select(RunRow.id, RunRow.kind, RunRow.round, RunRow.settings)
        return {
            row.id: SourceRun(**given)
            if row.kind == IMPORT and (given := row.settings.get("source"))
            else SourceRun(row.id, row.kind, row.round)
            for row in self._rows(query, RunRow.id, sorted(run_ids))
        }

    def _rows(self, query: Select[*tuple[Any, ...]], column: Any, ids: Sequence[Any]) -> Iterator[Any]:
        for some in batches(ids):
            yield from self._session.execute(query.where(column.in_(some)))


def of_one(task: TaskRecord, verdict: Verdict) -> TaskRecord:
    """The task as if this verdict were the only one."""
    return replace(task, verdicts=(verdict,))
