"""The admin's pages after a tiny loop: axe finds nothing, in light and dark, wide and on a phone; and they renew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assent.store import Workspace
from assent.store.campaigns import serve_the_loop
from assent.store.sessions import make_link
from tests.browser.conftest import Arrive, Keep, Person
from tests.browser.server import Server
from tests.browser.test_looks import LOOKS, findings, sideways
from tests.command_line import TINY, assent, flags

PAGES = (
    "/loop?round=1",
    "/campaigns",
    "/campaigns/new",
    "/campaigns/1",
    "/campaigns/1/gold",
    "/data",
    "/quality",
    "/people",
    "/people/1",
    "/bias",
    "/datasets",
    "/lineage",
    "/lineage?of=judgement:1",
    "/lineage/task/1",
    "/lineage/errors",
    "/runs",
    "/runs/round1-rl",
    "/runs/round1-reward",
    "/audit",
    "/access",
)


@pytest.fixture(scope="module")
def looped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("looped") / "w"
    assert assent("init", folder, *flags(TINY)).code == 0
    assert assent("loop", "--rounds", "1", "--force", cwd=folder).code == 0
    with Workspace(folder).open_store() as store:
        serve_the_loop(store)
    server = Server(Workspace(folder))
    server.start()
    yield server
    server.kill()


def owner(server: Server, person: Arrive, name: str, **look: Any) -> Person:
    with server.workspace.open_store() as store:
        token = make_link(store, "owner")
    someone = person(server, **look)
    someone.come_in(token, name)
    return someone


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_on_the_admins_pages(
    looped: Server, person: Arrive, picture: Keep, look: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    ada = owner(looped, person, f"Ada {name}", **look)
    found: dict[str, list[str]] = {}
    for path in PAGES:
        answer = ada.page.goto(looped.url + path)
        assert answer is not None and answer.ok, path
        picture(ada.page, f"admin-{name}{path.replace('/', '-').partition('?')[0]}", whole=True)
        wide = sideways(ada.page)
        found[path] = findings(ada.page) + ([f"{wide} pixels too wide"] if wide else [])
    assert {path: each for path, each in found.items() if each} == {}
    assert ada.errors == [] and ada.elsewhere == []


def test_curves_of_a_run_that_goes_on_renew(looped: Server, person: Arrive) -> None:
    """What was unfolded stays unfolded."""
    from sqlalchemy import update

    from assent.store.tables import RunRow

    with looped.workspace.open_store() as store, store.write() as session:
        session.execute(update(RunRow).where(RunRow.id == "round1-rl").values(state="running"))
    page = owner(looped, person, "Bo").page
    page.goto(f"{looped.url}/runs/round1-rl")
    page.get_by_text("step 2 of 2").wait_for()
    page.locator("#curves details summary", has_text="More curves").click()
    line = json.loads((_metrics(looped)).read_text().splitlines()[-1])
    with _metrics(looped).open("a") as file:
        file.write(json.dumps({**line, "step": 3}) + "\n")
    page.get_by_text("step 3 of 2").wait_for()
    more = page.locator("#curves > details")
    assert more.evaluate("each => each.open")


def _metrics(server: Server) -> Path:
    return server.workspace.run_dir("round1-rl") / "metrics.jsonl"
