"""People judge in a real browser: by keyboard alone, by pointer alone, on a phone; and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from assent.store.tables import JudgementRow
from assent.types.feedback import Judgement
from tests.browser.conftest import Person
from tests.browser.server import Server
from tests.browser.world import World, open_store

Serve = Callable[..., tuple[World, Server]]
Arrive = Callable[..., Person]
Keep = Callable[..., None]


def judgements(world: World) -> list[Judgement]:
    """All that are in the store, in order of entry."""
    from assent.store.judgements import judgement_of

    with open_store(world.workspace) as store, store.read() as session:
        return [judgement_of(row) for row in session.scalars(select(JudgementRow).order_by(JudgementRow.id))]


def by_slot(judgement: Judgement) -> list[int]:
    """The ranks in the order in which the completions were shown."""
    return [judgement.ranks[place] for place in judgement.order_shown]


def until(page: Any, world: World, count: int) -> list[Judgement]:
    """The judgements once there are so many."""
    for _ in range(100):
        found = judgements(world)
        if len(found) >= count:
            return found
        page.wait_for_timeout(100)
    raise AssertionError(f"only {len(judgements(world))} of {count} judgements")


def test_the_whole_way_by_keyboard_alone(serve: Serve, person: Arrive, picture: Keep) -> None:
    world, server = serve(sizes=(2, 2, 4))
    mira = person(server)
    page, keys = mira.page, mira.page.keyboard
    page.goto(f"{server.url}/link/{world.tokens['annotator']}")
    picture(page, "link")
    page.get_by_label("Your name").focus()
    keys.type("Mira")
    keys.press("Tab")
    keys.type("mira")
    keys.press("Enter")
    page.wait_for_url(f"{server.url}/")
    picture(page, "home")
    page.get_by_role("link", name="Begin").focus()
    keys.press("Enter")
    page.wait_for_url("**/consent/*")
    picture(page, "consent", True)
    page.get_by_role("checkbox").focus()
    keys.press("Space")
    keys.press("Enter")

    mira.wait_for_task()  # training, with feedback
    assert page.locator("[data-part=title]").inner_text().startswith("Training")
    picture(page, "training")
    keys.press("1")
    keys.press("Enter")
    page.wait_for_selector(".verdict")
    picture(page, "verdict")
    keys.press("Enter")
    mira.wait_for_task()  # qualification
    shown = page.locator(".answer-body").all_inner_texts()
    keys.press("1" if "millilitres" in shown[0] else "2")
    keys.press("Enter")
    page.wait_for_url("**/qualification/*")
    picture(page, "qualification")
    if page.get_by_role("heading", name="Not this time").count():
        pytest.fail("the qualification was not passed: see the world's expected ranks")
    page.get_by_role("link", name="To the tasks").focus()
    keys.press("Enter")

    mira.wait_for_task()
    before = mira.asked()
    keys.press("Shift+Digit2")
    keys.press("Enter")
    page.wait_for_function(
        "before => document.querySelector('.turn.last .turn-body')?.innerText !== before", arg=before
    )
    keys.press("0")
    keys.press("n")
    keys.type("1 as good as 2")  # digits in a note choose nothing
    keys.press("Escape")
    keys.press("b")
    keys.press("Enter")
    page.wait_for_selector(".answers.k-4")
    for key in ("3", "=", "1", "2"):
        keys.press(key)
    keys.press("Backspace")
    keys.press("4")
    keys.press("2")
    picture(page, "four")
    keys.press("Enter")
    page.wait_for_selector("text=Nothing to judge")
    picture(page, "nothing")
    found = until(page, world, 5)[2:]
    assert [by_slot(each) for each in found] == [[2, 1], [1, 1], [1, 4, 1, 3]]
    assert [each.strength for each in found] == ["strong", "", ""]
    assert found[1].note == "1 as good as 2" and found[1].all_bad
    assert mira.errors == [] and mira.elsewhere == []


def test_nothing_is_chosen_before_a_person_chooses(serve: Serve, person: Arrive) -> None:
    world, server = serve(sizes=(2, 4), checks=False)
    mira = person(server)
    mira.come_in(world.tokens["annotator"])
    mira.agree()
    for _ in range(2):
        assert mira.page.locator("[data-choice][aria-pressed=true], .answer.best, .rating :checked").count() == 0
        mira.page.keyboard.press("Enter")
        mira.page.wait_for_timeout(300)
        assert judgements(world) == [] or len(judgements(world)) == 1
        mira.page.keyboard.press("1")
        mira.page.keyboard.press("Enter")
        mira.page.wait_for_selector(".answers.k-4")
