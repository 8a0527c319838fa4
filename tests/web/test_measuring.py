"""People are measured in another process as in this one."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from assent.store import Judgements, Store
from assent.types.errors import WorkspaceError
from assent.types.feedback import Judgement
from assent.web.admin import crowd
from assent.web.admin.measuring import measure, measure_apart
from benchmarks.service import enter

MakeRun = Callable[..., list[int]]
RUNS = ("round1-sample",)


def judge(store: Store, make_run: MakeRun) -> None:
    """Three people judge six tasks, and do not agree on all."""
    tasks = make_run(tasks=6, overlap=3)
    enter(store, 3)
    kept, chance = Judgements(store), random.Random(1)
    for person in (1, 2, 3):
        for held in kept.lease(tasks, person, seed=1):
            ranks = (1, 2, 3) if chance.random() < 0.6 else tuple(chance.sample((1, 2, 3), 3))
            kept.submit(held.id, Judgement(ranks, held.order_shown, held.label, seconds=4.0))


def test_another_process_finds_the_same(store: Store, make_run: MakeRun) -> None:
    judge(store, make_run)
    found = measure_apart(store, RUNS, ())
    assert repr(found) == repr(measure(store, RUNS, ()))  # what is undefined is NaN, which equals nothing
    assert found.facts is not None and len(found.facts.people) == 3 and found.leanings
    fewer = measure_apart(store, RUNS, (1,))
    assert fewer.facts is not None and [each.person_id for each in fewer.facts.people] == [2, 3]


def test_a_page_over_many_judgements_does_not_wait(
    store: Store, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(store, make_run)
    monkeypatch.setattr(crowd, "MANY", 10)
    held = crowd.Measurements()
    first = held.of(store, RUNS)
    assert first.renewing and first.facts is None
    while held.busy():
        pass
    assert first.error == "" and first.facts is not None
    assert held.of(store, RUNS) is first and not first.renewing, "nobody judged since"


def test_what_the_other_process_cannot_do_is_told(tmp_path: Path) -> None:
    gone = Store(create_engine(f"sqlite:///{tmp_path / 'gone.db'}"), "gone.db")
    with pytest.raises(WorkspaceError, match="no database at"):
        measure_apart(gone, RUNS, ())
