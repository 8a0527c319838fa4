"""Connections to the database: SQLite made durable and safe among processes, or PostgreSQL by URL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from assent.store.hashing import canonical_json

BUSY_TIMEOUT_MS = 30_000  # how long a writer waits for another before "database is locked"
MOST_CONNECTIONS = 50  # of one process
KEPT_CONNECTIONS = 20  # open while nobody needs them: a pool closes all beyond, and then opens them anew under load
WRITE_OPTION = "assent_write"


def make_engine(url: URL) -> Engine:
    """An engine for this URL. On SQLite: WAL, synchronous=FULL, foreign keys, and transactions begun by us.

    JSON is written with sorted keys and without NaN, so that equal values are equal bytes.
    """
    engine = create_engine(
        url,
        json_serializer=canonical_json,
        pool_pre_ping=url.get_backend_name() != "sqlite",
        pool_size=KEPT_CONNECTIONS,
        max_overflow=MOST_CONNECTIONS - KEPT_CONNECTIONS,
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would otherwise begin transactions late, and never for reads
    cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA recursive_triggers=ON")  # else INSERT OR REPLACE deletes without the DELETE trigger
    finally:
        cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer that begins as a reader cannot wait for another writer: SQLite fails it at once ("database is locked").
    write = connection.get_execution_options().get(WRITE_OPTION, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
