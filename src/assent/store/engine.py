"""Connections to the database: SQLite made durable and safe among processes, or PostgreSQL by URL."""

from __future__ import annotations

import selectors
import time
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import InvalidatePoolError

from assent.store.hashing import canonical_json

BUSY_TIMEOUT_MS = 30_000  # how long a writer waits for another before "database is locked"
MOST_CONNECTIONS = 50  # of one process
KEPT_CONNECTIONS = 20  # open while nobody needs them: a pool closes all beyond, and then opens them anew under load
TRUSTED_SECONDS = 30.0  # for so long a connection that nothing was heard of since its last use is taken to be alive
WRITE_OPTION = "assent_write"


def make_engine(url: URL) -> Engine:
    """An engine for this URL. On SQLite: WAL, synchronous=FULL, foreign keys, and transactions begun by us.

    JSON is written with sorted keys and without NaN, so that equal values are equal bytes.
    """
    engine = create_engine(
        url,
        json_serializer=canonical_json,
        pool_size=KEPT_CONNECTIONS,
        max_overflow=MOST_CONNECTIONS - KEPT_CONNECTIONS,
        pool_use_lifo=True,  # those that were used last have the statements prepared
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _set_up_server)
        _renew_lost_connections(engine)
    return engine


def _set_up_server(connection: Any, _record: object) -> None:
    # PostgreSQL compiles a statement that it takes for a long one: 15 ms, where statistics are missing or old, for a
    # statement of 0.1 ms that every request asks.
    connection.autocommit = True
    connection.execute("SET jit = off")
    connection.autocommit = False


def _renew_lost_connections(engine: Engine) -> None:
    """Give out no connection that the server ended, and do not ask the server each time whether it did.

    `pool_pre_ping` asks, and with a few short transactions in each request every fifth message was that question.
    A server that ends a connection says so or closes it; either can be read from the socket without a message.
    """

    def note(_connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    def check(connection: Any, record: Any, _proxy: Any) -> None:
        fresh = time.monotonic() - record.info.get("used", 0.0) < TRUSTED_SECONDS
        try:
            if not fresh or _is_readable(connection):
                engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    event.listen(engine, "connect", note)
    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", check)


def _is_readable(connection: Any) -> bool:
    """True if the server sent something that nobody asked for, or closed the connection."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(connection.fileno(), selectors.EVENT_READ)
        return bool(waiting.select(0))


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
