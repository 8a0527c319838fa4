"""Migrations with data in the tables, up and down, on both databases."""

from __future__ import annotations

import random
from collections.abc import Callable

from assent.store import Judgements, Store, dump_rows, rankings, schema
from assent.store.acts import edit, undo
from assent.store.people import add_person
from assent.types.feedback import Judgement, PersonKind

MakeRun = Callable[..., list[int]]


def test_down_and_up_again_with_data(store: Store, make_run: MakeRun) -> None:
    tasks = make_run(tasks=5, overlap=2)
    person = add_person(store, "Ann", PersonKind.HUMAN)
    judgements = Judgements(store)
    leased = judgements.lease(tasks, person, seed=1)
    chance = random.Random(1)
    said = {}
    for each in leased:
        judgement = Judgement(tuple(chance.sample((1, 2, 3), 3)), each.order_shown, note="so", seconds=2.5)
        said[each.id] = judgements.submit(each.id, judgement)
    undo(store, said[1], person)
    changed = edit(store, said[2], person, Judgement((1, 1, 1), leased[1].order_shown))
    before, ranked = dump_rows(store), rankings(store)
    assert len(before["judgements"]) == 7 and len(ranked) == 4
    schema.downgrade(store.engine, store.location, "0001")
    schema.upgrade(store.engine, store.location)
    after = dump_rows(store)
    assert rankings(store) == ranked, "each judgement as it stood last"
    assert {row[0] for row in after["judgements"]} == {changed, said[3], said[4], said[5]}
    untouched = ("people", "prompts", "runs", "completions", "tasks", "task_completions", "artifacts")
    assert {name: after[name] for name in untouched} == {name: before[name] for name in untouched}
    assert [row[:5] for row in after["assignments"]] == [row[:5] for row in before["assignments"]]
    (again,) = judgements.lease(tasks[:1], person, seed=1)
    new = judgements.submit(again.id, Judgement((1, 2, 3), again.order_shown))
    assert new > max(row[0] for row in after["judgements"]), "numbers go on"
    schema.downgrade(store.engine, store.location, "base")
    schema.upgrade(store.engine, store.location)
    assert all(rows == [] for rows in dump_rows(store).values())
