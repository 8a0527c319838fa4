"""The schema's versions: upgrade on open, downgrade for those who must go back. Migrations ship in the package.

Alembic is loaded only to change a schema: every command opens a store, and nearly always its version is the newest.
"""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from assent.store.engine import WRITE_OPTION
from assent.types.errors import WorkspaceError

_MIGRATIONS = Path(__file__).parent / "migrations"
_UPGRADE_LOCK_KEY = 0x617373656E74  # "assent"; PostgreSQL's advisory lock for two processes that upgrade at once
_one_at_a_time = threading.Lock()  # Alembic keeps its context in module globals


def versions() -> list[str]:
    """The schema versions this package knows, oldest first: `v0001_what_it_does.py` leads to version `0001`."""
    return sorted(file.stem[1:].partition("_")[0] for file in (_MIGRATIONS / "versions").glob("v*.py"))


def head() -> str:
    """The newest schema version this package knows."""
    return versions()[-1]


def current(connection: Connection) -> str | None:
    """The database's schema version; None if it has no tables yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def upgrade(engine: Engine, location: str, revision: str = "head") -> None:
    """Bring the database to a version, in one transaction: a killed upgrade leaves the old version whole.

    Raises:
        WorkspaceError: the database was written by a newer assent.
    """
    found = _require_known(engine, location)
    if revision != "head" or found != head():
        _migrate(engine, "upgrade", revision)


def downgrade(engine: Engine, location: str, revision: str) -> None:
    """Take the database back to a version (`base` for none at all), in one transaction. Newer columns are lost.

    Raises:
        WorkspaceError: the database was written by a newer assent.
    """
    _require_known(engine, location)
    _migrate(engine, "downgrade", revision)


def _migrate(engine: Engine, direction: str, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with _one_at_a_time, engine.execution_options(**{WRITE_OPTION: True}).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK_KEY})
        config.attributes["connection"] = connection
        {"upgrade": command.upgrade, "downgrade": command.downgrade}[direction](config, revision)


def _require_known(engine: Engine, location: str) -> str | None:
    """The database's version, which must be one of ours."""
    with engine.connect() as connection:
        found = current(connection)
    if found is not None and found not in versions():
        raise WorkspaceError(
            f"{location}: schema version {found} is newer than this assent knows ({head()})",
            "Update assent to the version that wrote this database.",
        )
    return found
