"""Overlap is exact, whoever asks and however many at once; leases run out and come back."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from assent.store import Judgements, NewPerson, Store, add_people, counts, dump_rows, get_tasks, open_tasks, rankings
from assent.types.errors import DataError, LeaseLostError
from assent.types.feedback import Judgement, PersonKind

MakeTasks = Callable[..., list[int]]
Judge = Callable[..., Judgement]


def test_lease_shows_texts_in_the_tasks_own_order_and_a_seeded_permutation(
    store: Store, chain: Any, make_tasks: MakeTasks
) -> None:
    tasks = make_tasks(overlap=3)
    judgements = Judgements(store)
    leased = [judgements.lease(tasks, person, seed=5) for person in chain.people]
    first = leased[0][0]
    assert first.prompt == "How do I store item 0?"
    assert first.completions == ("answer 0.0", "answer 0.1", "answer 0.2")
    assert first.meta == {"item": "item 0"}
    assert first.idempotency_key == f"{first.task_id}:{first.person_id}"
    assert all(sorted(a.order_shown) == [0, 1, 2] for row in leased for a in row)
    # 12 permutations of 3 drawn independently of each other: all alike has a chance of 6^-11
    assert len({a.order_shown for row in leased for a in row}) > 1


def test_the_order_shown_depends_on_seed_person_and_task_alone(tmp_path: Path, store: Store, chain: Any) -> None:
    from assent.store.leases import order_of

    alone = order_of(9, 2, 3, 6)
    assert order_of(9, 2, 3, 6) == alone
    others = [order_of(s, p, t, 6) for t, p, s in ((4, 2, 9), (3, 1, 9), (3, 2, 8))]
    assert any(order != alone for order in others)


def test_lease_is_idempotent(store: Store, chain: Any, make_tasks: MakeTasks) -> None:
    tasks = make_tasks()
    judgements = Judgements(store)
    first = judgements.lease(tasks, chain.people[0], seed=5)
    assert len(first) == 4
    assert judgements.lease(tasks, chain.people[0], seed=5) == first
    assert judgements.lease(tasks, chain.people[0], seed=99) == first, "a held assignment keeps its order"
    assert judgements.lease(tasks, chain.people[1], seed=5) == []


def test_submitted_assignments_come_back_as_submitted(
    store: Store, chain: Any, make_tasks: MakeTasks, judge: Judge
) -> None:
    tasks = make_tasks()
    judgements = Judgements(store)
    leased = judgements.lease(tasks, chain.people[0], seed=5)
    judgements.submit(leased[1].id, judge(leased[1]), leased[1].idempotency_key)
    again = judgements.lease(tasks, chain.people[0], seed=5)
    assert [a.id for a in again] == [a.id for a in leased]
    assert [a.submitted for a in again] == [False, True, False, False]
    assert open_tasks(store, "tasks") == [tasks[0], tasks[2], tasks[3]]


def test_an_expired_lease_returns_to_the_pool(
    store: Store, clock: Any, chain: Any, make_tasks: MakeTasks, judge: Judge
) -> None:
    tasks = make_tasks()
    judgements = Judgements(store)
    slow, quick, _ = chain.people
    late = judgements.lease(tasks[:2], slow, seed=5, seconds=60)
    clock.advance(59)
    assert judgements.lease(tasks[:1], quick, seed=5) == []
    clock.advance(1)
    taken = judgements.lease(tasks[:1], quick, seed=5)
    assert len(taken) == 1
    assert (counts(store).leased, len(dump_rows(store)["assignments"])) == (2, 3), "the first lease is marked expired"
    with pytest.raises(DataError, match="ran out"):
        judgements.submit(late[0].id, judge(late[0]), late[0].idempotency_key)
    assert judgements.submit(late[1].id, judge(late[1]), late[1].idempotency_key) == 1, "no one took its room"
    assert judgements.lease(tasks[:1], slow, seed=5) == [], "no room: the task is in other hands"
    judgements.submit(taken[0].id, judge(taken[0]), taken[0].idempotency_key)
    with pytest.raises(DataError, match="ran out"):
        judgements.submit(late[0].id, judge(late[0]), late[0].idempotency_key)
    assert counts(store, ["tasks"]).submitted == 2


def test_an_expired_lease_is_renewed_for_its_holder_with_the_same_id(
    store: Store, clock: Any, chain: Any, make_tasks: MakeTasks
) -> None:
    tasks = make_tasks()
    judgements = Judgements(store)
    slow, quick, _ = chain.people
    first = judgements.lease(tasks, slow, seed=5, seconds=60)
    clock.advance(100)
    assert judgements.lease(tasks, slow, seed=5, seconds=60) == first
    clock.advance(50)
    assert judgements.lease(tasks, quick, seed=5) == [], "renewed, so still held"
    clock.advance(20)
    assert len(judgements.lease(tasks, quick, seed=5)) == 4


def test_submissions_of_one_transaction_take_room_from_those_that_follow(
    store: Store, clock: Any, chain: Any, make_tasks: MakeTasks, judge: Judge
) -> None:
    tasks = make_tasks()
    judgements = Judgements(store)
    slow, quick, _ = chain.people
    (late,) = judgements.lease(tasks[:1], slow, seed=5, seconds=60)
    clock.advance(60)
    (later,) = judgements.lease(tasks[:1], quick, seed=5, seconds=60)
    clock.advance(60)  # nobody's lease is live, and there is room for one
    with pytest.raises(LeaseLostError):
        judgements.submit_all([(each.id, judge(each), "") for each in (late, later)])
    assert counts(store, ["tasks"]).submitted == 0, "all or none"
    assert judgements.submit(later.id, judge(later)) == 1


def test_unknown_task_and_person(store: Store, chain: Any, make_tasks: MakeTasks) -> None:
    tasks = make_tasks()
    with pytest.raises(DataError, match="no task 999"):
        Judgements(store).lease([*tasks, 999], chain.people[0], seed=1)
    with pytest.raises(DataError, match="no person 77"):
        Judgements(store).lease(tasks, 77, seed=1)
    assert counts(store).leased == 0, "nothing of a refused call stays"


@pytest.mark.parametrize("overlap", [1, 3])
def test_threads_never_exceed_the_overlap(
    store: Store, chain: Any, make_tasks: MakeTasks, judge: Judge, overlap: int
) -> None:
    tasks = make_tasks(overlap=overlap)
    people = add_people(store, [NewPerson(f"racer {i}", PersonKind.HUMAN) for i in range(8)])
    judgements = Judgements(store)

    def work(person: int) -> int:
        done = 0
        for task in tasks:
            for assignment in judgements.lease([task], person, seed=1):
                judgements.submit(assignment.id, judge(assignment), assignment.idempotency_key)
                done += 1
        return done

    with ThreadPoolExecutor(8) as pool:
        done = sum(pool.map(work, people))
    assert done == 4 * overlap
    assert [task.submitted for task in get_tasks(store, "tasks")] == [overlap] * 4
    per_task = Counter(ranking.completion_ids for ranking in rankings(store, ["tasks"]))
    assert set(per_task.values()) == {overlap}


def test_processes_never_exceed_the_overlap(store: Store, database: Path, make_tasks: MakeTasks) -> None:
    tasks = make_tasks(overlap=2)
    people = add_people(store, [NewPerson(f"racer {i}", PersonKind.HUMAN) for i in range(6)])
    script = Path(__file__).with_name("leasing_process.py")
    groups = [f"{people[2 * i]},{people[2 * i + 1]}" for i in range(3)]
    command = [sys.executable, str(script), "lease", str(database), ",".join(map(str, tasks)), *groups]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 0, outcome.stderr
    assert [task.submitted for task in get_tasks(store, "tasks")] == [2, 2, 2, 2]
    assert counts(store, ["tasks"]).leased == 0
