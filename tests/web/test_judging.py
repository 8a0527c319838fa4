"""The way of an annotator: link, consent, training, qualification, queue; submit, undo, edit; and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from assent.store import (
    Store,
    add_completions,
    agreement_rows,
    counts,
    get_completions,
    get_tasks,
    rankings,
    start_run,
)
from assent.store.accounts import get_account
from assent.store.campaigns import create_campaign
from assent.store.disputes import list_disputes, open_ruling
from assent.store.queue import LEASE_SECONDS
from assent.types.protocols import SamplingParams
from assent.web import Service
from tests.unit.store.conftest import Clock, rollouts_of
from tests.web.people import House

MakeRun = Callable[..., list[int]]


def test_from_the_link_to_the_judgement(house: House, make_run: MakeRun, store: Store) -> None:
    make_run(tasks=2)
    ann = house("annotator")
    task = ann.next()
    assert [each["slot"] for each in task["completions"]] == [0, 1, 2]
    assert "sft" not in str(task), "nothing says which policy wrote it"
    assert ann.next() == task, "a task that is held comes again"
    ahead = ann.next(beside=[task["id"]])
    assert ahead["id"] != task["id"] and ann.next(beside=[task["id"], ahead["id"]]) == "nothing-open"
    done = ann.submit(task, (2, 1, 3), note="it’s right", flags=["unsafe"])
    assert ann.submit(task, (2, 1, 3)) == done, "the same key again gives the same answer"
    (ranking,) = rankings(store)
    (listed,) = house("owner").get("/judgements")["items"]
    assert (listed["note"], listed["flags"], listed["person"]) == ("it’s right", ["unsafe"], "Annotator")
    by_slot = [listed["ranks"][place] for place in listed["order_shown"]]
    assert by_slot == [2, 1, 3] and list(ranking.ranks) == listed["ranks"]
    assert ann.submit(ahead)["judgement_id"] != done["judgement_id"]
    assert ann.next() == "nothing-open"
    assert ann.get("/me")["judgements"] == 2


def test_everything_that_can_be_said_is_kept(house: House, make_run: MakeRun, store: Store) -> None:
    make_run(tasks=1, count=2)
    ask = {"title": "Pairs", "criteria": [{"name": "helpful"}], "reasons": ["wrong fact"], "run_ids": ["round1-sample"]}
    house("owner").post("/campaigns", ask, 201)
    ann = house("annotator")
    task = ann.next()
    assert task["strengths"] == ["slight", "strong"] and task["criteria"][0]["name"] == "helpful"
    said = {
        "strength": "strong",
        "all_bad": True,
        "reasons": ["wrong fact"],
        "marks": [{"helpful": 0.25}, {"helpful": 1.0}],
        "spans": [{"slot": 1, "start": 0, "end": 3, "tag": "wrong fact"}],
        "rewrite": "A better answer.",
    }
    ann.submit(task, (2, 1), **said)
    (past,) = ann.get("/me/judgements")["items"]
    assert {name: past["answer"][name] for name in said} == said
    (listed,) = house("owner").get("/judgements")["items"]
    second = listed["order_shown"][1]
    assert listed["marks"][second] == {"helpful": 1.0} and listed["spans"][0]["completion"] == second
    (written,) = house("owner").get("/demonstrations")["items"]
    assert written["messages"][-1] == {"role": "assistant", "content": "A better answer."}


def test_what_does_not_fit_is_refused_by_name(house: House, make_run: MakeRun) -> None:
    make_run(tasks=1)
    ann = house("annotator")
    task = ann.next()
    refused: list[tuple[dict[str, Any], str]] = [
        ({"ranks": [1, 2]}, "ranks: 3 are wanted"),
        ({"ranks": [1, 2, 4]}, "ranks must lie in 1..3"),
        ({"flags": ["rude"]}, "flags: 'rude' is not one of"),
        ({"reasons": ["x"]}, "reasons: 'x' is not one of: none are asked for"),
        ({"marks": [{}]}, "marks: 3 are wanted"),
        ({"marks": [{"wit": 1}] * 3}, "marks: 'wit'"),
        ({"strength": "slight"}, "strength is slight or strong, of a pair"),
        ({"spans": [{"slot": 4, "start": 0, "end": 1, "tag": "unsafe"}]}, "there is no slot 4"),
        ({"spans": [{"slot": 0, "start": 2, "end": 2, "tag": "unsafe"}]}, "0 <= start < end"),
        ({"note": "a\x00b"}, "NUL"),
        ({"sedonds": 4}, "sedonds"),
        ({"seconds": -1}, "seconds"),
    ]
    for said, why in refused:
        assert why in ann.submit(task, status=422, **said)["error"], said
    assert ann.get("/me")["judgements"] == 0


def test_undo_gives_the_task_back_and_edit_adds_a_revision(house: House, make_run: MakeRun, store: Store) -> None:
    make_run(tasks=1)
    ann = house("annotator")
    task = ann.next()
    first = ann.submit(task, (1, 2, 3))["judgement_id"]
    again = ann.post(f"/judgements/{first}/undo")["assignment"]
    assert again["id"] == task["id"] and again["state"] == "leased"
    assert again["before"]["ranks"] == [1, 2, 3] and again["draft"] is None
    assert again["idempotency_key"] != task["idempotency_key"]
    assert rankings(store) == [] and counts(store, ["round1-sample"]).submitted == 0
    assert ann.post(f"/judgements/{first}/undo")["assignment"] == again, "undone twice is undone once"
    assert house("annotator2").next() == "nothing-open", "the place is held by the lease"
    second = ann.submit(again, (3, 2, 1))["judgement_id"]
    edited = ann.done("PUT", f"/judgements/{second}", {"ranks": [2, 1, 3]})["judgement_id"]
    assert ann.done("PUT", f"/judgements/{second}", {"ranks": [2, 1, 3]})["judgement_id"] == edited
    assert ann.done("PUT", f"/judgements/{second}", {"ranks": [1, 1, 1]}, 409)["code"] == "conflict"
    assert ann.post(f"/judgements/{first}/undo")["assignment"]["state"] == "submitted"
    (found,) = rankings(store)
    assert found.judgement_id == edited
    all_of_it = house("owner").get(f"/judgements/{first}/revisions")
    assert [(each["revision"], each["withdrawn"]) for each in all_of_it] == [
        (1, False),
        (2, True),
        (3, False),
        (4, False),
    ]


def test_what_was_frozen_is_changed_no_more(house: House, make_run: MakeRun, store: Store) -> None:
    make_run(tasks=2)
    ann, owner = house("annotator"), house("owner")
    first = ann.submit(ann.next())["judgement_id"]
    rules = {"run_ids": ["round1-sample"]}
    assert owner.post("/datasets/preview", rules) == {"train": 1, "holdout": 0, "people": 1}
    dataset = owner.post("/datasets", rules, 201)
    assert owner.post("/datasets", rules, 201) == dataset, "the same content is the same version"
    for method, path, said in (("POST", "undo", None), ("PUT", "", {"ranks": [1, 1, 1]})):
        refused = ann.done(method, f"/judgements/{first}/{path}".rstrip("/"), said, 409)
        assert dataset["id"] in refused["error"]
    assert ann.get("/me/judgements")["items"][0]["frozen"]
    second = ann.submit(ann.next())["judgement_id"]
    ann.post(f"/judgements/{second}/undo")
    (line,) = owner.get(f"/datasets/{dataset['id']}/train")["items"]
    assert line["judgement_id"] == first
    whole = owner.call("GET", f"/datasets/{dataset['id']}/train/file")
    assert whole.text.count("\n") == 1 and "attachment" in whole.headers["content-disposition"]
    down = owner.get(f"/lineage?of=judgement:{first}")["down"]
    assert [child["id"] for child in down["children"]] == [dataset["id"]]
    assert [r.judgement_id for r in rankings(store, dataset=dataset["id"])] == [first]


def test_leases_expire_and_are_renewed(house: House, make_run: MakeRun, clock: Clock) -> None:
    make_run(tasks=1)
    ann, bob = house("annotator"), house("annotator2")
    task = ann.next()
    clock.advance(800)
    ann.post(f"/assignments/{task['id']}/renew")
    clock.advance(800)
    assert bob.next() == "nothing-open"
    clock.advance(200)
    taken = bob.next()
    assert taken["id"] != task["id"]
    assert ann.submit(task, status=409)["code"] == "lease-lost"
    assert ann.call("POST", f"/assignments/{task['id']}/renew").json()["code"] == "lease-lost"
    bob.post(f"/assignments/{taken['id']}/decline", {"reason": "cannot-judge"}, 204)
    assert bob.next() == "nothing-open", "who could not judge it is not asked again"
    assert ann.next()["id"] == task["id"]


def test_drafts_of_two_tabs(house: House, make_run: MakeRun) -> None:
    make_run(tasks=1)
    ann = house("annotator")
    path = f"/assignments/{ann.next()['id']}/draft"
    assert ann.done("PUT", path, {"version": 0, "content": {"ranks": [1]}}) == {"version": 1, "content": {"ranks": [1]}}
    assert ann.done("PUT", path, {"version": 0, "content": {"ranks": [1]}})["version"] == 1, "a retry is no conflict"
    other = ann.done("PUT", path, {"version": 0, "content": {"ranks": [2]}}, 409)
    assert other["draft"] == {"version": 1, "content": {"ranks": [1]}}
    assert ann.done("PUT", path, {"version": 1, "content": {"ranks": [2]}})["version"] == 2
    task = ann.next()
    assert task["draft"]["content"] == {"ranks": [2]}
    ann.submit(task)
    assert "submitted" in ann.done("PUT", path, {"version": 2, "content": {}}, 409)["error"]


def test_consent_training_and_qualification(house: House, make_run: MakeRun, store: Store) -> None:
    make_run(tasks=6, count=2)
    owner, ann = house("owner"), house("annotator")
    ask = {"title": "C", "run_ids": ["round1-sample"], "guidelines": "Read.", "consent": "We keep it.", "pass_share": 1}
    campaign = owner.post("/campaigns", ask, 201)["id"]
    for stage, first in (("training", 1), ("qualification", 3), ("qualification", 5)):
        gold = {"stage": stage, "completion_ids": [first, first + 1], "ranks": [2, 1], "explanation": "Because."}
        owner.post(f"/campaigns/{campaign}/gold", gold, 201)
    assert ann.next(campaign=campaign) == "consent-needed"
    (mine,) = [each for each in ann.get("/me/campaigns") if each["id"] == campaign]
    assert (mine["consent"]["text"], mine["consented"], mine["standing"]["stage"]) == ("We keep it.", False, "training")
    agree = {"consent_version": 1, "guidelines_version": 1}
    assert ann.post(f"/me/campaigns/{campaign}/consent", {**agree, "guidelines_version": 2}, 409)
    ann.post(f"/me/campaigns/{campaign}/consent", agree, 204)
    task = ann.next(campaign=campaign)
    assert task["kind"] == "training"
    right = right_order(store, task["id"])
    told = ann.submit(task, right)
    assert told["feedback"] == {"right": True, "expected_ranks": right, "explanation": "Because."}
    assert told["stage"] == "qualification"
    for more in (True, False):
        task = ann.next(campaign=campaign)
        assert task["kind"] == "qualification"
        told = ann.submit(task, right_order(store, task["id"]))
        assert told["feedback"] is None and told["stage"] == ("qualification" if more else "queue")
    assert ann.next(campaign=campaign)["kind"] == "normal"
    bob = house("annotator2")
    bob.post(f"/me/campaigns/{campaign}/consent", agree, 204)
    for _ in range(3):
        task = bob.next(campaign=campaign)
        told = bob.submit(task, [3 - rank for rank in right_order(store, task["id"])])
    assert told["stage"] == "failed" and bob.next(campaign=campaign) == "not-qualified"
    owner.done("PATCH", f"/campaigns/{campaign}", {"guidelines": "Read twice."})
    assert ann.next(campaign=campaign) == "consent-needed", "a new version asks anew"
    assert {ranking.person_id for ranking in rankings(store, ["round1-sample"])} == set(), "checks are no labels"


def right_order(store: Store, assignment_id: int) -> list[int]:
    """The answer to a gold task over two completions of which the second is the better, by slot."""
    from assent.store.tables import AssignmentRow

    with store.read() as session:
        order = session.get_one(AssignmentRow, assignment_id).order_shown
    return [1 if place == 1 else 2 for place in order]


def test_checks_are_hidden_among_the_tasks(house: House, make_run: MakeRun, store: Store) -> None:
    make_run(tasks=60, count=2)
    shares = {"gold_share": 0.2, "repeat_share": 0.2}
    owner, ann = house("owner"), house("annotator")
    campaign = owner.post("/campaigns", {"title": "C", "run_ids": ["round1-sample"], **shares}, 201)["id"]
    for first in range(1, 41, 2):
        gold = {"stage": "hidden", "completion_ids": [first, first + 1], "ranks": [1, 2]}
        owner.post(f"/campaigns/{campaign}/gold", gold, 201)
    kinds = set()
    for _ in range(60):
        task = ann.next(campaign=campaign)
        kinds.add((task["kind"], tuple(sorted(task))))
        ann.submit(task, (1, 2) if task["completions"][0]["text"] < task["completions"][1]["text"] else (2, 1))
    assert len(kinds) == 1, "a check looks like any other task"
    rows = owner.get("/judgements?limit=200")["items"]
    found = {purpose: [r for r in rows if r["purpose"] == purpose] for purpose in ("train", "gold", "repeat")}
    assert 4 <= len(found["gold"]) <= 20 and 4 <= len(found["repeat"]) <= 20
    shown = {tuple(row["completion_ids"]): row["order_shown"] for row in found["train"]}
    assert all(row["order_shown"] == shown[tuple(row["completion_ids"])][::-1] for row in found["repeat"])
    assert len(rankings(store, ["round1-sample"])) == len(found["train"]) == 60 - len(found["gold"] + found["repeat"])
    me = ann.get("/me")
    assert me["repeated_pairs"] == len(found["repeat"]) and me["self_consistency"] == 1.0


def test_a_floor_on_time(house: House, make_run: MakeRun, clock: Clock) -> None:
    make_run(tasks=1)
    ask = {"title": "Slow", "run_ids": ["round1-sample"], "floor_seconds": 10}
    house("owner").post("/campaigns", ask, 201)
    ann = house("annotator")
    task = ann.next()
    clock.advance(4)
    assert "6 seconds or later" in ann.submit(task, status=422, seconds=60)["hint"], "the server's clock counts too"
    clock.advance(30)
    assert "too quick" in ann.submit(task, status=422, seconds=2)["error"]
    ann.submit(task, seconds=20)


def test_who_labelled_does_not_compare_policies(house: House, make_run: MakeRun) -> None:
    make_run("round1-sample", tasks=1)
    make_run("round1-eval", tasks=2, purpose="evaluate", kind="eval", count=2)
    ann, bob = house("annotator"), house("annotator2")
    ann.submit(ann.next())
    assert ann.next() == "others-must"
    compared = bob.next()
    assert len(compared["completions"]) == 2
    bob.submit(compared)
    assert bob.next()["conversation"][0]["content"].startswith("round1-eval")


def test_groups_states_and_priorities(house: House, make_run: MakeRun, service: Service) -> None:
    make_run("a", tasks=1)
    owner, ann = house("owner"), house("annotator")
    campaign = owner.post("/campaigns", {"title": "German", "run_ids": ["a"], "groups": ["german"]}, 201)["id"]
    assert ann.next(campaign=campaign) == "not-for-you"
    assert campaign not in [each["id"] for each in ann.get("/me/campaigns")]
    owner.done("PATCH", f"/people/{ann.id}", {"groups": ["german", "law"]})
    owner.done("PATCH", f"/campaigns/{campaign}", {"state": "paused"})
    assert ann.next(campaign=campaign) == "paused"
    owner.done("PATCH", f"/campaigns/{campaign}", {"state": "open"})
    assert ann.next(campaign=campaign)["campaign"]["title"] == "German"
    owner.done("PATCH", f"/people/{ann.id}", {"state": "paused"})
    assert ann.call("GET", "/me").status_code == 401, "who is paused is signed out"
    assert create_campaign(service.store, owner_settings()) > campaign


def owner_settings() -> Any:
    from assent.store.campaigns import CampaignSettings

    return CampaignSettings("Another")


def test_nobody_judges_their_own_rewrite(house: House, make_run: MakeRun, store: Store) -> None:
    from sqlalchemy import update

    from assent.store.tables import CompletionRow

    make_run(tasks=1)
    ann, bob = house("annotator"), house("annotator2")
    (account,) = [each for each in house("owner").get("/people") if each["id"] == ann.id]
    with store.write() as session:
        session.execute(
            update(CompletionRow).where(CompletionRow.id == 1).values(policy_version=f"person:{account['person_id']}")
        )
    assert ann.next() == "nothing-open"
    assert len(bob.next()["completions"]) == 3


def test_erasing_a_person(house: House, make_run: MakeRun, store: Store) -> None:
    make_run(tasks=2, overlap=2)
    owner, ann, bob = house("owner"), house("annotator"), house("annotator2")
    for who in (ann, bob):
        who.submit(who.next(), note="my name is Ann", rewrite="mine")
    dataset = owner.post("/datasets", {"run_ids": ["round1-sample"]}, 201)["id"]
    assert owner.get(f"/people/{ann.id}/touched") == {"artifacts": [dataset]}
    assert owner.post(f"/people/{ann.id}/erase") == {"artifacts": [dataset], "judgements": 1}
    assert ann.call("GET", "/me").status_code == 401
    everything = str(owner.get("/judgements?limit=200")) + str(owner.get("/judgements/1/revisions"))
    assert "Annotator'" not in everything and everything.count("my name is Ann") == 1
    assert len(rankings(store)) == 1 and counts(store, ["round1-sample"]).submitted == 1
    assert house("annotator3").next()["id"], "the place is free again"
    assert owner.call("POST", f"/people/{owner.id}/erase").status_code == 409
    assert agreement_rows(store) == []
    assert len(rankings(store, dataset=dataset)) == 2, "a frozen version stays what it was"


def test_a_policy_may_write_any_character(store: Store, make_run: MakeRun) -> None:
    """Untrained ones do; PostgreSQL refuses NUL in a text."""
    make_run(tasks=1, count=2)
    prompt = get_tasks(store, "round1-sample")[0].task.prompt_id
    start_run(store, "round2-sample", "sample", 2, {})
    texts = ["a\0b", "\x01\x7f\ufffe\U0001f600\u202e"]
    wrote = [replace(each, text=text) for each, text in zip(rollouts_of(1, 2, "sft-2"), texts, strict=True)]
    for _ in range(2):  # the second time, it is there
        ids = add_completions(store, "round2-sample", [prompt], wrote, SamplingParams(1.0, 8))
    assert [each.text for each in get_completions(store, ids)] == ["a\ufffdb", texts[1]]


def test_a_ruling_decides_between_the_votes(house: House, make_run: MakeRun, store: Store) -> None:
    make_run(tasks=3, overlap=2, count=2)
    first, second, referee = house("annotator"), house("annotator2"), house("adjudicator")
    for _ in range(3):  # one prefers what comes first in the alphabet, the other what comes last
        for person, preferred in ((first, min), (second, max)):
            task = person.next()
            texts = [each["text"] for each in task["completions"]]
            person.submit(task, (1, 2) if texts[0] == preferred(texts) else (2, 1))
    disputed = [each.task_id for each in list_disputes(store, ["round1-sample"], 99)]
    assert disputed
    account = get_account(store, referee.id)
    _, number = open_ruling(store, disputed[0], account, 1)
    ruled = referee.submit(referee.get(f"/assignments/{number}"), (2, 1))["judgement_id"]
    rules = {"run_ids": ["round1-sample"], "minimum_votes": 2}
    owner = house("owner")
    votes = owner.post("/datasets", rules, 201)
    decided = owner.post("/datasets", {**rules, "disagreements": "ruling"}, 201)
    assert (votes["card"]["train"], decided["card"]["train"]) == (6, 5)
    assert decided["card"]["rulings"] == 1 and decided["card"]["rules"]["disagreements"] == "ruling"
    lines = owner.get(f"/datasets/{decided['id']}/train?limit=100")["items"]
    (ruling,) = [each for each in lines if each["judgement_id"] == ruled]
    same = [each for each in lines if each["completion_ids"] == ruling["completion_ids"]]
    assert same == [ruling], "it stands alone"
    assert (
        owner.post("/datasets", {**rules, "disagreements": "ruling", "without": [account.person_id]}, 201)["card"][
            "train"
        ]
        == 6
    )
    assert owner.call("POST", "/datasets", {**rules, "disagreements": "mine"}).status_code == 422
    assert referee.call("PUT", f"/judgements/{ruled}", {"ranks": [1, 1]}).status_code == 409, "it is frozen"


def test_what_was_given_back_is_taken_up_again(house: House, make_run: MakeRun, clock: Clock) -> None:
    make_run(tasks=1, count=2)
    ann, ben = house("annotator"), house("annotator2")
    task = ann.next()
    where = f"/assignments/{task['id']}"
    ann.post(f"{where}/decline", {"reason": "cannot-judge"}, 204)
    assert ann.next() == "nothing-open"
    again = ann.post(f"{where}/take-up")
    assert (again["id"], again["state"], again["completions"]) == (task["id"], "leased", task["completions"])
    assert ann.post(f"{where}/take-up")["state"] == "leased" and ben.next() == "nothing-open"
    ann.post(f"{where}/decline", {}, 204)
    theirs = ben.next()
    assert ann.call("POST", f"{where}/take-up").status_code == 409, "another one holds it"
    clock.advance(LEASE_SECONDS + 1)
    assert ann.post(f"{where}/take-up")["state"] == "leased", "who held it has let it run out"
    ann.submit(again)
    assert ann.call("POST", f"{where}/take-up").status_code == 409, "it is judged"
    assert ben.call("POST", f"{where}/take-up").status_code == 404
    assert ben.call("POST", f"/assignments/{theirs['id']}/take-up").status_code == 409
