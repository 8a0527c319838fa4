"""The store under many threads: overlap, and a backup taken meanwhile; a full disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assent.store import Store, Workspace, dump_rows, rankings
from assent.store.accounts import Account, get_account
from assent.store.acts import submit
from assent.store.backup import back_up
from assent.store.campaigns import CampaignSettings, create_campaign
from assent.store.queue import next_assignment
from assent.store.shown import asked_of
from assent.types.errors import WorkspaceError
from assent.types.feedback import Judgement
from benchmarks.service import enter, fill
from tests.web.conftest import create_database
from tests.web.postgres import binaries

MakeRun = Callable[..., list[int]]


def work_through(store: Store, campaign: int, account: Account, failures: list[BaseException]) -> None:
    """Judge until nothing is open."""
    try:
        while (found := next_assignment(store, campaign, account, seed=1)).assignment_id is not None:
            asked = asked_of(store, found.assignment_id, account.person_id)
            count = len(asked.order_shown)
            submit(store, asked, Judgement(tuple(range(1, count + 1)), asked.order_shown, asked.label, seconds=1.0))
    except BaseException as error:
        failures.append(error)


def crowd(store: Store, people: int) -> list[Account]:
    enter(store, people)
    return [get_account(store, number) for number in range(1, people + 1)]


@pytest.mark.parametrize("overlap", [1, 3])
def test_overlap_is_exact_among_threads(store: Store, make_run: MakeRun, overlap: int) -> None:
    make_run(tasks=10, overlap=overlap)
    campaign = create_campaign(store, CampaignSettings("C"), ["round1-sample"])
    failures: list[BaseException] = []
    threads = [
        threading.Thread(target=work_through, args=(store, campaign, account, failures)) for account in crowd(store, 6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = rankings(store)
    assert Counter(ranking.prompt_id for ranking in found) == dict.fromkeys(range(1, 11), overlap)
    assert len({(ranking.person_id, ranking.prompt_id) for ranking in found}) == 10 * overlap


def test_a_backup_under_load_restores_to_equal_rows(store: Store, make_run: MakeRun, tmp_path: Path) -> None:
    make_run(tasks=30)
    campaign = create_campaign(store, CampaignSettings("C"), ["round1-sample"])
    failures: list[BaseException] = []
    threads = [
        threading.Thread(target=work_through, args=(store, campaign, account, failures)) for account in crowd(store, 3)
    ]
    for thread in threads:
        thread.start()
    while len(rankings(store)) < 5:
        assert failures == []
    back_up(store, tmp_path / "early")
    for thread in threads:
        thread.join()
    final = back_up(store, tmp_path / "final")
    with restored(store, tmp_path / "early") as early:
        held, now = dump_rows(early), dump_rows(store)
    assert 5 <= len(held["judgements"]) <= 30
    assert set(held["judgements"]) <= set(now["judgements"]), "what was backed up is what was there"
    submitted = [row for row in held["assignments"] if "submitted" in row]
    assert len(submitted) == len(held["judgements"]), "one consistent state"
    with restored(store, final) as last:
        assert dump_rows(last) == now
    with pytest.raises(WorkspaceError, match="is there already"):
        back_up(store, final)


def restored(store: Store, backup: Path) -> Store:
    """A backup, opened as a database of its own."""
    if store.engine.dialect.name == "sqlite":
        return Store.open(backup)
    place, url = binaries(), store.engine.url
    assert place is not None
    name = f"{url.database}_{backup.name}"
    target = create_database(url.set(database="").render_as_string(), name, "template0")
    plain = url.set(drivername="postgresql", database=name).render_as_string()
    command = [str(place / "pg_restore"), "--no-owner", f"--dbname={plain}", str(backup)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Store.open(target)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.5 MB."""
    place = tmp_path / "small"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(place)]
    if os.getuid() != 0 or not shutil.which("mount") or subprocess.run(words, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def test_a_full_disk_is_told_and_harms_nothing(small_disk: Path) -> None:
    Workspace.create(small_disk / "w")
    with Store.open(small_disk / "w" / "assent.db") as store:
        fill(store, tasks=30, overlap=1)
        campaign = create_campaign(store, CampaignSettings("C"), ["round1-sample"])
        (account,) = crowd(store, 1)
        said = "x" * 20_000
        kept = 0
        with pytest.raises(WorkspaceError, match="full"):
            while (found := next_assignment(store, campaign, account, seed=1)).assignment_id is not None:
                asked = asked_of(store, found.assignment_id, account.person_id)
                judgement = Judgement((1, 2), asked.order_shown, asked.label, note=said * 5, seconds=1.0)
                submit(store, asked, judgement)
                kept += 1
        assert len(rankings(store)) == kept
    shutil.copytree(small_disk / "w", small_disk.parent / "moved")
    with Store.open(small_disk.parent / "moved" / "assent.db") as store:
        assert len(rankings(store)) == kept
        with store.read() as session:
            assert session.connection().exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        failures: list[BaseException] = []
        work_through(store, campaign, account, failures)
        assert failures == [] and len(rankings(store)) == 30, "with room again, it goes on where it stopped"
