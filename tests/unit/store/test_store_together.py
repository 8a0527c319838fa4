"""Small writes of several threads in one transaction: none waits for the disk in its turn, none undoes another's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from assent.store import Store
from assent.store.database import utc_now
from assent.store.tables import PersonRow
from assent.types.errors import DataError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "assent.db", create=True)


def enter(store: Store, name: str) -> Callable[[Session], int]:
    """A person of this name."""

    def work(session: Session) -> int:
        row = PersonRow(name=name, kind="human", profile={}, created_at=store.now())
        session.add(row)
        session.flush()
        return row.id

    return work


def refuse(session: Session) -> int:
    """Something that is written and then refused."""
    session.add(PersonRow(name="nobody", kind="human", profile={}, created_at=utc_now()))
    session.flush()
    raise DataError("this is refused")


def names(store: Store) -> dict[str, int]:
    with store.read() as session:
        return {name: number for number, name in session.execute(select(PersonRow.id, PersonRow.name))}


def while_somebody_writes(store: Store, works: list[Callable[[Session], int]]) -> list[int | BaseException]:
    """What comes of works that all arrive while another transaction is open."""
    found: list[int | BaseException] = [0] * len(works)

    def do(place: int) -> None:
        try:
            found[place] = store.write_soon(works[place])
        except BaseException as error:
            found[place] = error

    threads = [threading.Thread(target=do, args=(place,)) for place in range(len(works))]
    with store.write() as session:
        session.connection()
        for thread in threads:
            thread.start()
        together = store._together
        assert together is not None
        while len(together._waiting) < len(works) - 1:  # the first one waits for the database itself
            pass
    for thread in threads:
        thread.join()
    return found


def test_who_waits_is_committed_together(store: Store) -> None:
    commits: list[object] = []
    event.listen(store.engine, "commit", commits.append)
    works = [enter(store, f"person {number}") for number in range(12)]
    found = while_somebody_writes(store, works)
    assert names(store) == {f"person {number}": found[number] for number in range(12)}
    assert len(commits) == 3, "the open transaction, who came first, and all others"


def test_one_that_is_refused_undoes_no_other(store: Store) -> None:
    works: list[Callable[[Session], int]] = [enter(store, f"person {number}") for number in range(6)]
    works[4] = refuse
    found = while_somebody_writes(store, works)
    assert isinstance(found[4], DataError)
    assert names(store) == {f"person {number}": found[number] for number in range(6) if number != 4}


def test_what_is_refused_alone_leaves_nothing(store: Store) -> None:
    with pytest.raises(DataError, match="this is refused"):
        store.write_soon(refuse)
    assert store.write_soon(enter(store, "somebody")) == 1
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(PersonRow)) == 1


def test_nobody_is_told_before_the_commit(store: Store) -> None:
    seen: list[int] = []

    def look(_connection: object) -> None:
        with Store.open(store.location).read() as session:
            seen.append(session.scalar(select(func.count()).select_from(PersonRow)) or 0)

    event.listen(store.engine, "commit", look)
    number = store.write_soon(enter(store, "somebody"))
    assert seen == [0] and names(store) == {"somebody": number}
