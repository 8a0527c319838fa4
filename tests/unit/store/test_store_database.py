"""Pragmas, migrations, and what a damaged, missing, newer or unwritable database says."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from assent.store import Store, add_person, dump_rows, list_people, schema
from assent.store.database import utc_now
from assent.store.tables import Base, PersonRow
from assent.types.errors import WorkspaceError
from assent.types.feedback import PersonKind


def test_sqlite_is_durable_and_keeps_its_constraints(store: Store) -> None:
    with store.write() as session:
        pragmas = {
            name: session.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "recursive_triggers")
        }
    full = 2
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
        "recursive_triggers": 1,
    }
    with pytest.raises(IntegrityError, match="FOREIGN KEY"), store.write() as session:
        session.execute(text("INSERT INTO dataset_judgements VALUES ('ghost', 1)"))


def test_a_write_transaction_takes_the_lock_at_its_first_statement(store: Store, database: Path) -> None:
    other = sqlite3.connect(database, timeout=0, isolation_level=None)
    with store.write() as session:
        session.execute(text("SELECT 1"))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    with store.read() as session:
        session.execute(text("SELECT 1"))
        other.execute("BEGIN IMMEDIATE")
    other.close()


def test_a_read_transaction_sees_one_state_and_changes_nothing(store: Store) -> None:
    add_person(store, "Ann", PersonKind.HUMAN)
    with store.read() as session:
        assert len(session.query(PersonRow).all()) == 1
        add_person(store, "Bob", PersonKind.HUMAN)
        assert len(session.query(PersonRow.id).all()) == 1
    with store.read() as session:
        session.query(PersonRow).delete()
    assert len(list_people(store)) == 2


def test_a_failed_write_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write() as session:
        session.add(PersonRow(name="Ann", kind="human", profile={}, created_at=utc_now()))
        session.flush()
        raise RuntimeError
    assert list_people(store) == []


def test_migrations_make_the_tables_that_the_code_declares(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        declared = {c.name for t in Base.metadata.tables.values() for c in t.constraints if c.name}
        made = " ".join(connection.execute(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")).scalars())
    unnamed_in_sqlite = {name for name in declared if str(name) not in made}
    assert unnamed_in_sqlite == set()


def test_versions_by_file_name_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert schema.versions() == known[::-1]
    assert schema.head() == known[0]


def test_opening_a_database_of_the_newest_version_loads_no_alembic(database: Path) -> None:
    Store.open(database, create=True).close()
    code = (
        "import sys; from assent.store import Store; Store.open(sys.argv[1]).close(); print('alembic' in sys.modules)"
    )
    outcome = subprocess.run([sys.executable, "-c", code, str(database)], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "False"


def test_migrations_go_down_and_up_again(store: Store) -> None:
    schema.downgrade(store.engine, store.location, "base")
    with store.engine.connect() as connection:
        left = set(connection.execute(text("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'")).scalars())
        assert left == {"alembic_version"}
    schema.upgrade(store.engine, store.location)
    assert add_person(store, "Ann", PersonKind.HUMAN) == 1
    with store.engine.connect() as connection:
        assert schema.current(connection) == schema.head()


def test_processes_may_open_a_new_database_at_once(database: Path) -> None:
    script = Path(__file__).with_name("leasing_process.py")
    command = [sys.executable, str(script), "open", str(database)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 0, outcome.stderr
    with Store.open(database) as store:
        assert add_person(store, "Ann", PersonKind.HUMAN) == 1


def test_the_store_loads_neither_torch_nor_transformers() -> None:
    code = "import assent.store, sys; print({'torch', 'transformers', 'ray', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_no_column_but_those_ending_in_at_holds_a_time(store: Store) -> None:
    times = {c.name for t in Base.metadata.tables.values() for c in t.columns if "DATETIME" in str(c.type).upper()}
    assert times == {c.name for t in Base.metadata.tables.values() for c in t.columns if c.name.endswith("_at")}
    assert times
    assert set(dump_rows(store)) == set(Base.metadata.tables)


def test_moments_come_back_in_utc(store: Store, clock: Any) -> None:
    add_person(store, "Ann", PersonKind.HUMAN)
    with store.read() as session:
        assert session.query(PersonRow).one().created_at == clock.time


def test_opening_what_is_not_there_or_no_database(tmp_path: Path, database: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"no database at .*assent\.db"):
        Store.open(database)
    assert not database.exists(), "looking for a database makes none"
    with pytest.raises(WorkspaceError, match="not a file"):
        Store.open(tmp_path)
    with pytest.raises(WorkspaceError, match="no folder"):
        Store.open(tmp_path / "nowhere" / "assent.db", create=True)
    with pytest.raises(WorkspaceError, match="in-memory"):
        Store.open("sqlite://", create=True)
    database.write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(WorkspaceError, match="not an assent database"):
        Store.open(database)
    with pytest.raises(WorkspaceError, match="no driver"):
        Store.open("nosuchdb://host/name")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        Store.open("://")


def test_a_database_by_url_is_the_same_database(store: Store, database: Path) -> None:
    add_person(store, "Ann", PersonKind.HUMAN)
    with Store.open(f"sqlite:///{database}") as other:
        assert [person.name for person in list_people(other)] == ["Ann"]


def test_a_newer_database_is_left_alone(store: Store, database: Path) -> None:
    with store.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(WorkspaceError, match="9999 is newer"):
        Store.open(database)


def test_a_database_that_stays_locked_is_told(store: Store, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assent.store.engine.BUSY_TIMEOUT_MS", 50)
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with Store.open(database) as impatient, pytest.raises(WorkspaceError, match="another process holds the database"):
        add_person(impatient, "Ann", PersonKind.HUMAN)
    holder.execute("ROLLBACK")
    holder.close()


def test_a_read_only_and_a_full_database_are_told(store: Store) -> None:
    with pytest.raises(WorkspaceError, match="the database is read-only"), store.write() as session:
        session.execute(text("PRAGMA query_only=ON"))
        session.add(PersonRow(name="Ann", kind="human", profile={}, created_at=utc_now()))
    store.engine.dispose()
    with pytest.raises(WorkspaceError, match="the disk is full"), store.write() as session:
        session.execute(text("PRAGMA max_page_count=1"))
        session.add(PersonRow(name="Ann", kind="human", profile={"long": "x" * 500_000}, created_at=utc_now()))
    store.engine.dispose()
    assert list_people(store) == []
