"""`assent up --workers 2`: two processes on one socket and one PostgreSQL; either may be killed."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from assent.store import Store, Workspace
from assent.store.tables import JudgementRow
from benchmarks.service import fill
from tests.web.conftest import create_database
from tests.web.postgres import free_port

TASKS = 24


@contextmanager
def serving(workspace: Workspace, url: str, port: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and the owner's link that it prints."""
    workspace.settings_file.write_text('task = "household"\n')
    words = ["up", "--database-url", url, "--workers", "2", "--port", str(port)]
    command = [sys.executable, "-m", "assent", *words]
    process = subprocess.Popen(command, cwd=workspace.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://\S+/link/\S+", line):
                break
        assert said and found, "".join(said)
        yield process, found[0]
    finally:
        process.terminate()  # its processes with it, which they are not when it is killed
        process.wait(30)


def children(process: subprocess.Popen[str]) -> set[int]:
    """The processes that serve: those that run what uvicorn starts, and not Python's tracker of resources."""
    found = set()
    for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"spawn_main" in words:
            found.add(int(pid))
    return found


def until(what: Callable[[], Any], patience: float = 150.0) -> Any:
    """What it returns, once that is true."""
    ends = time.monotonic() + patience
    while time.monotonic() < ends:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError("it never came true")


class Patient:
    """A browser that asks again where the connection was lost, on a new one each time."""

    def __init__(self, base: str) -> None:
        self.base, self.cookies, self.headers = base, httpx.Cookies(), dict[str, str]()

    def __call__(self, method: str, path: str, **said: Any) -> httpx.Response:
        def ask() -> httpx.Response | None:
            try:
                with httpx.Client(base_url=self.base, cookies=self.cookies, headers=self.headers) as client:
                    answer = client.request(method, path, timeout=20.0, **said)
                    self.cookies.update(client.cookies)
                    return answer
            except httpx.TransportError:
                return None

        answer = until(ask)
        assert isinstance(answer, httpx.Response)
        return answer


def judge(browser: Patient, count: int) -> list[int]:
    """So many tasks, each request on a connection of its own; returns the judgements."""
    kept = []
    for _ in range(count):
        task = browser("POST", "/api/v1/assignments/next", json={}).json()
        key = {"Idempotency-Key": task["idempotency_key"]}
        said = {"ranks": [2, 1], "seconds": 3.0}
        answer = browser("POST", f"/api/v1/assignments/{task['id']}/submit", json=said, headers=key)
        assert answer.status_code == 200, answer.text
        kept.append(answer.json()["judgement_id"])
    return kept


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for child processes in /proc")
@pytest.mark.timeout(600)
def test_either_of_two_processes_serves_and_is_replaced(postgres: str, workspace: Workspace) -> None:
    url, port = create_database(postgres, "workers", "pattern"), free_port()
    with Store.open(url) as store:
        fill(store, TASKS, overlap=1)
    with serving(workspace, url, port) as (process, link):
        browser = Patient(f"http://127.0.0.1:{port}")
        signed_in = browser("POST", link, data={"name": "Owner", "login": "owner"})
        assert signed_in.status_code == 303, signed_in.text
        token = re.search(r'name="csrf-token" content="([^"]+)"', browser("GET", "/account").text)
        assert token, "signed in with one process, known to both"
        browser.headers["X-CSRF-Token"] = token[1]
        kept = judge(browser, 8)
        for _ in range(2):  # one after the other, so that each of the two has to serve alone for a while
            here = until(lambda: found if len(found := children(process)) == 2 else None)
            killed = min(here)
            subprocess.run(["kill", "-9", str(killed)], check=True)
            kept += judge(browser, 8)
            until(lambda gone=killed: len(children(process) - {gone}) == 2)
        assert browser("POST", "/api/v1/assignments/next", json={}).status_code == 204
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in here - {killed})
    with Store.open(url) as store, store.look() as connection:
        rows = connection.scalars(JudgementRow.__table__.select().with_only_columns(JudgementRow.id)).all()
    assert sorted(rows) == sorted(kept) and len(set(kept)) == TASKS


def test_a_port_that_is_taken_is_told(postgres: str, workspace: Workspace) -> None:
    url, port = create_database(postgres, "taken", "pattern"), free_port()
    with serving(workspace, url, port) as (_, link):
        until(lambda: Patient(f"http://127.0.0.1:{port}")("GET", link).status_code == 200)
        command = [sys.executable, "-m", "assent", "up", "--database-url", url, "--workers", "2", "--port", str(port)]
        second = subprocess.run(command, cwd=workspace.path, capture_output=True, text=True, timeout=120)
    assert second.returncode == 6, second.stderr
    assert f"cannot listen on 127.0.0.1, port {port}" in second.stderr
