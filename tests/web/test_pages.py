"""The pages of those who judge, without a browser: what stands in them, and who may see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from assent.types.feedback import Judgement, LabelKind
from assent.web.page import order_shown
from tests.web.people import House

MakeRun = Callable[..., list[int]]
PAGES = ("/", "/annotate", "/me", "/past", "/account")


def open_campaign(house: House, **more: Any) -> int:
    """A campaign with texts to agree to."""
    asked = {"title": "Pairs & more", "criteria": [{"name": "helpful", "guideline": "*Did* it help?"}], **more}
    texts = {"guidelines": "Prefer **short** answers.", "consent": "Your <b>judgements</b> are kept."}
    return int(house("owner").post("/campaigns", {**asked, **texts, "run_ids": ["round1-sample"]}, 201)["id"])


def test_html_comes_where_it_is_asked_for(house: House, make_run: MakeRun) -> None:
    make_run(tasks=1, count=2)
    ann = house("annotator")
    plain, rendered = ann.next(), ann.next(rendered=True)
    assert {each["html"] for each in plain["completions"]} == {None}
    assert [each["html"] for each in rendered["completions"]] == [
        f'<p dir="auto">{each["text"]}</p>\n' for each in rendered["completions"]
    ]
    assert rendered["conversation"][0]["html"].startswith('<p dir="auto">')
    assert ann.get(f"/assignments/{plain['id']}?rendered=true")["completions"] == rendered["completions"]
    done = ann.submit(plain)["judgement_id"]
    assert ann.get(f"/me/judgements/{done}?rendered=true")["assignment"]["completions"] == rendered["completions"]
    undone = ann.done("POST", f"/judgements/{done}/undo?rendered=true")
    assert undone["assignment"]["completions"] == rendered["completions"]


def test_differences_between_two_slots(house: House, make_run: MakeRun) -> None:
    make_run(tasks=1, count=2)
    ann = house("annotator")
    task = ann.next()
    found = ann.get(f"/assignments/{task['id']}/difference?left=0&right=1")
    assert "<del>" in found["left"] and "<ins>" in found["right"]
    assert ann.call("GET", f"/assignments/{task['id']}/difference?left=0&right=5").status_code == 422
    assert house("annotator2").call("GET", f"/assignments/{task['id']}/difference").status_code == 404


def test_the_token_of_a_session_is_told_to_its_own_page_alone(house: House) -> None:
    ann = house("annotator")
    assert ann.get("/me")["csrf"] == ann.headers["X-CSRF-Token"]


def test_consent_is_asked_for_before_the_first_task(house: House, make_run: MakeRun) -> None:
    make_run()
    campaign = open_campaign(house)
    client, ann = house("annotator").client, house("annotator")
    assert client.get(f"/annotate?campaign={campaign}").headers["location"] == f"/consent/{campaign}"
    shown = client.get(f"/consent/{campaign}").text
    assert (
        "<strong>short</strong>" in shown and "&lt;b&gt;judgements&lt;/b&gt;" in shown and "Pairs &amp; more" in shown
    )
    token = ann.headers["X-CSRF-Token"]
    said = {"csrf": token, "consent_version": 1, "guidelines_version": 1}
    assert client.post(f"/consent/{campaign}", data=said).status_code == 409, "the box is not ticked"
    stale = {**said, "agree": "yes", "consent_version": 0}
    assert client.post(f"/consent/{campaign}", data=stale).status_code == 409, "another text was agreed to"
    assert client.post(f"/consent/{campaign}", data={**said, "agree": "yes", "csrf": "x"}).status_code == 403
    answer = client.post(f"/consent/{campaign}", data={**said, "agree": "yes"})
    assert answer.headers["location"] == f"/annotate?campaign={campaign}"
    assert 'id="judging"' in client.get(f"/annotate?campaign={campaign}").text


@pytest.mark.parametrize("path", [*PAGES, "/consent/1", "/guidelines/1", "/qualification/1"])
def test_every_page_comes_up_for_every_role_that_may_judge(house: House, make_run: MakeRun, path: str) -> None:
    make_run()
    open_campaign(house)
    for role in ("annotator", "owner", "manager", "adjudicator"):
        answer = house(role).client.get(path)
        assert answer.status_code in (200, 303), f"{role} {path}: {answer.text[:500]}"
    reader = house("read-only").client.get(path).status_code
    assert reader == (200 if path in ("/", "/account") else 403)
    assert house.client().get(path, headers={"Accept": "text/html"}).headers["location"].startswith("/sign-in")


def test_a_campaign_of_another_group_is_not_there(house: House, make_run: MakeRun) -> None:
    make_run()
    campaign = open_campaign(house, groups=["nurses"])
    client = house("annotator").client
    assert "Pairs &amp; more" not in client.get("/").text
    for path in (f"/consent/{campaign}", f"/guidelines/{campaign}", f"/annotate?campaign={campaign}"):
        assert client.get(path).status_code == 404


def test_past_judgements_page_by_page(house: House, make_run: MakeRun) -> None:
    make_run(tasks=43, count=2)
    ann = house("annotator")
    for _ in range(43):
        ann.submit(ann.next(), (2, 1))
    first = ann.client.get("/past").text
    assert first.count("2 &gt; 1") == 40
    older = first.split('href="/past?before=')[1].split('"')[0]
    assert ann.client.get(f"/past?before={older}").text.count("2 &gt; 1") == 3


def test_static_files_are_asked_for_again_when_they_change(house: House) -> None:
    answer = house("annotator").client.get("/static/style.css")
    assert answer.headers["Cache-Control"] == "no-cache" and answer.headers["etag"]


def test_an_order_is_written_by_the_numbers_that_were_shown() -> None:
    assert order_shown(Judgement((1, 2), (0, 1))) == "1 > 2"
    assert order_shown(Judgement((1, 2), (1, 0))) == "2 > 1"
    assert order_shown(Judgement((3, 1, 1), (2, 0, 1))) == "1 = 3 > 2"
    assert order_shown(Judgement((2, 1, 2), (0, 1, 2), LabelKind.BEST_OF_K)) == "2"
