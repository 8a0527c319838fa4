"""Hostile texts that come in files of other tools: nothing of them runs on the pages that show what was imported."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import select

from assent.store import Store, Workspace, list_runs
from assent.store.sessions import make_link
from assent.store.tables import JudgementRow, PersonRow, TaskRow
from tests.browser.conftest import Arrive, Person
from tests.browser.server import Server
from tests.browser.test_hostile_texts import WATCH, hurt
from tests.command_line import assent
from tests.web.xss_corpus import CORPUS

# NUL and half characters are refused when a file is read.
HOSTILE = [payload.replace("\0", "").encode(errors="ignore").decode() for payload in CORPUS]
FILE = "\"'><img src=x onerror=window.hurt=1><script>window.hurt=1<"  # a file's name is that of who judged


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def turns(*contents: str) -> list[dict[str, str]]:
    return [said(role, content) for role, content in zip(("user", "assistant"), contents, strict=False)]


def preference(prompt: str, one: str, other: str) -> dict[str, Any]:
    return {"prompt": prompt, "chosen": one, "rejected": other}


def implicit(prompt: str, one: str, other: str) -> dict[str, Any]:
    return {"chosen": turns(prompt, one), "rejected": turns(prompt, other)}


def hh_rlhf(prompt: str, one: str, other: str) -> dict[str, Any]:
    start = f"\n\nHuman: {prompt}\n\nAssistant: "
    return {"chosen": start + one, "rejected": start + other}


def binarized(prompt: str, one: str, other: str) -> dict[str, Any]:
    return {"prompt": prompt, **implicit(prompt, one, other), "score_chosen": 8.0, "score_rejected": 4.0}


def ultrafeedback(prompt: str, one: str, other: str) -> dict[str, Any]:
    rated = {"annotations": {prompt: {"Rating": "3"}}}
    written = [{"response": one, "model": other, "overall_score": 8}, {"response": other, "overall_score": 4}]
    return {"instruction": prompt, "completions": [{**each, **rated} for each in written]}


def argilla(prompt: str, one: str, other: str) -> dict[str, Any]:
    fields = {"prompt": prompt, "response_1": one, "response_2": other}
    ranked = {"user_id": prompt, "value": ["response_2", "response_1"]}
    return {"fields": fields, "responses": {other: [ranked]}}


def label_studio(prompt: str, one: str, other: str) -> dict[str, Any]:
    result = [
        {"type": "pairwise", "to_name": "answer1,answer2", "value": {"selected": "right"}},
        {"type": "textarea", "value": {"text": [prompt]}},
    ]
    by = {"id": 3, "email": other}
    return {
        "data": {"prompt": prompt, "answer1": one, "answer2": other},
        "annotations": [{"completed_by": by, "result": result}],
    }


def raw(prompt: str, one: str, other: str) -> dict[str, Any]:
    written = {
        "token_ids": [1],
        "group_index": 0,
        "sample_index": 0,
        "finish_reason": "stop",
        "policy_version": other,
        "sampling": {},
    }
    judgement = {
        "ranks": [1, 2],
        "order_shown": [1, 0],
        "marks": [{prompt: 0.5}, {prompt: 1.0}],
        "flags": [prompt],
        "note": one,
        "seconds": 1.0,
        "strength": "",
        "all_bad": False,
        "reasons": [other],
        "spans": [{"completion": 0, "start": 0, "end": 1, "tag": one}],
        "rewrite": prompt,
        "leased_at": None,
        "submitted_at": None,
    }
    return {
        "assent": "judgement/2",
        "run": {"id": prompt, "kind": "sample", "round": 1},
        "task": {"number": 0, "label": "ranking", "purpose": "train", "overlap": 1, "priority": 0},
        "prompt": {"messages": turns(prompt), "split": "train", "meta": {one: other}},
        "completions": [{**written, "text": one}, {**written, "text": other}],
        "person": {"name": other, "kind": "human", "profile": {one: prompt}},
        "judgement": judgement,
    }


SHAPES: dict[str, Callable[[str, str, str], dict[str, Any]]] = {
    "preference": preference,
    "preference-implicit": implicit,
    "hh-rlhf": hh_rlhf,
    "ultrafeedback-binarized": binarized,
    "ultrafeedback": ultrafeedback,
    "argilla": argilla,
    "label-studio": label_studio,
    "raw": raw,
}


def rows_of(shape: str) -> list[dict[str, Any]]:
    """Every hostile text in every field of a shape that takes text."""
    texts = HOSTILE
    rows = [SHAPES[shape](texts[i], texts[i - 1], texts[i - 2]) for i in range(0, len(texts))]
    for number, row in enumerate(rows):
        if shape == "raw":
            row["task"]["number"] = number
    return rows


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("imported")
    workspace = Workspace.create(folder / "w", 'task = "household"\n')
    for shape in SHAPES:
        file = folder / f"{FILE}{shape}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows_of(shape)), encoding="utf-8")
        done = assent("import", file, "--format", shape, "--kind", "human", "--json", cwd=workspace.path)
        assert done.code == 0, done.err
        assert done.json["judgements"] == len(HOSTILE) and not done.json["left_out"]
    server = Server(workspace)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def ada(imported: Server, person: Arrive) -> Person:
    """The owner, watched."""
    with imported.workspace.open_store() as store:
        token = make_link(store, "owner")
        count = len(store_ids(store, PersonRow.id))
    someone = person(imported)
    someone.context.add_init_script(WATCH)
    someone.come_in(token, f"Ada {count}")
    return someone


def store_ids(store: Store, column: Any) -> Sequence[int]:
    with store.read() as session:
        return session.scalars(select(column).order_by(column)).all()


def unharmed(ada: Person, paths: Sequence[str]) -> None:
    """Nothing ran on these pages, nothing was refused by the policy alone, and nothing was asked of others."""
    for path in paths:
        answer = ada.page.goto(ada.url + path, wait_until="load")
        assert answer is not None and answer.ok, path
        assert hurt(ada.page) == [None, []], path
    assert ada.elsewhere == [] and ada.errors == []


def every_page(server: Server, step: int) -> list[str]:
    """The pages on which imported texts stand; of those that show one task, judgement or person each `step`th."""
    with server.workspace.open_store() as store:
        tasks, people = store_ids(store, TaskRow.id), store_ids(store, PersonRow.id)
        judgements, runs = store_ids(store, JudgementRow.id), [run.id for run in list_runs(store)]
    fixed = ["/loop", "/campaigns", "/campaigns/new", "/data", "/quality", "/people", "/bias", "/datasets"]
    fixed += ["/lineage", "/lineage/errors", "/runs", "/audit", "/access"]
    fixed += [f"/lineage?of=judgement:{number}" for number in judgements[:: 3 * step]]
    fixed += [f"/people/{number}" for number in people[:: 3 * step]]
    return fixed + [f"/lineage/task/{number}" for number in tasks[::step]] + [f"/runs/{run}" for run in runs[:20]]


def test_some_pages_of_what_was_imported(imported: Server, ada: Person) -> None:
    unharmed(ada, every_page(imported, 41))  # an odd number: all shapes, and not the same texts of each


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_page_of_what_was_imported(imported: Server, ada: Person) -> None:
    unharmed(ada, every_page(imported, 1))


def test_imported_texts_that_are_judged_anew(imported: Server, ada: Person) -> None:
    """Six at a time, in a campaign made of what was imported."""
    page = ada.page
    page.goto(f"{imported.url}/campaigns/new")
    page.get_by_label("Title").fill(HOSTILE[0])
    page.get_by_role("button", name="Open the campaign").click()
    page.get_by_text("The campaign is open.").wait_for()
    page.get_by_role("button", name="Make them").click()
    page.get_by_text("The tasks are made").wait_for()
    address = f"{imported.url}/annotate?campaign={page.url.rpartition('/')[2].partition('?')[0]}"
    page.goto(address)
    for _ in range(12):
        ada.wait_for_task()
        before = page.locator("#judging").inner_text()
        page.locator(".answer").last.hover()
        assert hurt(page) == [None, []]
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        page.wait_for_function("before => document.querySelector('#judging').innerText !== before", arg=before)
    assert ada.elsewhere == [] and ada.errors == []
