"""What people said of each task: gathered by the database it is what the judgements say one by one."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable

from sqlalchemy import select

from assent.store import Store
from assent.store.accounts import get_account
from assent.store.acts import edit, submit, undo
from assent.store.campaigns import CampaignSettings, create_campaign
from assent.store.disputes import list_disputes
from assent.store.gold_sources import gold_of_task, gold_sources
from assent.store.queue import next_assignment
from assent.store.shown import asked_of
from assent.store.tables import TaskRow
from assent.store.votes import votes_of_tasks
from assent.types.feedback import Judgement
from benchmarks.service import enter

RUN = "round1-sample"


def judge(store: Store, campaign: int, people: int) -> dict[int, dict[int, tuple[int, ...]]]:
    """Everything, with some judgements corrected and some taken back; returns the ranks by task and person."""
    chance = random.Random(5)
    said: dict[int, dict[int, tuple[int, ...]]] = defaultdict(dict)
    for number in range(1, people + 1):
        account = get_account(store, number)
        while (found := next_assignment(store, campaign, account, seed=1)).assignment_id is not None:
            asked = asked_of(store, found.assignment_id, account.person_id)
            count = len(asked.order_shown)
            task = int(asked.idempotency_key.partition(":")[0])
            first, second = (tuple(chance.choices(range(1, count + 1), k=count)) for _ in range(2))
            kept = submit(store, asked, Judgement(first, asked.order_shown, asked.label, seconds=1.0)).judgement_id
            said[task][number] = first
            if chance.random() < 0.3:
                edit(store, kept, account.person_id, Judgement(second, asked.order_shown, asked.label, seconds=1.0))
                said[task][number] = second
            elif chance.random() < 0.2:
                undo(store, kept, account.person_id)
                del said[task][number]
                break
    return said


def test_votes_are_those_that_count(store: Store, make_run: Callable[..., list[int]]) -> None:
    make_run(tasks=12, overlap=3)
    campaign = create_campaign(store, CampaignSettings("C"), [RUN])
    enter(store, 6)
    said = judge(store, campaign, 6)
    with store.read() as session:
        found = votes_of_tasks(session, [RUN])
        some = votes_of_tasks(session, [RUN], TaskRow.id > 6)
        assert votes_of_tasks(session, []) == {}
        known = set(session.scalars(select(TaskRow.id)))
    assert found == {task: tuple(sorted(votes.values())) for task, votes in sorted(said.items()) if votes}
    assert some == {task: votes for task, votes in found.items() if task > 6}
    assert len(found) > 8 and set(found) <= known

    disputes = list_disputes(store, [RUN], person_id=2)
    assert disputes
    for each in disputes:
        votes = list(said[each.task_id].values())
        assert each.votes == len(votes)
        assert each.mine == (2 in said[each.task_id])
        opposite = [
            (one[i] < one[j]) != (other[i] < other[j])
            for place, one in enumerate(votes)
            for other in votes[place + 1 :]
            for i in range(3)
            for j in range(i)
            if one[i] != one[j] and other[i] != other[j]
        ]
        assert each.contested == sum(opposite) / len(opposite)


def test_what_is_gold_already_is_no_source(store: Store, make_run: Callable[..., list[int]]) -> None:
    make_run(tasks=6, overlap=2)
    campaign = create_campaign(store, CampaignSettings("C"), [RUN])
    enter(store, 4)
    judge(store, campaign, 4)
    before = [each.task_id for each in gold_sources(store, campaign)]
    gold_of_task(store, campaign, before[0], "hidden", "", by=1)
    assert [each.task_id for each in gold_sources(store, campaign)] == before[1:]
