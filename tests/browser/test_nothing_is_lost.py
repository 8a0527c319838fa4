"""Whatever happens to the server, the window or the session: what a person typed or submitted is there, once."""

from __future__ import annotations

import pytest

from assent.store.sessions import make_link
from tests.browser.conftest import Arrive, Keep, Person, Serve
from tests.browser.world import World, by_slot, judgements, open_store, until

NOTE = "the second one forgets the water, “mostly” – عربي"


@pytest.fixture
def begun(serve: Serve, person: Arrive) -> tuple[World, Person]:
    """Someone with a task before them."""
    return _begin(serve, person)


@pytest.fixture
def mortal(serve: Serve, person: Arrive) -> tuple[World, Person]:
    """The same, with a server that can be killed."""
    return _begin(serve, person, own_process=True)


def _begin(serve: Serve, person: Arrive, own_process: bool = False) -> tuple[World, Person]:
    world, server = serve(own_process, sizes=(2, 2, 4), checks=False)
    mira = person(server)
    mira.come_in(world.tokens["annotator"])
    mira.agree()
    return world, mira


def test_a_draft_outlives_a_killed_server_and_a_reload(
    mortal: tuple[World, Person], serve: Serve, picture: Keep
) -> None:
    world, mira = mortal
    page = mira.page
    server = serve.servers[0]
    page.keyboard.press("1")
    page.wait_for_selector("[data-saving=saved]")
    server.kill()
    page.get_by_label("Note").fill(NOTE)
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-saving=offline]")
    assert page.locator("[data-part=trouble]").inner_text().startswith("The server cannot be reached")
    picture(page, "offline")
    server.start()
    mira.try_now()
    page.wait_for_selector("[data-saving=saved]")
    assert page.locator("[data-part=trouble]").is_hidden()
    page.reload()
    mira.wait_for_task()
    assert page.get_by_label("Note").input_value() == NOTE
    page.wait_for_timeout(400)  # Enter at once would be taken for one that was meant for a task before
    page.keyboard.press("Enter")
    found = until(page, world, 1)
    assert found[0].note == NOTE and by_slot(found[0]) == [1, 2] and found[0].strength == "slight"


def test_judgements_given_while_the_server_is_away_come_in_once_each(
    mortal: tuple[World, Person], serve: Serve
) -> None:
    world, mira = mortal
    page = mira.page
    page.wait_for_function(
        "() => performance.getEntriesByName(location.origin + '/api/v1/assignments/next').length >= 2"
    )
    first = mira.asked()
    serve.servers[0].kill()
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    mira.wait_for_other(first)  # the next task was there already
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=2 judgements waiting")
    assert judgements(world) == []
    serve.servers[0].start()
    mira.try_now()
    page.wait_for_selector(".answers.k-4")
    assert [by_slot(each) for each in until(page, world, 2)] == [[2, 1], [1, 2]]
    page.wait_for_timeout(1500)
    assert len(judgements(world)) == 2


def test_an_answer_that_was_lost_on_its_way_is_asked_for_again(begun: tuple[World, Person]) -> None:
    world, mira = begun
    page = mira.page
    lost: list[int] = []

    def lose(route: object) -> None:
        if len(lost) < 2:  # the server records it, and the browser never hears of it
            lost.append(route.fetch().status)  # type: ignore[attr-defined]
            route.abort()  # type: ignore[attr-defined]
        else:
            route.continue_()  # type: ignore[attr-defined]

    page.route("**/submit", lose)
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.wait_for_function("() => Object.keys(localStorage).every(name => !name.startsWith('assent:outbox'))")
    assert lost == [200, 200]
    assert len(judgements(world)) == 1


def test_a_reload_in_mid_flight_sends_what_waits(begun: tuple[World, Person]) -> None:
    world, mira = begun
    page = mira.page
    page.route("**/submit", lambda route: route.abort())
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    page.wait_for_function("() => Object.keys(localStorage).some(name => name.startsWith('assent:outbox'))")
    page.unroute("**/submit")
    page.reload()
    mira.wait_for_task()
    assert by_slot(until(page, world, 1)[0]) == [2, 1]


def test_two_windows_conflict_visibly(begun: tuple[World, Person], picture: Keep) -> None:
    _, mira = begun
    other = mira.context.new_page()
    other.goto(mira.page.url)
    other.wait_for_selector(".answer")
    mira.page.get_by_label("Note").fill("from the first window")
    mira.page.wait_for_selector("[data-saving=saved]")
    other.get_by_label("Note").fill("from the second window")
    other.wait_for_selector("#conflict[open]")
    picture(other, "conflict")
    assert "from the first window" in other.locator("[data-part=theirs]").inner_text()
    other.get_by_role("button", name="Take that one").click()
    assert other.get_by_label("Note").input_value() == "from the first window"
    other.get_by_label("Note").fill("from the second window after all")
    other.wait_for_selector("[data-saving=saved]")
    mira.page.get_by_label("Note").fill("from the first again")
    mira.page.wait_for_selector("#conflict[open]")
    mira.page.get_by_role("button", name="Keep this one").click()
    mira.page.wait_for_selector("[data-saving=saved]")
    mira.page.reload()
    mira.wait_for_task()
    assert mira.page.get_by_label("Note").input_value() == "from the first again"


def test_a_task_judged_in_another_window_is_left(begun: tuple[World, Person]) -> None:
    world, mira = begun
    other = mira.context.new_page()
    other.goto(mira.page.url)
    other.wait_for_selector(".answer")
    before = mira.asked()
    other.keyboard.press("1")
    other.keyboard.press("Enter")
    mira.wait_for_other(before)
    assert len(until(mira.page, world, 1)) == 1


def test_another_device_goes_on_with_the_draft(begun: tuple[World, Person], person: Arrive, serve: Serve) -> None:
    world, mira = begun
    mira.page.get_by_label("Note").fill(NOTE)
    mira.page.wait_for_selector("[data-saving=saved]")
    with open_store(world.workspace) as store:
        token = make_link(
            store, "annotator", account_id=int(mira.page.locator("body").get_attribute("data-person") or 0)
        )
    phone = person(serve.servers[0])
    phone.page.goto(f"{phone.url}/link/{token}")
    phone.page.get_by_role("button", name="Come in").click()
    phone.page.wait_for_url(f"{phone.url}/")
    phone.page.goto(mira.page.url)
    phone.wait_for_task()
    assert phone.page.get_by_label("Note").input_value() == NOTE


def test_signing_in_again_elsewhere_goes_on(begun: tuple[World, Person]) -> None:
    world, mira = begun
    account = int(mira.page.locator("body").get_attribute("data-person") or 0)
    mira.context.clear_cookies()
    mira.page.keyboard.press("1")
    mira.page.wait_for_selector("text=You are signed out")
    with open_store(world.workspace) as store:
        token = make_link(store, "annotator", account_id=account)
    other = mira.context.new_page()
    other.goto(f"{mira.url}/link/{token}")
    other.get_by_role("button", name="Come in").click()
    other.wait_for_url(f"{mira.url}/")
    mira.page.wait_for_selector("[data-saving=saved]")
    mira.page.keyboard.press("Enter")
    assert by_slot(until(mira.page, world, 1)[0]) == [1, 2]
