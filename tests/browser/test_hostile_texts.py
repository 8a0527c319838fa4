"""Hostile texts wherever people or models write: nothing runs, and nothing is asked of other machines."""

from __future__ import annotations

from assent.store.campaigns import CampaignSettings, Criterion
from assent.store.sessions import make_link
from tests.browser.conftest import Arrive, Serve
from tests.browser.world import open_store, until
from tests.web.xss_corpus import CORPUS

WATCH = """
  window.broken = [];
  document.addEventListener('securitypolicyviolation', event => window.broken.push(event.violatedDirective));
  window.alert = () => { window.hurt = 1; };
"""
AT_ONCE = 6


def hurt(page: object) -> object:
    """What ran, or would have, were it not for the content security policy."""
    return page.evaluate("[window.hurt ?? null, window.broken]")  # type: ignore[attr-defined]


def test_in_completions_prompts_and_differences(serve: Serve, person: Arrive) -> None:
    tasks = -(-len(CORPUS) // AT_ONCE)
    questions = [CORPUS[(AT_ONCE * i + 3) % len(CORPUS)] for i in range(tasks + 2)]
    world, server = serve(sizes=(AT_ONCE,) * tasks, checks=False, texts=CORPUS, questions=questions, step=AT_ONCE)
    mira = person(server)
    mira.context.add_init_script(WATCH)
    mira.come_in(world.tokens["annotator"])
    mira.agree()
    page, seen = mira.page, set()
    for _ in range(4 * tasks):  # a key is not taken while the page still sends what came before
        if page.locator(".empty h2").is_visible():
            break
        task = page.locator("#answer-0").evaluate("() => document.querySelector('[data-part=task]').innerText")
        seen.add(task)
        page.keyboard.press("p")
        page.keyboard.press("d")
        page.wait_for_selector(".answer-body ins, .answer-body del", state="attached")
        page.keyboard.press("d")
        page.locator(".answer").last.hover()
        assert hurt(page) == [None, []]
        page.keyboard.press("s")
        page.wait_for_timeout(400)
    assert page.get_by_text("Nothing to judge").count() == 1
    assert len(seen) >= tasks
    assert mira.elsewhere == []
    assert [error for error in mira.errors if "dialog" in error or "Refused" in error] == []


def test_in_everything_else(serve: Serve, person: Arrive) -> None:
    lines = "\n\n".join(CORPUS)
    asked = CampaignSettings(
        CORPUS[0][:190],
        tuple(Criterion(payload[:60], payload) for payload in CORPUS[17:21]),
        tuple(payload[:60] for payload in CORPUS[21:31]),
        tuple(payload[:60] for payload in CORPUS[31:41]),
    )
    texts = ("<b>one</b>", "two")
    world, server = serve(
        sizes=(2, 2), texts=texts, settings=asked, guidelines=lines, consent=lines, explanation=CORPUS[0]
    )
    mira = person(server)
    page = mira.page
    mira.context.add_init_script(WATCH)
    page.goto(f"{server.url}/link/{world.tokens['annotator']}")
    page.get_by_label("Your name").fill(CORPUS[18])
    page.get_by_label("Login name").fill(CORPUS[11])
    page.get_by_role("button", name="Come in").click()
    page.wait_for_url(f"{server.url}/")
    assert hurt(page) == [None, []]
    assert page.locator("h1 bdi").inner_text() == CORPUS[18]
    page.get_by_role("link", name="Begin").click()
    assert hurt(page) == [None, []]
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Agree and begin").click()
    mira.wait_for_task()
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.wait_for_selector(".verdict")
    assert hurt(page) == [None, []]
    training = mira.asked()
    page.keyboard.press("Enter")
    mira.wait_for_other(training)
    note = lines.replace("\0", "")
    page.get_by_label("Note").fill(note)
    page.locator("[data-list=reasons]").first.click()
    page.locator("[data-list=flags]").first.click()
    page.keyboard.press("g")
    assert hurt(page) == [None, []]
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    until(page, world, 2)
    page.wait_for_timeout(500)
    for path in ("past", "me", "account", f"guidelines/{world.campaign}", "annotate?campaign=1", "%3Cscript%3Ehurt=1"):
        page.goto(f"{server.url}/{path}")
        page.wait_for_timeout(200)
        assert hurt(page) == [None, []]
    assert mira.elsewhere == []


def test_in_names_of_people(serve: Serve, person: Arrive) -> None:
    world, server = serve(sizes=(2,), checks=False)
    mira = person(server)
    mira.context.add_init_script(WATCH)
    for payload in CORPUS[:40:4]:
        with open_store(world.workspace) as store:
            token = make_link(store, "annotator")
        mira.context.clear_cookies()
        mira.come_in(token, payload.replace("\n", " "))
        assert hurt(mira.page) == [None, []]
    assert mira.elsewhere == []


def test_the_watch_would_see_it(serve: Serve, person: Arrive) -> None:
    _, server = serve(sizes=(2,), checks=False)
    mira = person(server)
    mira.context.add_init_script(WATCH)
    mira.page.goto(f"{server.url}/sign-in")
    mira.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=https://evil.invalid/x onerror=hurt=1>')"
    )
    mira.page.wait_for_timeout(300)
    assert len(mira.page.evaluate("window.broken")) >= 1
