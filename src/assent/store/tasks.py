"""Tasks: some completions of one prompt, to be judged by exactly so many people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from assent.store.database import Store
from assent.store.queries import batches, require_run, rows_by_id
from assent.store.tables import AssignmentRow, CompletionRow, TaskCompletionRow, TaskRow
from assent.types.errors import DataError
from assent.types.feedback import LabelKind

PURPOSES = ("train", "holdout", "evaluate", "gold", "repeat")


@dataclass(frozen=True)
class NewTask:
    """Something to be judged.

    Attributes:
        prompt_id: the prompt in the store.
        completion_ids: [K] in the task's own order, which `Judgement.ranks` follows.
        label: the form of the judgement.
        overlap: exactly this many people judge it.
        purpose: `train`, `holdout` (never trained on) or `evaluate` (new policy against old); `gold` (its answer is
            known) and `repeat` (shown to a person before) measure people and are no one's label.
        priority: higher is handed out first.
    """

    prompt_id: int
    completion_ids: tuple[int, ...]
    label: LabelKind = LabelKind.RANKING
    overlap: int = 1
    purpose: str = "train"
    priority: int = 0

    def __post_init__(self) -> None:
        if len(self.completion_ids) < 2 or len(set(self.completion_ids)) != len(self.completion_ids):
            raise ValueError(f"a task needs at least 2 different completions, got {self.completion_ids}")
        if self.overlap < 1:
            raise ValueError(f"overlap must be at least 1, got {self.overlap}")
        if self.purpose not in PURPOSES:
            raise ValueError(f"purpose must be one of {PURPOSES}, got {self.purpose!r}")


@dataclass(frozen=True)
class Task:
    """A task in the store; `submitted` judgements of `task.overlap` wanted are there."""

    id: int
    run_id: str
    task: NewTask
    submitted: int

    @property
    def open(self) -> bool:
        """True while judgements are wanted."""
        return self.submitted < self.task.overlap


def add_tasks(store: Store, run_id: str, tasks: Sequence[NewTask]) -> list[int]:
    """Make a run's tasks, all in one transaction. Called again with the same, returns the ids given before.

    Tasks of different purposes may come in different calls.

    Raises:
        DataError: unknown run, prompt or completion; a completion that answers another prompt; or the run has other
            tasks of these purposes already.
    """
    purposes = {task.purpose for task in tasks}
    with store.write() as session:
        require_run(session, run_id)
        held = [task for task in _load(session, run_id) if task.task.purpose in purposes]
        if held:
            if [task.task for task in held] != list(tasks):
                raise DataError(
                    f"run {run_id!r} already has other tasks for {', '.join(sorted(purposes))}",
                    "A run that is resumed must ask the same again. Else use a new run.",
                )
            return [task.id for task in held]
        _check_completions(session, tasks)
        return _insert(session, run_id, tasks)


def get_tasks(store: Store, run_id: str, purpose: str | None = None) -> list[Task]:
    """A run's tasks in order of insertion, or those for one purpose."""
    with store.read() as session:
        return [task for task in _load(session, run_id) if purpose in (None, task.task.purpose)]


def open_tasks(store: Store, run_id: str, purpose: str | None = None) -> list[int]:
    """Ids of a run's tasks that want more judgements, highest priority first, then in order of insertion."""
    wanted = [task for task in get_tasks(store, run_id, purpose) if task.open]
    return [task.id for task in sorted(wanted, key=lambda task: (-task.task.priority, task.id))]


def _insert(session: Session, run_id: str, tasks: Sequence[NewTask]) -> list[int]:
    rows = [
        TaskRow(
            run_id=run_id,
            prompt_id=task.prompt_id,
            label=task.label.value,
            overlap=task.overlap,
            purpose=task.purpose,
            priority=task.priority,
            is_open=True,
        )
        for task in tasks
    ]
    session.add_all(rows)
    session.flush()
    session.add_all(
        TaskCompletionRow(task_id=row.id, position=position, completion_id=completion_id)
        for row, task in zip(rows, tasks, strict=True)
        for position, completion_id in enumerate(task.completion_ids)
    )
    session.flush()
    return [row.id for row in rows]


def _check_completions(session: Session, tasks: Sequence[NewTask]) -> None:
    found = rows_by_id(session, CompletionRow, [c for task in tasks for c in task.completion_ids])
    for task in tasks:
        for completion_id in task.completion_ids:
            if found[completion_id].prompt_id != task.prompt_id:
                raise DataError(
                    f"completion {completion_id} answers prompt {found[completion_id].prompt_id}, "
                    f"but the task is about prompt {task.prompt_id}",
                    "A task compares completions of one prompt.",
                )


def _load(session: Session, run_id: str) -> list[Task]:
    rows = list(session.scalars(select(TaskRow).where(TaskRow.run_id == run_id).order_by(TaskRow.id)))
    ids = [row.id for row in rows]
    completions = completion_ids_of(session, ids)
    submitted: dict[int, int] = {}
    for some in batches(ids):
        query = (
            select(AssignmentRow.task_id, func.count())
            .where(AssignmentRow.task_id.in_(some), AssignmentRow.state == "submitted")
            .group_by(AssignmentRow.task_id)
        )
        submitted.update((task_id, count) for task_id, count in session.execute(query))
    return [_task(row, completions[row.id], submitted.get(row.id, 0)) for row in rows]


def _task(row: TaskRow, completion_ids: tuple[int, ...], submitted: int) -> Task:
    task = NewTask(row.prompt_id, completion_ids, LabelKind(row.label), row.overlap, row.purpose, row.priority)
    return Task(row.id, row.run_id, task, submitted)


def completion_ids_of(session: Session, task_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """For each of these tasks its completions' ids, in the task's own order."""
    found: dict[int, list[int]] = {task_id: [] for task_id in task_ids}
    for some in batches(task_ids):
        query = (
            select(TaskCompletionRow.task_id, TaskCompletionRow.completion_id)
            .where(TaskCompletionRow.task_id.in_(some))
            .order_by(TaskCompletionRow.task_id, TaskCompletionRow.position)
        )
        for task_id, completion_id in session.execute(query):
            found[task_id].append(completion_id)
    return {task_id: tuple(ids) for task_id, ids in found.items()}
