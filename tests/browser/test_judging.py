"""People judge in a real browser: by keyboard alone, by pointer alone, on a phone; and nothing is lost."""

from __future__ import annotations

from playwright.sync_api import Page, Route

from assent.store.sessions import make_link
from tests.browser.conftest import Arrive, Keep, Serve
from tests.browser.world import by_slot, judgements, open_store, until

# A key in the moment in which a task comes: it was meant for what was there before.
AT_ONCE = """
  key => new MutationObserver((_, watch) => {
    if (!document.querySelector(".answer")) return;
    watch.disconnect();
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  }).observe(document.body, { childList: true, subtree: true })
"""


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
    training = mira.asked()
    keys.press("Enter")
    mira.wait_for_other(training)  # qualification
    keys.press(str(mira.better(world.qualifying)))
    keys.press("Enter")
    page.wait_for_url("**/qualification/*")
    picture(page, "qualification")
    assert page.get_by_role("heading", name="You are qualified").count()
    page.get_by_role("link", name="To the tasks").focus()
    keys.press("Enter")

    mira.wait_for_task()
    before = mira.asked()
    keys.press("Shift+Digit2")
    keys.press("Enter")
    mira.wait_for_other(before)
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


def test_the_whole_way_by_pointer_alone(serve: Serve, person: Arrive) -> None:
    world, server = serve(sizes=(2, 4))
    mira = person(server)
    page = mira.page
    mira.come_in(world.tokens["annotator"])
    mira.agree()
    page.get_by_role("button", name="2 slightly").click()
    page.get_by_role("button", name="Submit").click()
    training = mira.asked()
    page.get_by_role("button", name="Go on").click()
    mira.wait_for_other(training)
    page.get_by_role("button", name=f"{mira.better(world.qualifying)} much better").click()
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("link", name="To the tasks").click()
    mira.wait_for_task()

    page.locator(".answer-number").nth(1).click()
    page.get_by_role("button", name="2 much better").click()
    page.get_by_label("helpful, answer 1: 4 of 5").check(force=True)
    page.get_by_role("button", name="Submit").click(force=True)  # it says what is missing
    assert page.locator(".toast", has_text="Some marks are missing").count()
    for slot in (1, 2):
        for name in ("helpful", "honest", "harmless"):
            page.get_by_label(f"{name}, answer {slot}: {slot + 2} of 5").check(force=True)
    page.get_by_role("button", name="clearer").click()
    page.get_by_role("button", name="off topic").click()
    words = page.locator(".answer-body").first
    words.locator("p, li").first.click(click_count=3)
    page.get_by_role("button", name="Mark the selected words").click()
    page.locator(".spans select").select_option("more correct")
    page.get_by_role("button", name="Write a better answer").click()
    page.get_by_label("Your answer").fill("My own answer.")
    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Submit").click()

    page.wait_for_selector(".answers.k-4")
    page.locator(".answer-number").nth(2).click()
    page.get_by_role("button", name="Place answer 1 next").click()
    drag(page, ".tray [data-slot='3']", ".strip li:first-child", 0.5)
    drag(page, ".tray [data-slot='1']", ".strip li:first-child", 0.02)
    page.get_by_role("button", name="Submit").click()
    page.wait_for_selector("text=Nothing to judge")

    pair, four = until(page, world, 4)[2:]
    assert by_slot(pair) == [2, 1] and pair.strength == "strong"
    assert pair.flags == ("off topic",) and pair.reasons == ("clearer",) and pair.rewrite == "My own answer."
    assert [pair.marks[place]["honest"] for place in pair.order_shown] == [0.5, 0.75]
    assert pair.spans[0].tag == "more correct" and pair.order_shown.index(pair.spans[0].completion) == 0
    assert by_slot(four) == [4, 1, 2, 2]
    assert mira.errors == [] and mira.elsewhere == []


def drag(page: Page, handle: str, target: str, share: float) -> None:
    """By pointer, onto a share of the target's width."""
    start, end = page.locator(handle).bounding_box(), page.locator(target).bounding_box()
    assert start and end
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(end["x"] + end["width"] * share, end["y"] + end["height"] / 2, steps=8)
    page.mouse.up()


def test_undo_and_change(serve: Serve, person: Arrive, picture: Keep) -> None:
    world, server = serve(sizes=(2, 2, 2), checks=False)
    mira = person(server)
    page, keys = mira.page, mira.page.keyboard
    mira.come_in(world.tokens["annotator"])
    mira.agree()
    first = mira.asked()
    keys.press("1")
    page.get_by_label("Note").fill("a first thought")
    keys.press("Escape")
    keys.press("Enter")
    mira.wait_for_other(first)
    until(page, world, 1)
    keys.press("2")  # the next one has begun; it is kept when the last is taken back
    second = mira.asked()
    keys.press("u")
    mira.wait_for_other(second)
    assert mira.asked() == first
    assert page.get_by_label("Note").input_value() == "a first thought"
    keys.press("Shift+Digit2")
    keys.press("Enter")
    mira.wait_for_other(first)
    assert mira.asked() == second
    assert page.locator(".answer.best").get_attribute("data-slot") == "1"
    found = until(page, world, 3)
    assert [by_slot(each) for each in found] == [
        [1, 2],
        [1, 2],
        [2, 1],
    ]  # what was said, its withdrawal, and the new one

    page.goto(f"{server.url}/past")
    picture(page, "past")
    assert page.locator("tbody tr").count() == 1
    page.get_by_role("link", name="Change").click()
    mira.wait_for_task()
    picture(page, "change")
    assert page.locator(".answer.best").get_attribute("data-slot") == "1"
    keys.press("0")
    keys.press("Enter")
    page.wait_for_url("**/past")
    assert by_slot(until(page, world, 4)[-1]) == [1, 1]
    assert page.get_by_text("changed").count() == 1
    page.goto(f"{server.url}/me")
    picture(page, "me")
    assert page.locator(".tile-value").first.inner_text() == "1"


def test_the_order_shown_needs_a_second_word(serve: Serve, person: Arrive) -> None:
    world, server = serve(sizes=(3,), checks=False)
    mira = person(server)
    mira.come_in(world.tokens["annotator"])
    mira.agree()
    for key in ("1", "2", "3", "Enter"):
        mira.page.keyboard.press(key)
    mira.page.wait_for_selector("text=just the order in which they were shown")
    assert judgements(world) == []
    mira.page.keyboard.press("Enter")
    assert by_slot(until(mira.page, world, 1)[0]) == [1, 2, 3]


def test_reading_aids(serve: Serve, person: Arrive, picture: Keep) -> None:
    world, server = serve(sizes=(2, 2, 2, 2), checks=False)
    mira = person(server)
    page, keys = mira.page, mira.page.keyboard
    mira.come_in(world.tokens["annotator"])
    mira.agree()
    keys.press("d")
    page.wait_for_selector(".answer-body ins")
    assert page.locator(".answer-body del").count()
    keys.press("p")
    assert page.locator(".answer-body > .plain").count() == 2
    keys.press("p")
    keys.press("Shift+Slash")
    assert page.locator("#keys").is_visible()
    picture(page, "keys")
    keys.press("1")  # rests while a dialog is open
    keys.press("Escape")
    assert page.locator(".answer.best").count() == 0
    keys.press("m")
    for digit in "543215":
        keys.press(digit)
    assert page.locator(".rating :checked").count() == 6
    assert page.locator(".answer.best").count() == 0
    first = mira.asked()
    keys.press("s")
    mira.wait_for_other(first)
    assert page.locator(".turn").count() == 3
    assert [page.locator(".turn").nth(i).get_attribute("open") is not None for i in range(3)] == [False, False, True]
    keys.press("c")
    assert page.locator(".turn[open]").count() == 3
    keys.press("g")
    assert page.get_by_role("heading", name="What we look for").is_visible()


def test_a_long_conversation_leaves_the_answers_in_sight(serve: Serve, person: Arrive) -> None:
    """On a phone it is no wider than the screen, either; and lists are numbered on the side on which they begin."""
    words = "and then another, since the first led to it, and so on without an end in sight. "
    texts = ("1. واحد\n2. اثنان", "1. one\n2. *two* words")
    chat = [f"{'Question' if i % 2 == 0 else 'Answer'} {i}, {words * (i % 3)}" for i in range(13)]
    world, server = serve(sizes=(2, 2), checks=False, texts=texts, chat=chat)
    mira = person(server, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = mira.page
    mira.come_in(world.tokens["annotator"])
    mira.agree()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    top = page.locator(".answer").first.bounding_box()
    assert top is not None and top["y"] < 600
    assert page.locator(".turn:visible").count() == 3
    page.get_by_text("10 earlier turns").tap()
    assert page.locator(".turn:visible").count() == 13
    page.keyboard.press("c")
    assert page.locator(".turn[open]").count() == 13
    page.keyboard.press("c")
    assert page.locator(".turn[open]").count() == 1 and page.locator(".turn:visible").count() == 3
    sides = "all => all.map(list => getComputedStyle(list).direction)"
    assert sorted(page.locator(".answer-body ol").evaluate_all(sides)) == ["ltr", "rtl"]
    body = page.locator(".answer-body", has_text="two words")
    body.locator("li").last.evaluate("each => getSelection().selectAllChildren(each)")
    page.keyboard.press("h")
    assert page.locator(".spans q").inner_text() == "two* words"
    marked = "[...CSS.highlights.get('spans')].map(String)"
    assert page.evaluate(marked) == ["two words"], "what is marked is coloured, whatever signs stand in the text"


def test_on_a_phone(serve: Serve, person: Arrive, picture: Keep) -> None:
    world, server = serve(sizes=(2, 4, 6), checks=False)
    mira = person(server, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2)
    page = mira.page
    mira.come_in(world.tokens["annotator"])
    mira.agree()
    picture(page, "phone-pair")
    page.get_by_role("button", name="1 much better").tap()
    page.get_by_role("button", name="Submit").tap()
    page.wait_for_selector(".answers.k-4")
    for slot in (4, 2):
        page.get_by_role("button", name=f"Place answer {slot} next").tap()
    page.get_by_role("button", name="Alike").tap()
    page.get_by_role("button", name="Place answer 1 next").tap()
    picture(page, "phone-four")
    page.get_by_role("button", name="Place answer 3 next").tap()
    page.get_by_role("button", name="Submit").tap()
    page.wait_for_selector(".answers.k-6")
    for slot in (2, 1, 3, 4, 5, 6):
        page.get_by_role("button", name=f"Place answer {slot} next").tap()
    picture(page, "phone-six")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0
    page.get_by_role("button", name="Submit").tap()
    page.wait_for_selector("text=Nothing to judge")
    assert [by_slot(each) for each in until(page, world, 3)] == [[1, 2], [2, 2, 4, 1], [2, 1, 3, 4, 5, 6]]
    assert mira.errors == []


def test_what_was_skipped_by_mistake_comes_back(serve: Serve, person: Arrive) -> None:
    world, server = serve(sizes=(2, 2, 4), checks=False)
    mira = person(server)
    page, keys = mira.page, mira.page.keyboard
    mira.come_in(world.tokens["annotator"])
    mira.agree()
    for key, words in (("s", "Skipped"), ("x", "cannot be judged")):
        first = mira.asked()
        page.get_by_label("Note").fill(f"{words}, or not?")
        keys.press("Escape")
        page.wait_for_timeout(400)
        keys.press(key)
        page.locator(".toast", has_text="That would put away what you wrote").last.wait_for()
        keys.press(key)
        mira.wait_for_other(first)
        assert page.locator(".toast", has_text=words).count()
        second = mira.asked()
        keys.press("u")
        mira.wait_for_other(second)
        assert mira.asked() == first
        assert page.get_by_label("Note").input_value() == f"{words}, or not?"
    page.wait_for_timeout(400)
    keys.press("x")
    keys.press("x")
    mira.wait_for_other(first)
    second = mira.asked()
    page.locator(".toast").get_by_role("button", name="Undo").last.click()
    mira.wait_for_other(second)
    keys.press("1")
    keys.press("Enter")
    found = until(page, world, 1)
    assert [each.note for each in found] == ["cannot be judged, or not?"]
    assert mira.errors == []


def test_what_was_skipped_is_not_brought_again_before_the_server_knows(serve: Serve, person: Arrive) -> None:
    world, server = serve(sizes=(2, 2, 2), checks=False)
    mira = person(server)
    page, held = mira.page, []
    mira.come_in(world.tokens["annotator"])
    mira.agree()
    page.route("**/decline", lambda route: held.append(route))
    first = mira.asked()
    page.wait_for_timeout(400)
    page.keyboard.press("s")
    mira.wait_for_other(first)
    for left in (1, 0):
        asked = mira.asked()
        assert asked != first
        page.wait_for_timeout(400)
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        if left:
            mira.wait_for_other(asked)
    page.wait_for_selector("text=Nothing to judge")
    assert len(held) == 1
    held[0].continue_()
    until(page, world, 2)


def test_a_skipped_task_that_others_took_stays_theirs(serve: Serve, person: Arrive) -> None:
    world, server = serve(sizes=(2, 2), checks=False)
    mira = person(server)
    mira.come_in(world.tokens["annotator"])
    mira.agree()
    first = mira.asked()
    mira.page.wait_for_timeout(400)
    mira.page.keyboard.press("s")
    mira.wait_for_other(first)
    with open_store(world.workspace) as store:
        token = make_link(store, "annotator")
    ben = person(server)
    ben.come_in(token, "Ben")
    ben.agree()
    assert ben.asked() == first, "the other one is in Mira's hands"
    ben.page.keyboard.press("2")
    ben.page.keyboard.press("Enter")
    until(ben.page, world, 1)
    mira.page.keyboard.press("u")
    mira.page.locator(".toast.bad", has_text="Others judge").wait_for()
    assert mira.asked() != first


def test_a_key_for_a_task_that_is_not_there_yet_is_refused(serve: Serve, person: Arrive, picture: Keep) -> None:
    """It judges nothing unseen: not the task that comes, and not the one that is on its way."""
    world, server = serve(sizes=(2, 2, 2), checks=False)
    mira = person(server)
    page, keys = mira.page, mira.page.keyboard
    mira.come_in(world.tokens["annotator"])
    waiting: list[Route] = []
    page.route("**/assignments/next", lambda route: waiting.append(route))
    page.get_by_role("link", name="Begin").click()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Agree and begin").click()
    while not waiting:
        page.wait_for_timeout(50)
    for key in ("1", "Enter", "s", "x"):
        keys.press(key)
    page.get_by_text("wait until you see the next task").wait_for()
    picture(page, "too-early")
    assert page.locator(".toast").count() == 1, "it is said once, not for each key"
    page.evaluate(AT_ONCE, "s")
    waiting[0].continue_()
    page.unroute("**/assignments/next")
    mira.wait_for_task()
    page.get_by_text("has only just come").wait_for()
    assert page.locator(".answer.best").count() == 0
    first = mira.asked()
    page.wait_for_timeout(400)
    keys.down("s")
    mira.wait_for_other(first)
    second = mira.asked()
    page.wait_for_timeout(400)
    keys.down("s")  # held down: it repeats
    keys.up("s")
    page.wait_for_timeout(300)
    assert mira.asked() == second
    assert judgements(world) == []


def test_a_training_answer_on_its_way_is_changed_no_more(serve: Serve, person: Arrive) -> None:
    world, server = serve(sizes=(2,))
    mira = person(server)
    page, keys = mira.page, mira.page.keyboard
    mira.come_in(world.tokens["annotator"])
    mira.agree()
    waiting: list[Route] = []
    page.route("**/submit", lambda route: waiting.append(route))
    keys.press("1")
    keys.press("Enter")
    page.wait_for_function("() => document.querySelector('[data-part=dock]').inert")
    keys.press("2")
    page.get_by_text("this one is being sent").wait_for()
    assert page.locator(".answer.best").get_attribute("data-slot") == "0"
    waiting[0].continue_()
    page.unroute("**/submit")
    page.wait_for_selector(".verdict")
    assert by_slot(until(page, world, 1)[0]) == [1, 2]
