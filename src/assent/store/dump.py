"""All rows without the clock: what must be equal between a loop that was killed and one that was not."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from assent.store.database import Store
from assent.store.hashing import canonical_json
from assent.store.tables import Base


def dump_rows(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """For each table, by name, its rows in order of primary key, without the columns that end in `_at`.

    Lists and dicts come as canonical JSON text, so that rows compare and hash.
    """
    dump = {}
    with store.read() as session:
        for table in Base.metadata.sorted_tables:
            columns = [column for column in table.columns if not column.name.endswith("_at")]
            rows = session.execute(select(*columns).order_by(*table.primary_key.columns))
            dump[table.name] = [
                tuple(canonical_json(value) if isinstance(value, dict | list) else value for value in row)
                for row in rows
            ]
    return dump
