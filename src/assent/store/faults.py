"""Faults of the machine (full disk, read-only folder, locked database) told as errors a user can act on."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from assent.types.errors import WorkspaceError

_FULL = "Free some space on that disk, then run the same command again: it continues where it stopped."
_READ_ONLY = "Use a folder you may write to (check the mount and `ls -ld` of the folder), then run the command again."

_OS_FAULTS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", _FULL),
    errno.EDQUOT: ("the disk quota is used up", _FULL),
    errno.EROFS: ("the file system is read-only", _READ_ONLY),
    errno.EACCES: ("permission denied", _READ_ONLY),
    errno.EPERM: ("the operation is not permitted", _READ_ONLY),
}

# Parts of the messages of SQLite and of PostgreSQL, lower case; the first that matches is told.
_DATABASE_FAULTS: tuple[tuple[str, str, str], ...] = (
    ("disk is full", "the disk is full", _FULL),
    ("no space left", "the disk is full", _FULL),
    ("could not extend file", "the disk is full", _FULL),
    ("readonly database", "the database is read-only", _READ_ONLY),
    ("read-only", "the database is read-only", _READ_ONLY),
    ("unable to open database file", "the database file cannot be opened", _READ_ONLY),
    (
        "is locked",
        "another process holds the database for too long",
        "Wait for the other command on this workspace to end, or stop it, then run the command again.",
    ),
    (
        "not a database",
        "the file is not an assent database",
        "Name the workspace's own assent.db, or restore it from a backup.",
    ),
    (
        "malformed",
        "the database is damaged",
        "Restore it from a backup, or rescue it with `sqlite3 assent.db .recover`.",
    ),
    ("disk i/o error", "the disk reports an error (it may be full)", _FULL),
    (
        "could not connect",
        "the database server cannot be reached",
        "Check the URL and that the server is running.",
    ),
    (
        "connection refused",
        "the database server cannot be reached",
        "Check the URL and that the server is running.",
    ),
)


@contextmanager
def translate_os_errors(path: Path | str) -> Iterator[None]:
    """Turn a full disk, a read-only file system and a missing permission into a `WorkspaceError`.

    Args:
        path: what was being written; named when the operating system's error names no file.

    Raises:
        WorkspaceError: for ENOSPC, EDQUOT, EROFS, EACCES and EPERM. Every other `OSError` passes unchanged.
    """
    try:
        yield
    except OSError as error:
        fault = _OS_FAULTS.get(error.errno or 0)
        if fault is None:
            raise
        what, hint = fault
        raise WorkspaceError(f"cannot write {error.filename or path}: {what}", hint) from error


@contextmanager
def translate_database_errors(location: str) -> Iterator[None]:
    """Turn "disk full", "readonly", "locked" and their like, as a database says them, into a `WorkspaceError`.

    Args:
        location: the database's file, or its URL without the password.

    Raises:
        WorkspaceError: for the faults above. Every other database error (a broken constraint, say) passes unchanged.
    """
    try:
        yield
    except DBAPIError as error:
        said = str(error.orig).lower()
        for part, what, hint in _DATABASE_FAULTS:
            if part in said:
                raise WorkspaceError(f"{location}: {what}", hint) from error
        raise
