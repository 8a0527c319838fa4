"""Killed by SIGKILL at any statement and started again, the loop ends with the same rows, ids included."""

from __future__ import annotations

import runpy
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from assent.store import Store, dump_rows

SCRIPT = Path(__file__).with_name("dying_process.py")
DEATHS = 25


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds `whole.db` of an undisturbed run and `killed-N.db` of runs that died before their statement N."""
    folder = tmp_path_factory.mktemp("crash")
    command = [sys.executable, str(SCRIPT), str(folder), str(DEATHS)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 0, outcome.stderr
    exits = [int(line.split()[1]) for line in outcome.stdout.splitlines()]
    assert exits == [-signal.SIGKILL] * DEATHS
    return folder


@pytest.fixture(scope="module")
def loop() -> Callable[[Store], None]:
    return runpy.run_path(str(SCRIPT))["loop"]


def test_a_killed_process_leaves_a_sound_database(folder: Path) -> None:
    killed = sorted(folder.glob("killed-*.db"))
    assert len(killed) >= DEATHS - 1  # the first may die before the file is made
    for database in killed:
        connection = sqlite3.connect(database)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()


def test_started_again_the_rows_are_those_of_an_uninterrupted_run(folder: Path, loop: Callable[[Store], None]) -> None:
    with Store.open(folder / "whole.db") as store:
        expected = dump_rows(store)
        loop(store)
        assert dump_rows(store) == expected, "a finished loop changes nothing"
    assert len(expected["judgements"]) == 6
    before = set()
    for database in sorted(folder.glob("killed-*.db")):
        with Store.open(database, create=True) as store:
            before.add(tuple(len(rows) for rows in dump_rows(store).values()))
            loop(store)
            assert dump_rows(store) == expected, database.name
    assert len(before) >= 8, "the deaths came at different points of the loop"
