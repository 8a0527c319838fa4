"""Prompts, each kept once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import select

from assent.store.database import Store
from assent.store.hashing import hash_json
from assent.store.queries import batches, rows_by_id
from assent.store.tables import PromptRow
from assent.types.errors import DataError
from assent.types.messages import Message, Prompt


def add_prompts(store: Store, prompts: Sequence[Prompt]) -> list[int]:
    """Keep prompts and return their ids, in order. Equal messages are one prompt and get the same id.

    Raises:
        DataError: the same messages come as a train and as a test prompt: that would spoil every evaluation.
    """
    hashes = [hash_json([[m.role, m.content] for m in prompt.messages]) for prompt in prompts]
    with store.write() as session:
        known: dict[str, PromptRow] = {}
        for some in batches(sorted(set(hashes))):
            found = session.scalars(select(PromptRow).where(PromptRow.content_hash.in_(some)))
            known.update((row.content_hash, row) for row in found)
        for prompt, content_hash in zip(prompts, hashes, strict=True):
            row = known.get(content_hash)
            if row is None:
                known[content_hash] = row = _row(prompt, content_hash)
                session.add(row)
            elif row.split != prompt.split:
                raise DataError(
                    f"the prompt {prompt.text[:60]!r} is both in split {row.split!r} and in {prompt.split!r}",
                    "Keep each prompt in one split, so that no test prompt is trained on.",
                )
        session.flush()
        return [known[content_hash].id for content_hash in hashes]


def get_prompts(store: Store, ids: Sequence[int]) -> list[Prompt]:
    """The prompts of these ids, in order.

    Raises:
        DataError: no such prompt.
    """
    with store.read() as session:
        rows = rows_by_id(session, PromptRow, ids)
        return [_prompt(rows[wanted]) for wanted in ids]


def list_prompts(store: Store, split: str | None = None) -> list[tuple[int, Prompt]]:
    """All prompts with their ids, or those of a split, in order of entry."""
    query = select(PromptRow).order_by(PromptRow.id)
    if split is not None:
        query = query.where(PromptRow.split == split)
    with store.read() as session:
        return [(row.id, _prompt(row)) for row in session.scalars(query)]


def stream_prompts(store: Store, splits: Sequence[str], page: int = 1000) -> Iterator[Prompt]:
    """All prompts of these splits in order of entry, a page in memory at a time."""
    last = 0
    with store.read() as session:
        while True:
            query = select(PromptRow).where(PromptRow.id > last, PromptRow.split.in_(splits))
            rows = list(session.scalars(query.order_by(PromptRow.id).limit(page)))
            yield from map(_prompt, rows)
            if not rows:
                return
            last = rows[-1].id


def _row(prompt: Prompt, content_hash: str) -> PromptRow:
    return PromptRow(
        messages=[{"role": m.role, "content": m.content} for m in prompt.messages],
        text=prompt.text,
        split=prompt.split,
        meta=dict(prompt.meta),
        content_hash=content_hash,
    )


def _prompt(row: PromptRow) -> Prompt:
    return Prompt(tuple(Message(m["role"], m["content"]) for m in row.messages), row.split, row.meta)
