"""Every page can be used by everybody (axe finds nothing), in light and dark, wide and on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Arrive, Keep, Person, Serve

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LOOK = 500  # ms in which a person looks at a task; in the first 300 some keys are not taken
WIDE = {"viewport": {"width": 1400, "height": 900}}
LOOKS = [
    pytest.param({**WIDE, "color_scheme": "light"}, id="light"),
    pytest.param({**WIDE, "color_scheme": "dark", "reduced_motion": "reduce"}, id="dark"),
    pytest.param({**PHONE, "color_scheme": "light"}, id="phone"),
    pytest.param({**PHONE, "color_scheme": "dark"}, id="phone-dark"),
]


def findings(page: Page) -> list[str]:
    """What axe finds on a page: rule, how grave, and where."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    # What is still fading in has another contrast than it will have.
    page.evaluate("Promise.all(document.getAnimations().map(each => each.finished)).then(() => true)")
    found: list[dict[str, Any]] = page.evaluate("axe.run({resultTypes: ['violations']}).then(r => r.violations)")
    return [f"{each['id']} ({each['impact']}): {each['nodes'][0]['html'][:200]}" for each in found]


def sideways(page: Page) -> int:
    """How many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_on_any_page(
    serve: Serve, person: Arrive, picture: Keep, look: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    world, server = serve(sizes=(2, 4, 2))
    mira = person(server, **look)
    page, keys = mira.page, mira.page.keyboard
    found: dict[str, list[str]] = {}
    name = request.node.callspec.id

    def look_at(what: str) -> None:
        picture(page, f"{name}-{what}", whole=True)
        found[what] = findings(page) + ([f"{sideways(page)} pixels too wide"] if sideways(page) else [])
        print(what, found[what])

    page.goto(f"{server.url}/sign-in")
    look_at("sign-in")
    page.goto(f"{server.url}/link/{world.tokens['annotator']}")
    look_at("link")
    mira.come_in(world.tokens["annotator"])
    look_at("home")
    page.get_by_role("link", name="Begin").click()
    look_at("consent")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Agree and begin").click()
    mira.wait_for_task()
    look_at("training")
    keys.press("2")
    keys.press("Enter")
    page.wait_for_selector(".verdict")
    look_at("verdict")
    training = mira.asked()
    keys.press("Enter")
    mira.wait_for_other(training)
    keys.press(str(mira.better(world.qualifying)))
    keys.press("Enter")
    page.wait_for_url("**/qualification/*")
    look_at("qualification")
    page.get_by_role("link", name="To the tasks").click()
    mira.wait_for_task()
    _dialogs(mira, look_at)
    keys.press("Shift+Digit1")
    page.get_by_label("helpful, answer 1: 4 of 5").check(force=True)
    page.get_by_role("button", name="off topic").click()
    keys.press("d")
    page.wait_for_selector(".answer-body ins")
    look_at("differences")
    keys.press("d")
    keys.press("s")
    page.wait_for_selector(".answers.k-4")
    page.wait_for_timeout(LOOK)
    keys.press("3")
    keys.press("=")
    look_at("four")
    for key in ("1", "2", "4", "Enter"):
        keys.press(key)
    page.wait_for_selector(".answers.k-2")
    page.wait_for_timeout(LOOK)
    keys.press("1")
    keys.press("Enter")
    page.wait_for_selector("text=Nothing to judge")
    look_at("nothing")
    for path in ("me", "past", "account", f"guidelines/{world.campaign}", "no-such-page"):
        page.goto(f"{server.url}/{path}")
        look_at(path.split("/")[0])
    assert {what: said for what, said in found.items() if said} == {}
    assert len(found) >= 16


def _dialogs(mira: Person, look_at: Any) -> None:
    for key, name in (("?", "keys"), ("g", "guidelines-dialog"), ("r", "rewrite")):
        mira.page.keyboard.press(key)
        look_at(name)
        mira.page.keyboard.press("Escape")


def test_axe_would_find_something(serve: Serve, person: Arrive) -> None:
    _, server = serve(sizes=(2,), checks=False)
    page = person(server).page
    page.goto(f"{server.url}/sign-in")
    page.evaluate("document.querySelector('label').remove()")
    assert any(said.startswith("label (critical)") for said in findings(page))


def test_the_theme_is_chosen_and_kept(serve: Serve, person: Arrive) -> None:
    _, server = serve(sizes=(2,), checks=False)
    page = person(server, color_scheme="light").page
    paper = "getComputedStyle(document.body).backgroundColor"
    page.goto(f"{server.url}/sign-in")
    light = page.evaluate(paper)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(paper)
    assert light != dark
    page.locator(".menu > summary").click()
    for said in ("Theme: light", "Theme: dark"):
        page.locator("[data-theme-switch]").click()
        assert page.locator("[data-theme-switch]").inner_text() == said
        page.reload()
        assert page.evaluate(paper) == (light if said.endswith("light") else dark)
        page.locator(".menu > summary").click()


def test_the_focus_is_seen_everywhere(serve: Serve, person: Arrive) -> None:
    world, server = serve(sizes=(2,), checks=False)
    mira = person(server)
    mira.come_in(world.tokens["annotator"])
    mira.agree()
    seen = set()
    for _ in range(60):
        mira.page.keyboard.press("Tab")
        shown = mira.page.evaluate(
            """() => { const at = document.activeElement, box = at.closest('.dots label') ?? at;
               return [at.tagName + (at.textContent || at.ariaLabel), getComputedStyle(box).outlineStyle,
                       parseFloat(getComputedStyle(box).outlineWidth)]; }"""
        )
        if shown[0].startswith("BODY"):
            continue
        seen.add(shown[0])
        assert shown[1] != "none" and shown[2] >= 2, shown
    assert len(seen) > 25
