"""Backups, taken while people judge: SQLite's online backup, or PostgreSQL's `pg_dump`."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

from sqlalchemy.engine import URL

from assent.store.database import Store
from assent.store.faults import translate_database_errors, translate_os_errors
from assent.types.errors import WorkspaceError


def back_up(store: Store, path: Path) -> Path:
    """Write one consistent state of the database to a new file. It is there whole or not at all.

    A SQLite database becomes a SQLite file, which can be opened as it is. A PostgreSQL database becomes an archive for
    `pg_restore`.

    Args:
        store: the open store, in use or not.
        path: a file that is not there yet.

    Returns:
        The file.

    Raises:
        WorkspaceError: there is a file already; full disk, read-only folder; no `pg_dump`, or it fails.
    """
    path = path.expanduser().absolute()
    if path.exists():
        raise WorkspaceError(f"{path} is there already", "A backup is never written over; name another file.")
    if not path.parent.is_dir():
        raise WorkspaceError(f"there is no folder {path.parent}", "Make it first.")
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if store.engine.dialect.name == "sqlite":
            _back_up_sqlite(store, aside)
        else:
            _dump_postgresql(store.engine.url, aside)
        with translate_os_errors(path), aside.open("rb+") as written:
            os.fsync(written.fileno())
        aside.rename(path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def _back_up_sqlite(store: Store, aside: Path) -> None:
    with translate_database_errors(str(aside)):
        source = sqlite3.connect(f"file:{store.engine.url.database}?mode=ro", uri=True)
        target = sqlite3.connect(aside)
        try:
            # In one step: taken page by page, it would begin anew whenever somebody judged meanwhile.
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
        except sqlite3.Error as error:
            raise WorkspaceError(f"{aside.parent}: the backup failed: {error}", "Is there room on the disk?") from error
        finally:
            target.close()
            source.close()


def _dump_postgresql(url: URL, aside: Path) -> None:
    program = shutil.which("pg_dump") or next(
        (str(found) for found in sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"), reverse=True)), None
    )
    if program is None:
        raise WorkspaceError("pg_dump is not installed", "Install PostgreSQL's client programs.")
    plain = url.set(drivername="postgresql", password=None).render_as_string()
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    command = [program, "--format=custom", "--no-owner", f"--file={aside}", f"--dbname={plain}"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise WorkspaceError(f"pg_dump failed: {done.stderr.strip()}", "Nothing was kept.")
