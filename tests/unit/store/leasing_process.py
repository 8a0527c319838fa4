"""Processes that use one database at once; run by `test_store_leases.py` and `test_store_database.py`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from assent.store import Judgements, Store
from assent.types.feedback import Judgement


def open_new(database: Path) -> None:
    """Open a database that may not exist yet."""
    Store.open(database, create=True).close()


def lease_and_submit(database: Path, tasks: list[int], people: list[int]) -> None:
    """Lease and submit, person by person, task by task."""
    with Store.open(database) as store:
        judgements = Judgements(store)
        for person in people:
            for task in tasks:
                for assignment in judgements.lease([task], person, seed=1):
                    judgement = Judgement((1, 2, 3), assignment.order_shown)
                    judgements.submit(assignment.id, judgement, assignment.idempotency_key)


def at_once(works: list[Callable[[], None]]) -> int:
    """Each work in a process of its own, all released together; the number that failed."""
    gate, release = os.pipe()
    children = []
    for work in works:
        child = os.fork()
        if child == 0:
            os.close(release)
            os.read(gate, 1)  # returns when the parent closes its end
            try:
                work()
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        children.append(child)
    os.close(release)
    return sum(os.waitpid(child, 0)[1] != 0 for child in children)


def main(what: str, database: str, *ids: str) -> int:
    """`open DATABASE`, or `lease DATABASE TASKS PEOPLE...` with comma-separated ids, one PEOPLE for each process."""
    if what == "open":
        return at_once([lambda: open_new(Path(database))] * 6)
    tasks, *groups = [[int(number) for number in numbers.split(",")] for numbers in ids]
    return at_once([lambda people=people: lease_and_submit(Path(database), tasks, people) for people in groups])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
