"""What a request asks the database: few statements, none that goes through a large table, and no writing in vain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from assent.store import Store, Workspace
from tests.unit.store.conftest import Clock
from tests.web.people import Browser, House

LARGE = ("tasks", "task_completions", "assignments", "judgements", "completions", "prompts", "drafts", "people")
MOST = {"next": 18, "next again": 9, "draft": 7, "draft again": 3, "submit": 9, "submit again": 3}
"""Statements of each kind of request, those that say who asks among them."""


@pytest.fixture
def database_url(workspace: Workspace) -> str:
    """SQLite, which tells how it goes about a statement."""
    return f"sqlite:///{workspace.database}"


@contextmanager
def statements(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """What is sent meanwhile, with its parameters; the beginning of a transaction that writes as `BEGIN IMMEDIATE`."""
    said: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        said.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", note)


def requests_of(person: Browser) -> dict[str, Callable[[], Any]]:
    """A task as the page asks for it and answers it, each request sent twice."""
    task = person.next()
    path = f"/assignments/{task['id']}/draft"
    typed = {"version": 0, "content": {"ranks": [1, 2, 3]}}
    person.submit(task)
    held: dict[str, Any] = {}

    def ask() -> None:
        held.update(person.next())

    def draft() -> Any:
        return person.done("PUT", path.replace(str(task["id"]), str(held["id"])), typed)

    return {
        "next": ask,
        "next again": ask,
        "draft": draft,
        "draft again": draft,
        "submit": lambda: person.submit(held),
        "submit again": lambda: person.submit(held),
    }


def test_requests_ask_little(house: House, store: Store, make_run: Callable[..., list[int]], clock: Clock) -> None:
    make_run(tasks=12)
    for name, request in requests_of(house("annotator")).items():
        with statements(store.engine) as said:
            request()
        asked = [(text, values) for text, values in said if not text.startswith("BEGIN")]
        assert len(asked) <= MOST[name], (name, len(asked), [text for text, _ in asked])
        writes = [text for text, _ in said if text == "BEGIN IMMEDIATE"]
        assert len(writes) == (0 if name.endswith("again") else 1), (name, writes)
        with store.engine.connect() as connection:
            for text, values in asked:
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all()
                gone_through = [row[3] for row in plan if row[3].startswith("SCAN")]
                assert not [each for each in gone_through if each.split()[1] in LARGE], (name, text, gone_through)
