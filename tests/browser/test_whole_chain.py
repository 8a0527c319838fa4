"""From the owner's link to the model that a person's judgement shaped: everything in the pages, and by its commands."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from assent.store import Workspace
from assent.store.service_tables import GoldTaskRow
from assent.store.tables import CompletionRow, TaskCompletionRow
from tests.browser.conftest import Arrive, Keep, Person
from tests.browser.server import OwnProcess
from tests.browser.world import open_store
from tests.checkpoints import Shape
from tests.command_line import assent, flags

SETTINGS = {
    "sampling.max-new-tokens": 16,
    "people.completions-per-ranking": 4,
    "people.rankings-per-round": 12,
    "people.holdout-share": 0.5,
    "people.overlap": 2,
    "reward-model.reference-samples": 8,
    "compute.threads": 1,
}
TITLE = "Sums, and what is said of them"
PAIRS = 8
LESSON = "The second one says more."
THOUGHT = "half a thought; the server goes away here and the rest is typed without it"


@pytest.fixture
def place(tmp_path: Path, checkpoint: Callable[[Shape], Path]) -> Workspace:
    """A workspace whose policy has written completions, four to a prompt."""
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(f'{{"prompt": "What is {number} and {number}?"}}\n' for number in range(20)))
    made = assent("init", tmp_path / "w", "--model", checkpoint("llama"), "--prompts", prompts, *flags(SETTINGS))
    assert made.code == 0, made.err
    assert assent("loop", cwd=tmp_path / "w").code == 7, "it waits for people"
    return Workspace.open(tmp_path / "w")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_from_the_owners_link_to_the_model_that_was_shaped(place: Workspace, person: Arrive, picture: Keep) -> None:
    server = OwnProcess(place)
    server.start()
    try:
        ada = owner_comes_in(server, person)
        campaign = open_campaign(ada, picture)
        make_known_answers(ada, campaign, picture)
        mira = annotator_comes_in(ada, person(server), picture)
        train_and_qualify(mira, place, picture)
        said = judge_in_every_way(mira, server, picture)
        dataset = agreement_and_freeze(ada, picture)
        reward = learn_from(ada, place, dataset)
        lineage(ada, said, dataset, reward, picture)
        assert ada.errors == ada.elsewhere == mira.elsewhere == []
        assert [error for error in mira.errors if "ERR_CONNECTION_REFUSED" not in error] == []
    finally:
        server.kill()


def owner_comes_in(server: OwnProcess, person: Arrive) -> Person:
    """By the link that `assent up` prints."""
    ada = person(server)
    ada.come_in(server.owner_link.removeprefix(f"{server.url}/link/"), "Ada")
    return ada


def open_campaign(ada: Person, picture: Keep) -> str:
    """With guidelines, consent and tasks: four at a time of the loop's run, and pairs of the same completions."""
    page = ada.page
    page.get_by_role("link", name="Campaigns").click()
    page.get_by_role("link", name="New campaign").click()
    page.get_by_label("Title").fill(TITLE)
    page.get_by_label("People a task").fill("2")
    page.get_by_label("Guidelines").fill("# Sums\nPrefer the answer that *helps*.")
    page.get_by_label("What people agree to").fill("Your judgements train a model. You may stop at any time.")
    page.get_by_label("Reasons to tick").fill("clearer, more correct")
    page.get_by_role("checkbox", name="round1-sample").check()
    picture(page, "chain-01-campaign-form", True)
    page.get_by_role("button", name="Open the campaign").click()
    page.get_by_text("The campaign is open.").wait_for()
    page.get_by_text("Make tasks of what policies wrote").click()
    page.get_by_label("At most so many tasks").fill(str(PAIRS))
    page.get_by_label("Held out, to measure by").fill("25")
    picture(page, "chain-02-campaign", True)
    page.get_by_role("button", name="Make them").click()
    page.get_by_text("The tasks are made").wait_for()
    return page.url.partition("?")[0]


def make_known_answers(ada: Person, campaign: str, picture: Keep) -> None:
    """The owner judges what is there, and makes one judged task a lesson and another one the examination."""
    page = ada.page
    page.goto(f"{ada.url}/")
    picture(page, "chain-03-owner-home")
    ada.agree()
    judge_until(ada, "text=Nothing to judge")
    for use in ("train people", "let people qualify"):
        page.goto(campaign)
        page.get_by_role("link", name="Make one of judged tasks").click()
        card = page.locator("article.card").first
        card.get_by_label("Explanation").fill(LESSON)
        card.get_by_label("Use it to").select_option(label=use)
        picture(page, f"chain-04-gold-{use.split()[0]}", True)
        card.get_by_role("button", name="Make it").click()
        page.get_by_text("The task is asked from now on.").wait_for()


def annotator_comes_in(ada: Person, mira: Person, picture: Keep) -> Person:
    """By a link that the owner makes."""
    page = ada.page
    page.goto(f"{ada.url}/people")
    page.get_by_role("button", name="Invite somebody").click()
    page.get_by_label("For whom").fill("Mira, from next door")
    picture(page, "chain-05-invite")
    page.get_by_role("button", name="Make the link").click()
    link = page.get_by_label("The link").input_value()
    picture(page, "chain-06-link")
    mira.page.goto(link)
    picture(mira.page, "chain-07-welcome")
    mira.come_in(link.removeprefix(f"{ada.url}/link/"), "Mira")
    picture(mira.page, "chain-08-home")
    mira.agree()
    return mira


def train_and_qualify(mira: Person, place: Workspace, picture: Keep) -> None:
    """The lesson is answered wrongly, which is explained; the examination as it is expected."""
    page = mira.page
    assert page.locator("[data-part=title]").inner_text() == f"Training: {TITLE}"
    picture(page, "chain-09-training")
    answer(mira, known_answer(place, "training"), turned=True)
    page.get_by_role("heading", name="We see this differently").wait_for()
    assert page.get_by_text(LESSON).count()
    picture(page, "chain-10-verdict")
    page.keyboard.press("Enter")
    page.wait_for_selector(".verdict", state="detached")
    mira.wait_for_task()
    answer(mira, known_answer(place, "qualification"))
    page.get_by_role("heading", name="You are qualified").wait_for()
    picture(page, "chain-11-qualified")
    page.get_by_role("link", name="To the tasks").click()
    mira.wait_for_task()


def known_answer(place: Workspace, stage: str) -> dict[str, int]:
    """The expected rank of each text."""
    with open_store(place) as store, store.read() as session:
        gold = session.scalars(select(GoldTaskRow).where(GoldTaskRow.stage == stage)).one()
        query = (
            select(CompletionRow.text)
            .join(TaskCompletionRow, TaskCompletionRow.completion_id == CompletionRow.id)
            .where(TaskCompletionRow.task_id == gold.task_id)
            .order_by(TaskCompletionRow.position)
        )
        return dict(zip(session.scalars(query), gold.ranks, strict=True))


def answer(mira: Person, expected: dict[str, int], turned: bool = False) -> None:
    """By keyboard, with the ranks of the texts that are shown; or turned round."""
    page = mira.page
    page.keyboard.press("p")
    shown = page.locator(".answer-body > .plain").evaluate_all("all => all.map(each => each.textContent)")
    page.keyboard.press("p")
    order = sorted(range(len(shown)), key=lambda slot: expected[shown[slot]], reverse=turned)
    for slot in order if len(shown) > 2 else order[:1]:
        page.keyboard.press(str(slot + 1))
    page.keyboard.press("Enter")
    if order == sorted(order) and len(order) > 2:
        page.keyboard.press("Enter")  # it is the order shown, and she means it


def judge_in_every_way(mira: Person, server: OwnProcess, picture: Keep) -> list[dict[str, Any]]:
    """By keyboard, by pointer, after second thoughts, and while the server is away; returns what she said."""
    page = mira.page
    page.wait_for_selector(".answers.k-4")
    by_keyboard(mira, "3", "=", "1", "4", "2")
    by_pointer(mira, *(f"Place answer {number} next" for number in (4, 1, 3, 2)))
    picture(page, "chain-12-four")
    judge_until(mira, ".answers.k-2")
    by_keyboard(mira, "Shift+Digit2")
    by_pointer(mira, "1 much better", "more correct")
    take_back(mira, picture)
    lose_the_server(mira, server, picture)
    judge_until(mira, "text=Nothing to judge")
    said = page.evaluate("fetch('/api/v1/me/judgements?limit=100').then(answer => answer.json())")["items"][::-1]
    queue = [each["answer"] for each in said[2:]]
    pairs = [each for each in queue if len(each["ranks"]) == 2]
    fours = [each for each in queue if len(each["ranks"]) == 4]
    assert (len(pairs), len(fours)) == (PAIRS, len(queue) - PAIRS) and len(fours) > 2
    assert [(each["ranks"], each["strength"]) for each in pairs[:2]] == [([2, 1], "strong"), ([1, 2], "strong")]
    assert pairs[1]["reasons"] == ["more correct"]
    assert (pairs[2]["ranks"], pairs[3]["ranks"], pairs[3]["note"]) == ([2, 1], [2, 1], THOUGHT)
    assert [each["ranks"] for each in fours[:2]] == [[1, 4, 1, 3], [2, 4, 3, 1]]
    assert len({each["assignment_id"] for each in said}) == len(said), "nothing was counted twice"
    return list(said)


def task_of(mira: Person) -> str:
    """What is on the screen to be judged; empty between tasks."""
    shown = (
        "[...document.querySelectorAll('.turn.last .turn-body, .answer-body')].map(each => each.innerText).join('|')"
    )
    return str(mira.page.evaluate(shown))


def by_keyboard(mira: Person, *keys: str) -> None:
    """These keys and Enter, until another task is there, or none."""
    before = task_of(mira)
    for key in (*keys, "Enter"):
        mira.page.keyboard.press(key)
    until_other(mira, before)


def by_pointer(mira: Person, *buttons: str) -> None:
    """These buttons and the one that submits, until another task is there, or none."""
    before = task_of(mira)
    for name in (*buttons, "Submit"):
        mira.page.get_by_role("button", name=name).click()
    until_other(mira, before)


def until_other(mira: Person, before: str) -> None:
    end = mira.page.get_by_text("Nothing to judge")
    for _ in range(1200):
        if end.count() or task_of(mira) not in ("", before):
            return
        mira.page.wait_for_timeout(50)
    said = mira.page.locator(".toast, [data-part=say], [data-part=trouble]").all_inner_texts()
    raise AssertionError(f"the same task stayed: {said}")


def judge_until(mira: Person, selector: str) -> None:
    """By keyboard, until this is there."""
    for _ in range(100):
        if mira.page.locator(selector).count():
            return
        by_keyboard(mira, *{2: "1", 3: "213", 4: "2143"}[mira.page.locator(".answer").count()])
    raise AssertionError(f"{selector} never came")


def take_back(mira: Person, picture: Keep) -> None:
    """A judgement is undone and given otherwise."""
    page = mira.page
    before = task_of(mira)
    by_keyboard(mira, "1")
    page.keyboard.press("u")
    page.get_by_text("Taken back.").wait_for()
    assert task_of(mira) == before and page.locator(".answer.best").get_attribute("data-slot") == "0"
    picture(page, "chain-13-taken-back")
    by_keyboard(mira, "2")


def lose_the_server(mira: Person, server: OwnProcess, picture: Keep) -> None:
    """It is killed in the middle of a note. What was typed before and after is there when it is back."""
    page = mira.page
    page.get_by_label("Note").focus()
    page.keyboard.type(THOUGHT[:20])
    page.wait_for_selector("[data-saving=saved]")
    server.kill()
    page.keyboard.type(THOUGHT[20:])
    page.get_by_text("The server cannot be reached").wait_for()
    picture(page, "chain-14-server-gone")
    server.start()
    mira.try_now()
    page.wait_for_selector("[data-saving=saved]")
    page.reload()
    mira.wait_for_task()
    assert page.get_by_label("Note").input_value() == THOUGHT
    by_keyboard(mira, "2")


def agreement_and_freeze(ada: Person, picture: Keep) -> str:
    """What the owner sees of both, and the version that she freezes."""
    page = ada.page
    page.get_by_role("link", name="Data", exact=True).click()
    picture(page, "chain-15-data", True)
    page.get_by_role("link", name="Quality").click()
    agree = page.locator(".tile", has_text="Two people agree on").locator(".tile-value")
    for _ in range(120):
        if agree.count() and "%" in agree.inner_text():
            break
        page.wait_for_timeout(500)
        page.reload()
    assert "%" in agree.inner_text()
    picture(page, "chain-16-quality", True)
    page.get_by_role("link", name="People", exact=True).click()
    picture(page, "chain-17-people", True)
    page.get_by_role("link", name="Datasets").click()
    page.get_by_role("button", name="Count").click()
    page.get_by_text("These rules let in").wait_for()
    picture(page, "chain-18-count", True)
    page.get_by_role("button", name="Freeze").click()
    page.get_by_text("Frozen.").wait_for()
    picture(page, "chain-19-frozen", True)
    return page.locator("#learn").inner_text()


def learn_from(ada: Person, place: Workspace, command: str) -> str:
    """Run the command that the page says, beside the service; returns the reward model."""
    program, *words = shlex.split(command)
    assert program == "assent"
    # Eight pairs of random letters make no healthy reward model, and it says so.
    words = [str(Path(sys.executable).parent / program), *words, "--force", "--json"]
    done = subprocess.run(words, cwd=place.path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout.splitlines()[-1])["reward"])


def lineage(ada: Person, said: list[dict[str, Any]], command: str, reward: str, picture: Keep) -> None:
    """From the judgement with the note to the model, and from the model to who judged."""
    page = ada.page
    dataset = command.split()[-1]
    noted = next(each["id"] for each in said if each["answer"]["note"] == THOUGHT)
    page.goto(f"{ada.url}/lineage")
    page.get_by_label("An artifact, or a judgement's number").fill(f"judgement:{noted}")
    page.get_by_role("button", name="Follow").click()
    came = page.locator("section", has=page.get_by_role("heading", name="What came of it"))
    for made in (dataset, reward):
        came.get_by_role("link", name=made).first.wait_for()
    picture(page, "chain-20-lineage", True)
    came.get_by_role("link", name="Its task, and every vote on it").click()
    assert page.get_by_text(THOUGHT).count() and page.get_by_text("Mira").count() and page.get_by_text("Ada").count()
    picture(page, "chain-21-votes", True)
    page.goto(f"{ada.url}/lineage?of={reward}")
    up = page.locator("section", has=page.get_by_role("heading", name="What it came from"))
    assert up.get_by_role("link", name=dataset).count()
    up.locator("summary").first.click()
    assert up.get_by_role("link", name="Mira").count() and up.get_by_role("link", name="Ada").count()
    picture(page, "chain-22-model", True)
