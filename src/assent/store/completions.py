"""Completions: what a policy wrote, under which weights and which sampling settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from assent.store.database import Store
from assent.store.queries import require_run, rows_by_id
from assent.store.tables import CompletionRow, PromptRow
from assent.types.errors import DataError
from assent.types.protocols import SamplingParams
from assent.types.rollout import FinishReason, Rollout


@dataclass(frozen=True)
class Completion:
    """A completion in the store."""

    id: int
    run_id: str
    prompt_id: int
    policy_version: str
    group_index: int
    sample_index: int  # place within its group
    text: str
    token_ids: tuple[int, ...]  # [T]
    finish_reason: FinishReason
    sampling: Mapping[str, Any]


def add_completions(
    store: Store,
    run_id: str,
    prompt_ids: Sequence[int],
    rollouts: Sequence[Rollout],
    sampling: SamplingParams,
    policy_version: str | None = None,
) -> list[int]:
    """Keep what one policy wrote in a run; all in one transaction. Called again, returns the ids given before.

    A run may hold the completions of several policies (an evaluation does): one call each.

    Args:
        store: the open store.
        run_id: a run that was started.
        prompt_ids: [P] ids of the prompts in the store; a rollout's `prompt_index` points into it.
        rollouts: [B] what was written.
        sampling: how it was drawn.
        policy_version: whose weights; by default what the rollouts say.

    Returns:
        [B] completion ids in the order of the rollouts.

    Raises:
        DataError: unknown run or prompt, or the run holds other completions of this policy already.
        ValueError: rollouts of several policy versions.
    """
    versions = {policy_version} if policy_version is not None else {r.policy_version for r in rollouts}
    if not versions:
        return []
    if len(versions) > 1:
        raise ValueError(f"rollouts of several policies in one call: {sorted(map(str, versions))}")
    version = str(next(iter(versions)))
    rows = _rows(run_id, prompt_ids, rollouts, dataclasses.asdict(sampling), version)
    with store.write() as session:
        require_run(session, run_id)
        held = _held(session, run_id, version)
        if held:
            _require_same(held, rows, run_id)
            return [row.id for row in held]
        rows_by_id(session, PromptRow, [row.prompt_id for row in rows])
        session.add_all(rows)
        session.flush()
        return [row.id for row in rows]


def get_completions(store: Store, ids: Sequence[int]) -> list[Completion]:
    """The completions of these ids, in order.

    Raises:
        DataError: no such completion.
    """
    with store.read() as session:
        rows = rows_by_id(session, CompletionRow, ids)
        return [_completion(rows[wanted]) for wanted in ids]


def completions_of_run(store: Store, run_id: str) -> list[Completion]:
    """All completions of a run in order of insertion; none if there are none."""
    query = select(CompletionRow).where(CompletionRow.run_id == run_id).order_by(CompletionRow.id)
    with store.read() as session:
        return [_completion(row) for row in session.scalars(query)]


def storable(text: str) -> str:
    """A policy may sample the character NUL, which PostgreSQL refuses in a text; the token ids keep it."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _rows(
    run_id: str, prompt_ids: Sequence[int], rollouts: Sequence[Rollout], sampling: dict[str, Any], version: str
) -> list[CompletionRow]:
    seen: dict[tuple[int, int], int] = {}
    rows = []
    for position, rollout in enumerate(rollouts):
        member = (rollout.prompt_index, rollout.group)
        seen[member] = seen.get(member, -1) + 1
        rows.append(
            CompletionRow(
                run_id=run_id,
                prompt_id=prompt_ids[rollout.prompt_index],
                policy_version=version,
                position=position,
                group_index=rollout.group,
                sample_index=seen[member],
                text=storable(rollout.text),
                token_ids=[int(token) for token in rollout.completion_ids],
                finish_reason=rollout.finish_reason.value,
                sampling=sampling,
            )
        )
    return rows


def _held(session: Session, run_id: str, version: str) -> list[CompletionRow]:
    query = select(CompletionRow).where(CompletionRow.run_id == run_id, CompletionRow.policy_version == version)
    return list(session.scalars(query.order_by(CompletionRow.position)))


def _require_same(held: Sequence[CompletionRow], rows: Sequence[CompletionRow], run_id: str) -> None:
    def content(row: CompletionRow) -> tuple[Any, ...]:
        return (
            row.prompt_id,
            row.group_index,
            row.sample_index,
            row.token_ids,
            storable(row.text),
            row.finish_reason,
            row.sampling,
        )

    if [content(row) for row in held] != [content(row) for row in rows]:
        raise DataError(
            f"run {run_id!r} already holds other completions of {held[0].policy_version!r}",
            "A run that is resumed must write the same again: same seed, weights and settings. Else use a new run.",
        )


def _completion(row: CompletionRow) -> Completion:
    return Completion(
        id=row.id,
        run_id=row.run_id,
        prompt_id=row.prompt_id,
        policy_version=row.policy_version,
        group_index=row.group_index,
        sample_index=row.sample_index,
        text=row.text,
        token_ids=tuple(row.token_ids),
        finish_reason=FinishReason(row.finish_reason),
        sampling=row.sampling,
    )
