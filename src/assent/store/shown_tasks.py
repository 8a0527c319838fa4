"""A task with everything that those who judge it must not see: who wrote what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assent.store.database import Store
from assent.store.queries import rows_by_id
from assent.store.tables import CompletionRow, PromptRow, TaskRow
from assent.store.tasks import completion_ids_of
from assent.types.errors import NotFoundError


@dataclass(frozen=True)
class ShownTask:
    """A task; its completions as (policy, text), in the task's own order."""

    id: int
    run_id: str
    purpose: str
    overlap: int
    repeat_of: int | None
    messages: tuple[Mapping[str, str], ...]
    completions: tuple[tuple[str, str], ...]


def show_task(store: Store, task_id: int) -> ShownTask:
    """One task.

    Raises:
        NotFoundError: there is none of this id.
    """
    with store.read() as session:
        row = session.get(TaskRow, task_id)
        if row is None:
            raise NotFoundError(f"no task {task_id}")
        ids = completion_ids_of(session, [task_id])[task_id]
        found = rows_by_id(session, CompletionRow, ids)
        prompt = session.get_one(PromptRow, row.prompt_id)
        return ShownTask(
            row.id,
            row.run_id,
            row.purpose,
            row.overlap,
            row.repeat_of,
            tuple(prompt.messages),
            tuple((found[i].policy_version, found[i].text) for i in ids),
        )
