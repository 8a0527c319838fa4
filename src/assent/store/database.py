"""The store: one database, opened, upgraded, and entered through transactions that either read or write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.orm import Session

from assent.store import schema
from assent.store.engine import WRITE_OPTION, make_engine
from assent.store.faults import translate_database_errors
from assent.store.together import Together
from assent.types.errors import WorkspaceError

T = TypeVar("T")


def utc_now() -> datetime:
    """The time of day, as stored in `_at` columns."""
    return datetime.now(UTC)


class Store:
    """One open database. Safe to share among threads; each process opens its own.

    Attributes:
        engine: the SQLAlchemy engine, for reading.
        location: the file, or the URL without its password, for messages.
        now: the clock, which only `_at` columns and leases ask.
    """

    def __init__(self, engine: Engine, location: str, now: Callable[[], datetime] = utc_now) -> None:
        self.engine = engine
        self.location = location
        self.now = now
        self._writer = engine.execution_options(**{WRITE_OPTION: True})
        # SQLite has one writer at a time. Its own waiting is by trying again after ever longer sleeps, so with many
        # threads some wait for seconds; a lock wakes the next one at once. Other processes still wait SQLite's way.
        self._turn = threading.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        # SQLite's readers see a snapshot anyway; elsewhere the default would let each statement see another state.
        sqlite = engine.dialect.name == "sqlite"
        self._reader = engine if sqlite else engine.execution_options(isolation_level="REPEATABLE READ")
        # Where each statement may see its own state, none needs the messages that begin and end a transaction.
        self._looker = engine if sqlite else engine.execution_options(isolation_level="AUTOCOMMIT")
        self._together = Together(self.write) if sqlite else None  # PostgreSQL lets its writers commit together anyway

    @classmethod
    def open(cls, url_or_path: str | Path, create: bool = False, *, now: Callable[[], datetime] = utc_now) -> Store:
        """Open a database and bring its schema to the newest version.

        Args:
            url_or_path: a file (SQLite), or a URL such as `postgresql+psycopg://user@host/name`.
            create: make the file if it is missing.
            now: the clock.

        Raises:
            WorkspaceError: no such database, read-only, full, locked, damaged, or written by a newer assent.
        """
        url, location = _resolve(url_or_path, create)
        try:
            engine = make_engine(url)
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            raise WorkspaceError(
                f"{location}: no driver for this kind of database ({error})",
                'Install one, for PostgreSQL: pip install "psycopg[binary]" and use postgresql+psycopg://...',
            ) from error
        try:
            with translate_database_errors(location):
                schema.upgrade(engine, location)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, location, now)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that writes: alone among writers, committed at the end, undone on any exception.

        Raises:
            WorkspaceError: disk full, read-only, locked for longer than the busy timeout.
        """
        with (
            self._turn,
            translate_database_errors(self.location),
            Session(self._writer, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that reads one consistent state; whatever is changed in it is undone.

        Raises:
            WorkspaceError: the database cannot be read.
        """
        with translate_database_errors(self.location), Session(self._reader, expire_on_commit=False) as session:
            yield session

    def write_soon(self, work: Callable[[Session], T]) -> T:
        """Do something small in a transaction that writes, on SQLite together with what other threads want done.

        Args:
            work: is given the session. It may be done twice, the first time for nothing.

        Returns:
            What the work returns, once it is committed.

        Raises:
            WorkspaceError: see `write`; and whatever the work raises, which is then undone.
        """
        if self._together is not None:
            return self._together.do(work)
        with self.write() as session:
            return work(session)

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """Statements alone, without objects and, on PostgreSQL, each by itself: for what every request asks.

        SQLite shows all of them one state, as `read` does. On PostgreSQL each sees the newest, and none costs the two
        messages that begin and end a transaction; so what is asked here must not depend on that nothing comes between.

        Raises:
            WorkspaceError: the database cannot be read.
        """
        with translate_database_errors(self.location), self._looker.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections. The store cannot be lost by not calling this; SQLite's side files may remain."""
        self.engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _resolve(url_or_path: str | Path, create: bool) -> tuple[URL, str]:
    if isinstance(url_or_path, str) and "://" in url_or_path:
        try:
            url = make_url(url_or_path)
        except ArgumentError as error:
            raise WorkspaceError("the database URL cannot be read", "Its form is dialect://user@host/name.") from error
        if url.get_backend_name() != "sqlite":
            return url, url.render_as_string(hide_password=True)
        path = Path(url.database or "")
    else:
        path = Path(url_or_path)
    if path.name in ("", ":memory:"):
        raise WorkspaceError("an in-memory database would lose every judgement", "Name a file.")
    if not path.is_file():
        if path.exists():
            raise WorkspaceError(f"{path} is not a file", "Name the database file itself, e.g. assent.db.")
        if not create:
            raise WorkspaceError(f"no database at {path}", "Make a workspace with `assent init`.")
        if not path.parent.is_dir():
            raise WorkspaceError(f"no folder {path.parent} for the database", "Make the folder first.")
    return URL.create("sqlite", database=str(path)), str(path)
