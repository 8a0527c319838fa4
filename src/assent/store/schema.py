"""The schema's versions: upgrade on open, downgrade for those who must go back. Migrations ship in the package."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from assent.store.engine import WRITE_OPTION
from assent.types.errors import WorkspaceError

_MIGRATIONS = Path(__file__).parent / "migrations"
_UPGRADE_LOCK_KEY = 0x617373656E74  # "assent"; PostgreSQL's advisory lock for two processes that upgrade at once
_one_at_a_time = threading.Lock()  # Alembic keeps its context in module globals


def head() -> str:
    """The newest schema version this package knows."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    if found is None:
        raise ValueError(f"no migrations in {_MIGRATIONS}")
    return found


def current(connection: Connection) -> str | None:
    """The database's schema version; None if it has no tables yet."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine, location: str, revision: str = "head") -> None:
    """Bring the database to a version, in one transaction: a killed upgrade leaves the old version whole.

    Raises:
        WorkspaceError: the database was written by a newer assent.
    """
    _check_known(engine, location)
    with engine.connect() as connection:
        if revision == "head" and current(connection) == head():
            return
    _migrate(engine, "upgrade", revision)


def downgrade(engine: Engine, location: str, revision: str) -> None:
    """Take the database back to a version (`base` for none at all), in one transaction. Newer columns are lost.

    Raises:
        WorkspaceError: the database was written by a newer assent.
    """
    _check_known(engine, location)
    _migrate(engine, "downgrade", revision)


def _migrate(engine: Engine, direction: str, revision: str) -> None:
    config = _config()
    with _one_at_a_time, engine.execution_options(**{WRITE_OPTION: True}).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK_KEY})
        config.attributes["connection"] = connection
        {"upgrade": command.upgrade, "downgrade": command.downgrade}[direction](config, revision)


def _check_known(engine: Engine, location: str) -> None:
    with engine.connect() as connection:
        found = current(connection)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise WorkspaceError(
            f"{location}: schema version {found} is newer than this assent knows ({head()})",
            "Update assent to the version that wrote this database.",
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
