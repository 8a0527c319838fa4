"""What goes to PostgreSQL and back: little for each request, and nothing on a connection that the server ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, select, text

from assent.store import Store
from assent.store import engine as engines
from assent.store.accounts import get_account
from assent.store.queue import next_assignment
from assent.store.tables import RunRow
from benchmarks.service import enter, fill
from tests.web.people import House
from tests.web.test_statements import requests_of, statements

MOST = {"next": 17, "next again": 8, "draft": 8, "draft again": 3, "submit": 11, "submit again": 2}
"""Times that each kind of request waits for the database: to learn who asks, to begin, to prepare and to commit too."""


@pytest.fixture(params=["postgresql"])
def database_url(database_url: str) -> str:
    """PostgreSQL, where every statement is a message to another process."""
    return database_url


@contextmanager
def answers(store: Store, place: Path) -> Iterator[Callable[[], int]]:
    """Gives a function that counts what the server answered since it was last called, on connections that are new."""
    store.engine.dispose()
    traced: list[Any] = []
    seen = 0
    with place.open("w") as kept:

        def trace(connection: Any, _record: Any) -> None:
            traced.append(connection.pgconn)
            connection.pgconn.trace(kept.fileno())

        def count() -> int:
            nonlocal seen
            for each in traced:
                each.untrace()  # which writes what is buffered
                each.trace(kept.fileno())
            before, seen = seen, place.read_text().count("ReadyForQuery")
            return seen - before

        event.listen(store.engine, "connect", trace)
        try:
            yield count
        finally:
            event.remove(store.engine, "connect", trace)
            for each in traced:
                each.untrace()
            store.engine.dispose()


def test_requests_wait_for_the_database_seldom(
    house: House, store: Store, make_run: Callable[..., list[int]], tmp_path: Path
) -> None:
    make_run(tasks=12)
    person = house("annotator")
    with answers(store, tmp_path / "messages") as count:
        requests = requests_of(person)
        count()
        for name, request in requests.items():
            request()
            assert 0 < (found := count()) <= MOST[name], (name, found)


def test_what_is_looked_at_is_one_message_and_a_transaction_two_more(store: Store, tmp_path: Path) -> None:
    with answers(store, tmp_path / "messages") as count:
        for _ in range(2):  # the first makes the connection, and learns which server it is
            count()
            with store.look() as connection:
                connection.execute(select(RunRow.id)).all()
        assert count() == 1
        with store.write() as session:
            session.execute(select(RunRow.id)).all()
        assert count() == 3
        with store.read() as session:
            session.execute(select(RunRow.id)).all()
        assert count() == 3


def test_a_connection_is_asked_for_life_after_a_rest(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answers(store, tmp_path / "messages") as count:
        with store.look() as connection:
            connection.execute(select(RunRow.id)).all()
        count()
        monkeypatch.setattr(engines, "TRUSTED_SECONDS", 0.0)
        with store.look() as connection:
            connection.execute(select(RunRow.id)).all()
        assert count() == 2


@pytest.mark.parametrize("rest", [0.0, 0.2])
def test_connections_that_the_server_ended_are_replaced(store: Store, rest: float) -> None:
    """As a restart of the server ends them, all at once, several of them idle in the pool."""
    held = [store.engine.connect() for _ in range(3)]
    for connection in held:
        connection.close()
    other = create_engine(store.engine.url, isolation_level="AUTOCOMMIT")
    with other.connect() as connection:
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ended = connection.execute(text(f"SELECT pg_terminate_backend(pid, 5000) {others}")).scalars().all()
    other.dispose()
    assert len(ended) >= 3 and all(ended)
    time.sleep(rest)
    for _ in range(2):
        with store.look() as connection:
            assert connection.execute(select(RunRow.id)).all() == []
        with store.write() as session:
            assert session.scalar(text("SELECT 1")) == 1


TASKS, JUDGED, BY = 20_000, 15_000, 20
HISTORY = (  # of each task that was judged, three of the people had it
    "INSERT INTO tasks (run_id, prompt_id, label, overlap, purpose, priority, is_open) "
    "SELECT run_id, prompt_id, label, overlap, purpose, priority, number > :judged FROM tasks, "
    "generate_series(2, :tasks) AS number ORDER BY number",
    "INSERT INTO task_completions (task_id, position, completion_id) "
    "SELECT id, position, completion_id FROM tasks, task_completions WHERE id > 1",
    "INSERT INTO assignments (task_id, person_id, order_shown, state, idempotency_key, leased_at, expires_at,"
    " declined_as) SELECT id, 1 + (id + k) % :people, '[0, 1]', 'submitted', id || '-' || k, now(), now(), '' "
    "FROM tasks, generate_series(1, 3) AS k WHERE id <= :judged ORDER BY id",
    "UPDATE tasks SET is_open = false WHERE id = 1",
)


@pytest.mark.parametrize("analysed", [False, True])
def test_finding_a_task_reads_little_after_many_judgements(store: Store, analysed: bool) -> None:
    """Whether or not the server has gathered statistics since, for who comes new as for who judged a lot."""
    fill(store, 1, overlap=3)
    enter(store, BY + 1)
    with store.write() as session:
        for each in HISTORY:
            known = {"tasks": TASKS, "judged": JUDGED, "people": BY}
            session.execute(text(each), {name: known[name] for name in known if f":{name}" in each})
        if analysed:
            session.execute(text("ANALYZE"))
    for number in (1, BY + 1):
        with statements(store.engine) as said:
            found = next_assignment(store, 1, get_account(store, number), seed=1)
        assert found.assignment_id is not None
        (asked,) = [each for each in said if "SKIP LOCKED" in each[0]]
        with store.write() as session:
            session.execute(text("SET plan_cache_mode = force_generic_plan"))
            explained = session.connection().exec_driver_sql(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {asked[0]}", asked[1]
            )
            (plan,) = explained.scalar_one()
        assert plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"] < 100, analysed
        assert "JIT" not in plan
