"""What is recorded, what is refused, and that nothing recorded ever changes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from assent.store import Judgements, NewTask, Store, add_tasks, agreement_rows, counts, dump_rows, rankings, start_run
from assent.types.errors import DataError
from assent.types.feedback import Judgement, LabelKind, PersonKind
from assent.types.protocols import FeedbackStore

MakeTasks = Callable[..., list[int]]
Judge = Callable[..., Judgement]


def test_a_judgement_comes_back_as_it_was_given(store: Store, chain: Any, make_tasks: MakeTasks) -> None:
    feedback: FeedbackStore = Judgements(store)
    assignment = feedback.lease(make_tasks(), chain.people[0], 5)[0]
    given = Judgement(
        ranks=(2, 1, 2),
        order_shown=assignment.order_shown,
        marks=({"helpful": 0.5}, {"helpful": 1.0, "honest": 0.25}, {}),
        flags=("unsafe",),
        note="naïve ☃ <script>",
        seconds=12.75,
    )
    number = feedback.submit(assignment.id, given, assignment.idempotency_key)
    assert Judgements(store).get(number) == given
    (ranking,) = rankings(store)
    assert ranking.completion_ids == tuple(chain.completions[:3])
    assert (ranking.judgement_id, ranking.prompt_id, ranking.person_id) == (number, chain.prompts[0], chain.people[0])
    assert ranking.ranks == (2, 1, 2)


def test_submit_is_idempotent_by_key(store: Store, chain: Any, make_tasks: MakeTasks, judge: Judge) -> None:
    judgements = Judgements(store)
    first, second = judgements.lease(make_tasks(), chain.people[0], 5)[:2]
    number = judgements.submit(first.id, judge(first), "key")
    before = dump_rows(store)
    assert judgements.submit(first.id, judge(first), "key") == number
    assert judgements.submit(first.id, judge(first, (3, 2, 1)), "key") == number, "the first act counts"
    with pytest.raises(DataError, match="under another key"):
        judgements.submit(first.id, judge(first), "other key")
    with pytest.raises(DataError, match="was used for assignment"):
        judgements.submit(second.id, judge(second), "key")
    assert dump_rows(store) == before


def test_several_submissions_are_recorded_all_or_none(
    store: Store, chain: Any, make_tasks: MakeTasks, judge: Judge
) -> None:
    judgements = Judgements(store)
    leased = judgements.lease(make_tasks(), chain.people[0], 5)
    all_four = [(assignment.id, judge(assignment), assignment.idempotency_key) for assignment in leased]
    with pytest.raises(DataError, match="no assignment 99"):
        judgements.submit_all([*all_four, (99, judge(leased[0]), "")])
    broken = (leased[3].id, Judgement((1, 2), (0, 1)), leased[3].idempotency_key)
    with pytest.raises(DataError, match="has 3 completions"):
        judgements.submit_all([*all_four[:3], broken])
    assert counts(store).submitted == 0
    assert judgements.submit_all(all_four[:2]) == [1, 2]
    assert judgements.submit_all([*all_four, all_four[0]]) == [1, 2, 3, 4, 1]
    assert counts(store).submitted == 4


def test_the_same_submission_from_many_threads_counts_once(
    store: Store, chain: Any, make_tasks: MakeTasks, judge: Judge
) -> None:
    judgements = Judgements(store)
    assignment = judgements.lease(make_tasks(), chain.people[0], 5)[0]
    with ThreadPoolExecutor(6) as pool:
        numbers = list(pool.map(lambda _: judgements.submit(assignment.id, judge(assignment)), range(12)))
    assert set(numbers) == {1}
    assert counts(store).submitted == 1


def test_what_does_not_fit_the_assignment_is_refused(
    store: Store, chain: Any, make_tasks: MakeTasks, judge: Judge
) -> None:
    judgements = Judgements(store)
    assignment = judgements.lease(make_tasks(), chain.people[0], 5)[0]
    shown = assignment.order_shown
    turned = (shown[1], shown[0], shown[2])
    refused = {
        "no assignment 4711": (4711, judge(assignment)),
        "has 3 completions, the judgement ranks 2": (assignment.id, Judgement((1, 2), (0, 1))),
        "showed the order": (assignment.id, Judgement((1, 2, 3), turned)),
        "asks for ranking": (assignment.id, Judgement((1, 2, 2), shown, LabelKind.BEST_OF_K)),
        "got 1 marks": (assignment.id, Judgement((1, 2, 3), shown, marks=({"helpful": 1.0},))),
    }
    before = dump_rows(store)
    for message, (number, judgement) in refused.items():
        with pytest.raises(DataError, match=message):
            judgements.submit(number, judgement, assignment.idempotency_key)
    assert dump_rows(store) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE judgements SET note = 'changed'",
        "DELETE FROM judgements",
        "INSERT OR REPLACE INTO judgements SELECT id, assignment_id, task_id, person_id, ranks, order_shown, label, "
        "marks, flags, 'changed', seconds, idempotency_key, submitted_at, revision, withdrawn, strength, all_bad, "
        "reasons, spans, rewrite FROM judgements",
        "UPDATE judgements SET note = '', ranks = '[3, 2, 1]'",
    ],
)
def test_judgements_are_append_only(
    store: Store, chain: Any, make_tasks: MakeTasks, judge: Judge, statement: str
) -> None:
    judgements = Judgements(store)
    assignment = judgements.lease(make_tasks(), chain.people[0], 5)[0]
    judgements.submit(assignment.id, judge(assignment))
    before = dump_rows(store)["judgements"]
    with pytest.raises(DBAPIError, match="append-only"), store.write() as session:
        session.execute(text(statement))
    assert dump_rows(store)["judgements"] == before


def test_filters_agreement_and_counts(store: Store, chain: Any, make_tasks: MakeTasks, judge: Judge) -> None:
    train = make_tasks("train", overlap=2)
    holdout = make_tasks("holdout", overlap=2, purpose="holdout")
    judgements = Judgements(store)
    for person, tasks in ((0, train), (1, train[:1]), (2, holdout[:2])):
        for assignment in judgements.lease(tasks, chain.people[person], 5):
            ranks = (1, 2, 3) if person == 0 else (3, 2, 1)
            judgements.submit(assignment.id, judge(assignment, ranks))
    assert len(rankings(store)) == 7
    assert len(rankings(store, ["train"])) == 5
    assert len(rankings(store, purpose="holdout")) == 2
    assert len(rankings(store, ["train"], purpose="holdout")) == 0
    assert len(rankings(store, ["train"], person_ids=[chain.people[1]])) == 1
    assert len(rankings(store, [])) == 0
    rows = agreement_rows(store)
    assert [(row.task_id, row.person_id, row.ranks) for row in rows] == [
        (train[0], chain.people[0], (1, 2, 3)),
        (train[0], chain.people[1], (3, 2, 1)),
    ]
    assert rows[0].person_kind is PersonKind.SIMULATED
    found = counts(store, ["train"])
    assert (found.tasks, found.wanted, found.submitted, found.leased, found.people) == (4, 8, 5, 0, 2)


def test_best_of_k_keeps_its_label(store: Store, chain: Any) -> None:
    start_run(store, "best", "collect", 1, {})
    task = NewTask(chain.prompts[0], tuple(chain.completions[:3]), LabelKind.BEST_OF_K)
    ids = add_tasks(store, "best", [task])
    judgements = Judgements(store)
    (assignment,) = judgements.lease(ids, chain.people[0], 5)
    assert assignment.label is LabelKind.BEST_OF_K
    judgements.submit(assignment.id, Judgement((2, 1, 2), assignment.order_shown, LabelKind.BEST_OF_K))
    (ranking,) = rankings(store)
    assert ranking.label is LabelKind.BEST_OF_K
    assert len(ranking.comparisons()) == 2
