"""A real Chromium before a real server. Debian's package `chromium` is enough (`make chromium`)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Request, sync_playwright

from tests.browser.server import OwnProcess, Server
from tests.browser.world import World, make_world

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium here; `make chromium` installs Debian's")
    with sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        except Error as error:
            pytest.skip(f"Chromium does not start here: {error.message.splitlines()[0]}")
        yield opened
        opened.close()


class Serve:
    """Makes worlds and serves them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[Server] = []

    def __call__(self, own_process: bool = False, **what: Any) -> tuple[World, Server]:
        """A world made of `what`, and its server, which can be killed and started again if it is a process."""
        world = make_world(self.folder / f"workspace{len(self.servers)}", **what)
        server = OwnProcess(world.workspace) if own_process else Server(world.workspace)
        self.servers.append(server)
        server.start()
        return world, server


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    made = Serve(tmp_path)
    yield made
    for server in made.servers:
        server.kill()


class Person:
    """Someone at a browser. What goes wrong on the page, and what leaves it, is kept."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        context.on("request", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("dialog", lambda dialog: (self.errors.append(f"dialog {dialog.message}"), dialog.dismiss()))

    def _note(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.elsewhere.append(request.url)

    def come_in(self, token: str, name: str = "Mira") -> None:
        """By a link for somebody new."""
        self.page.goto(f"{self.url}/link/{token}")
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_label("Login name").fill(name.lower())
        self.page.get_by_role("button", name="Come in").click()
        self.page.wait_for_url(f"{self.url}/")

    def agree(self) -> None:
        """To the first campaign's texts."""
        self.page.get_by_role("link", name="Begin").first.click()
        self.page.get_by_role("checkbox").check()
        self.page.get_by_role("button", name="Agree and begin").click()
        self.wait_for_task()

    def wait_for_task(self) -> None:
        """Until there is something to judge."""
        self.page.wait_for_selector(".answer")

    def wait_for_other(self, asked: str) -> None:
        """Until another question is shown than this one."""
        other = (
            "before => ![null, undefined, before].includes(document.querySelector('.turn.last .turn-body')?.innerText)"
        )
        self.page.wait_for_function(other, arg=asked)

    def better(self, word: str) -> int:
        """The number of the first answer that has this word."""
        shown = self.page.locator(".answer-body").all_inner_texts()
        return next(number for number, text in enumerate(shown, 1) if word in text)

    def try_now(self) -> None:
        """Press the button that asks whether the server is back; the page may have asked by itself already."""
        self.page.get_by_role("button", name="Try now", include_hidden=True).evaluate("each => each.click()")

    def asked(self) -> str:
        """The question that is shown."""
        return self.page.locator(".turn.last .turn-body").inner_text()


Arrive = Callable[..., Person]
Keep = Callable[..., None]


@pytest.fixture
def person(browser: Browser) -> Iterator[Callable[..., Person]]:
    """Opens a browser window of its own for somebody."""
    contexts: list[BrowserContext] = []

    def arrive(server: Server, **options: Any) -> Person:
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **options})
        context.set_default_timeout(60_000)
        contexts.append(context)
        return Person(context, server.url)

    yield arrive
    for context in contexts:
        context.close()


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Keeps a screenshot where ASSENT_SCREENSHOTS says, if it says so."""
    folder = os.environ.get("ASSENT_SCREENSHOTS")

    def keep(page: Page, name: str, whole: bool = False) -> None:
        if folder:
            page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole)

    return keep
