"""Empty and filled stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assent.store import Store
from tests.unit.data.exchange.judged_store import fill

NewStore = Callable[[], Store]


@pytest.fixture
def new_store(tmp_path: Path) -> Iterator[NewStore]:
    """Makes an empty store each time."""
    opened: list[Store] = []

    def make() -> Store:
        opened.append(Store.open(tmp_path / f"store{len(opened)}.db", create=True))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def judged(new_store: NewStore) -> Store:
    store = new_store()
    fill(store)
    return store
