"""Campaigns in the real store: exact overlap, balance, flaws found, and the same rows after any interruption."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from assent.feedback import Temper, agreement_by_person, judge_tasks, people_of_task
from assent.feedback.campaign import TaskSpec
from assent.store import dump_rows, open_tasks, rankings
from assent.tasks.household import Household
from assent.types.errors import DataError, SettingsError
from assent.types.feedback import Assignment, Judgement, LabelKind
from assent.types.messages import user_prompt
from assent.types.protocols import FeedbackStore
from tests.unit.feedback.bench import Bench, BuildBench

MARKS = Household().marks
T = TypeVar("T")


class Killed(BaseException):
    """As sudden as kill -9 at a call's border; what was committed stays."""


class Dying:
    """Passes calls on to the store and dies before or after the n-th one."""

    def __init__(self, store: FeedbackStore, calls: int, after: bool) -> None:
        self._store, self._left, self._after = store, calls, after

    def _call(self, act: Callable[[], T]) -> T:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise Killed
        result = act()
        if self._left < 0:
            raise Killed
        return result

    def lease(self, task_ids: Sequence[int], person_id: int, seed: int) -> list[Assignment]:
        return self._call(lambda: self._store.lease(task_ids, person_id, seed))

    def submit(self, assignment_id: int, judgement: Judgement, idempotency_key: str) -> int:
        return self._call(lambda: self._store.submit(assignment_id, judgement, idempotency_key))

    def submit_all(self, submissions: Sequence[tuple[int, Judgement, str]]) -> list[int]:
        return self._call(lambda: self._store.submit_all(submissions))


def test_people_are_a_function_of_the_task_and_share_the_work() -> None:
    ids = list(range(10, 26))
    chosen = [people_of_task(task, 3, ids, seed=4) for task in range(160)]
    assert chosen[37] == people_of_task(37, 3, list(reversed(ids)), seed=4)
    assert all(len(set(each)) == 3 for each in chosen)
    assert set(Counter(person for each in chosen for person in each).values()) == {30}  # 160 * 3 / 16, exactly
    assert len({frozenset(each) for each in chosen}) > 120  # who meets whom varies
    assert chosen != [people_of_task(task, 3, ids, seed=5) for task in range(160)]
    with pytest.raises(ValueError, match="wants 3 people"):
        people_of_task(1, 3, [1, 2], 0)


def test_every_task_gets_exactly_its_overlap(bench: BuildBench) -> None:
    ready = bench("exact", (1, 1, 3), 120)
    seen: list[tuple[int, int]] = []
    count = judge_tasks(ready.judgements, ready.tasks, ready.people, MARKS, 3, lambda *now: seen.append(now))
    assert count == 200
    # Tasks 1 to 49, 50 to 99 and 100 to 120, of which every third is judged three times.
    assert seen == [(49 + 2 * 16, 200), (99 + 2 * 33, 200), (200, 200)]
    assert open_tasks(ready.store, "sample") == []
    work = Counter(ranking.person_id for ranking in rankings(ready.store))
    assert set(work) == set(ready.people)
    assert max(work.values()) - min(work.values()) <= 8
    # Again: nothing more is recorded, the count is the same.
    before = dump_rows(ready.store)
    assert judge_tasks(ready.judgements, ready.tasks, ready.people, MARKS, 3) == 200
    assert dump_rows(ready.store) == before


@pytest.mark.parametrize("only_open", [False, True])
def test_an_interrupted_campaign_leaves_the_rows_of_an_uninterrupted_one(bench: BuildBench, only_open: bool) -> None:
    straight = bench(f"straight-{only_open}", (1, 3), 60)
    judge_tasks(straight.judgements, straight.tasks, straight.people, MARKS, 3)
    expected = dump_rows(straight.store)
    assert len(expected["judgements"]) == 120
    # Two batches, of 16 and 13 leases and one submission each. Each campaign dies twice: after a call, then before one.
    for number, lives in enumerate(((2, 3), (15, 16), (16, 18), (20, 17), (29, 16), (29, 29))):
        broken = bench(f"broken-{only_open}-{number}", (1, 3), 60)
        for calls, after in zip(lives, (True, False), strict=True):
            with pytest.raises(Killed):
                judge_tasks(Dying(broken.judgements, calls, after), broken.tasks, broken.people, MARKS, 3)
        assert dump_rows(broken.store) != expected
        left = set(open_tasks(broken.store, "sample"))
        todo = [task for task in broken.tasks if not only_open or task.id in left]
        judge_tasks(broken.judgements, todo, broken.people, MARKS, 3)
        assert dump_rows(broken.store) == expected
        broken.store.close()


def test_the_careless_and_the_adversarial_are_found(judged: Bench) -> None:
    found = agreement_by_person(rankings(judged.store), seed=0)
    by_temper = {temper: [p for p in found if judged.people[p].temper is temper] for temper in Temper}
    (careless,), (adversarial,) = by_temper[Temper.CARELESS], by_temper[Temper.ADVERSARIAL]
    assert found[adversarial].high < 0.5
    assert found[careless].value == pytest.approx(0.5, abs=0.06)
    others = [found[p].value for p in found if p not in (careless, adversarial)]
    assert min(others) > 0.68 > found[careless].value > found[adversarial].value


def test_best_of_k_tasks_are_honoured(bench: BuildBench) -> None:
    ready = bench("best", (2,), 20, LabelKind.BEST_OF_K)
    assert judge_tasks(ready.judgements, ready.tasks, ready.people, MARKS, 1) == 40
    assert {tuple(sorted(each.ranks)) for each in rankings(ready.store)} == {(1, 2, 2, 2)}


def test_too_few_people_is_a_settings_error(bench: BuildBench) -> None:
    ready = bench("few", (3,), 4)
    two = dict(list(ready.people.items())[:2])
    with pytest.raises(SettingsError, match="wants 3 people, but there are 2"):
        judge_tasks(ready.judgements, ready.tasks, two, MARKS, 1)
    assert dump_rows(ready.store)["assignments"] == []


def test_a_place_taken_by_somebody_else_is_told(bench: BuildBench) -> None:
    ready = bench("taken", (1,), 3)
    task = ready.tasks[1]
    (chosen,) = people_of_task(task.id, 1, list(ready.people), 1)
    stranger = next(person for person in ready.people if person != chosen)
    assert len(ready.judgements.lease([task.id], stranger, 1)) == 1
    with pytest.raises(DataError, match=f"task {task.id} has no room left"):
        judge_tasks(ready.judgements, ready.tasks, ready.people, MARKS, 1)


def test_a_task_listed_twice_is_refused(bench: BuildBench) -> None:
    ready = bench("twice", (1,), 1)
    twice = [ready.tasks[0], TaskSpec(ready.tasks[0].id, 1, user_prompt("again"))]
    with pytest.raises(ValueError, match="listed twice"):
        judge_tasks(ready.judgements, twice, ready.people, MARKS, 1)


def test_importing_the_room_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys, assent.feedback, assent.evaluation;"
        "print([module for module in ('torch', 'transformers') if module in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout.strip() == "[]"
