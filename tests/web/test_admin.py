"""The admin's pages, on an empty workspace and on one in which a tiny loop has run with simulated people."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from httpx import Response

from assent.store import Store, Workspace, counts, dump_rows, judged_tasks, list_artifacts, list_runs
from assent.store.campaigns import serve_the_loop
from assent.store.runs import finish_run, start_run
from assent.store.secrets import installation_secret
from assent.store.sessions import make_link
from assent.store.workspace import DATABASE_VARIABLE
from assent.web import Service, admin
from assent.web.entrance import RIGHTS, Requires
from assent.web.limits import RateLimits
from tests.command_line import TINY, assent, flags
from tests.web.conftest import MOSTLY_SQLITE, NO_LIMITS, new_database
from tests.web.people import Browser, House
from tests.web.postgres import binaries

HTML = {"accept": "text/html"}
HOSTILE = "<script>alert(1)</script>"
PAGES = (
    "/loop",
    "/loop/stages",
    "/campaigns",
    "/campaigns/new",
    "/campaigns/1",
    "/campaigns/1/edit",
    "/campaigns/1/gold",
    "/data",
    "/data?campaign=1",
    "/data?campaign=",
    "/data/figures",
    "/quality",
    "/quality?campaign=",
    "/people",
    "/people/1",
    "/bias",
    "/bias?campaign=",
    "/datasets",
    "/lineage",
    "/lineage/errors",
    "/runs",
    "/audit",
    "/access",
)


@pytest.fixture(scope="module", params=MOSTLY_SQLITE)
def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """None for the workspace's own file, or the URL of an empty database that the commands use in its place."""
    if request.param == "sqlite":
        yield None
    else:
        with pytest.MonkeyPatch.context() as patch:
            url = new_database(request)
            patch.setenv(DATABASE_VARIABLE, url)
            yield url


# The figures are asked for in SQL of the pages' own.
everywhere = pytest.mark.parametrize("database", ("sqlite", "postgresql"), indirect=True, scope="module")


@pytest.fixture(scope="module")
def looped(database: str | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after one round of the tiny loop."""
    folder = tmp_path_factory.mktemp("looped") / "w"
    assert assent("init", folder, *flags(TINY)).code == 0
    done = assent("loop", "--rounds", "1", "--force", cwd=folder)
    assert done.code == 0, done.err
    return folder


def housed(folder: Path, url: str | None = None) -> Iterator[House]:
    limits = RateLimits(sign_in=NO_LIMITS, submit=NO_LIMITS)
    with Store.open(url or folder / "assent.db") as store:
        serve_the_loop(store)
        service = Service(store, installation_secret(store), folder, hosts=("testserver",), limits=limits)
        with House(service) as opened:
            yield opened


@pytest.fixture
def lived_in(looped: Path, database: str | None, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    shutil.copytree(looped, tmp_path / "w")
    yield from housed(tmp_path / "w", database and new_database(request, database.rpartition("/")[2]))


@pytest.fixture(scope="module")
def empty(
    database: str | None, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("empty") / "w"
    assert assent("init", folder, *flags(TINY)).code == 0
    yield from housed(folder, database and new_database(request))


def look(browser: Browser, path: str, status: int = 200) -> str:
    answer = browser.client.get(path, headers=HTML)
    assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[-600:]}"
    return answer.text


def send(browser: Browser, path: str, status: int = 303, **fields: Any) -> Response:
    said = {**fields, "csrf": browser.headers["X-CSRF-Token"]}
    answer = browser.client.post(path, data=said, headers=HTML)
    assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[-600:]}"
    return answer


def until_measured(browser: Browser, path: str) -> str:
    for _ in range(240):
        if "being measured" not in (text := look(browser, path)):
            return text
        time.sleep(0.5)
    raise AssertionError(f"{path}: the figures never came")


def clean(text: str) -> bool:
    """Nothing that the content security policy would refuse."""
    return not re.search(r"<script(?![^>]* src=)|\sstyle=|\son\w+=", text)


@pytest.mark.parametrize("path", PAGES)
def test_pages_of_an_empty_workspace(empty: House, path: str) -> None:
    assert clean(look(empty("owner"), path))


def test_an_empty_workspace_says_what_to_do(empty: House) -> None:
    owner = empty("owner")
    assert "assent pretrain" in look(owner, "/loop")
    assert "assent sample" in look(owner, "/data")
    assert "Nothing is judged yet" in until_measured(owner, "/quality")
    assert "No runs yet" in look(owner, "/runs")
    assert look(owner, "/runs/none", 404) and look(owner, "/people/99", 404) and look(owner, "/datasets/none", 404)


@everywhere
def test_pages_of_a_workspace_with_a_loop(lived_in: House) -> None:
    owner, store = lived_in("owner"), lived_in.service.store
    for path in PAGES:
        assert clean(look(owner, path)), path
    for run in list_runs(store):
        assert clean(look(owner, f"/runs/{run.id}")) and look(owner, f"/runs/{run.id}/curves")
    for artifact in list_artifacts(store):
        assert artifact.id in look(owner, f"/lineage?of={artifact.id}")


def test_loop_and_runs(lived_in: House) -> None:
    owner, store = lived_in("owner"), lived_in.service.store
    text = look(owner, "/loop")
    policy = next(each.id for each in list_artifacts(store, "policy"))
    assert "assent sample --round 2" in text, "the settings ask for two rounds, and the first is done"
    first = look(owner, "/loop?round=1")
    assert policy in first and "60 of 60" in first and "the ceiling" in first
    curves = look(owner, "/runs/round1-rl")
    assert curves.count("<svg") >= 4 and "KL from the reference" in curves and "step 2 of 2" in curves
    assert "Before and after" in curves and 'hx-trigger="every' not in curves, "it is done"
    assert "two people agree" in look(owner, "/runs/round1-reward")
    folder = lived_in.service.folder / "runs" / "round1-rl" / "metrics.jsonl"
    with folder.open("a") as file:
        file.write('{"step": 3, "sco')
    assert "step 2 of 2" in look(owner, "/runs/round1-rl"), "a line that is being written is left out"


def rights() -> list[tuple[str, str, str]]:
    found = []
    rooms = [room for room in vars(admin).values() if isinstance(getattr(room, "router", None), APIRouter)]
    for route in (route for room in rooms for route in room.router.routes):
        asked = [each.call for each in route.dependant.dependencies if isinstance(each.call, Requires)]
        assert len(asked) == 1, f"{route.path} asks for {len(asked)} rights"
        found += [(method, route.path, asked[0].right) for method in route.methods]
    return found


def test_every_route_is_for_its_roles(empty: House) -> None:
    stranger = empty.client()
    assert len(rights()) > 35
    for method, path, right in rights():
        where = re.sub(r"\{[^}]+\}", "987", path)
        answer = stranger.request(method, where, headers=HTML)
        assert answer.status_code in (303, 401) and "/campaign" not in answer.headers.get("location", "")
        for role, held in RIGHTS.items():
            person = empty(role)
            if right not in held:
                answer = person.client.request(method, where, headers={**HTML, **person.headers})
                assert answer.status_code == 403, f"{role} {method} {path}: {answer.status_code}"
            elif method == "GET":
                assert person.client.get(where, headers=HTML).status_code in (200, 404), f"{role} {path}"
            if method == "POST":
                assert person.client.post(where, headers=HTML).status_code == 403, f"{path} without the CSRF token"


@everywhere
def test_a_campaign_from_its_form_to_its_tasks(lived_in: House) -> None:
    owner, store = lived_in("owner"), lived_in.service.store
    wrong = send(owner, "/campaigns", 422, title="Mine", completions=9, guidelines="Read *all* of it.").text
    assert "from 2 to 6" in wrong and "Read *all* of it." in wrong, "what was typed is still there"
    said = {
        "title": HOSTILE,
        "criterion": ["clear", ""],
        "criterion_guideline": ["Is it?", ""],
        "completions": 2,
        "overlap": 2,
        "guidelines": "First.",
        "flags": "unsafe, odd",
    }
    where = send(owner, "/campaigns", **said).headers["location"].partition("?")[0]
    text = look(owner, where)
    assert HOSTILE not in text and "&lt;script&gt;" in text and "Version 1" in text and "clear" in text
    send(owner, where, **{**said, "title": "Mine", "guidelines": "Second."})
    assert "Version 2" in (text := look(owner, where)) and "1 earlier" in text
    sft = next(each.id for each in list_artifacts(store, "sft"))
    send(owner, f"{where}/tasks", policies=[sft], tasks=5, source="random", holdout_share=0)
    made = next(run for run in list_runs(store) if run.kind == "tasks")
    held = counts(store, [made.id])
    assert (held.tasks, held.wanted) == (5, 10)
    assert "choose whose completions" in send(owner, f"{where}/tasks", 422, policies=["none"], tasks=5).text
    assert "loop makes" in send(owner, "/campaigns/1/tasks", 409, policies=[sft], tasks=5).text
    judge = lived_in("annotator")
    campaign = int(where.rpartition("/")[2])
    agreed = judge.client.post(
        f"/consent/{campaign}",
        data={"csrf": judge.headers["X-CSRF-Token"], "agree": "yes", "guidelines_version": 2},
    )
    assert agreed.status_code == 303
    task = judge.next(campaign=campaign)
    assert len(task["completions"]) == 2
    assert judge.get("/me") and "annotator" in look(owner, f"/data?campaign={campaign}").lower(), "their lease is seen"
    send(owner, f"{where}/state", state="paused")
    assert lived_in("annotator2").next(campaign=campaign) == "paused"


@everywhere
def test_gold_from_judged_tasks(lived_in: House) -> None:
    owner = lived_in("owner")
    found = re.findall(r'name="task" value="(\d+)"', look(owner, "/campaigns/1/gold"))
    assert len(found) == 10
    send(owner, "/campaigns/1/gold", task=found[0], stage="training", explanation="See?")
    text = look(owner, "/campaigns/1")
    (made,) = re.findall(r"/campaigns/1/gold/(\d+)/remove", text)
    assert found[0] not in re.findall(r'name="task" value="(\d+)"', look(owner, "/campaigns/1/gold"))
    judge = lived_in("annotator")
    answer = judge.submit(judge.next())
    assert "See?" in json.dumps(answer)
    send(owner, f"/campaigns/1/gold/{made}/remove", 409)


def test_what_arms_saved_is_on_the_page(lived_in: House) -> None:
    owner, store = lived_in("owner"), lived_in.service.store
    assert "What choosing the tasks" not in until_measured(owner, "/quality")
    start_run(store, "round2-reward", "reward", 2, {})
    saving = {"ratio": 0.694, "low": 0.51, "high": 0.85, "target": 0.7, "clipped": 0.25}
    few = "too few tasks that people ordered (3 uncertainty)"
    labels = {"random": 300, "near-ties": 280, "uncertainty": 3}
    arms = {"labels": labels, "saving": {"near-ties": saving, "uncertainty": few}}
    finish_run(store, "round2-reward", {"reward": "reward-1", "arms": arms})
    text = until_measured(owner, "/quality")
    assert clean(text)
    text = re.sub(r"<[^>]+>", " ", text)
    assert re.search(r"near-ties\s+280\s+0\.69\s+\(0\.51 to 0\.85; 25\.0\s% of the resamples lie outside", text)
    assert re.search(r"uncertainty\s+3\s+–\s+too few tasks", text) and re.search(r"random\s+300\s+1\s", text)


@everywhere
def test_quality_bias_and_without(lived_in: House) -> None:
    owner, store = lived_in("owner"), lived_in.service.store
    text = until_measured(owner, "/quality")
    assert re.search(r"Two people agree on</p><p class=\"tile-value\">\d+\.\d", text)
    judged = len(judged_tasks(store, [run.id for run in list_runs(store) if run.kind in ("sample", "eval")]))
    assert f'<p class="tile-value">{judged}</p>' in text
    person = judged_tasks(store, ["round1-sample"])[0].ranking.person_id
    less = until_measured(owner, f"/quality?without={person}")
    assert f'<p class="tile-value">{judged}</p>' not in less and "Without what" in less
    assert until_measured(owner, "/bias").count("<svg") >= 2
    people = until_measured(owner, "/people")
    assert "labeller-01" in people and "±" in people
    assert "dataset-" in until_measured(owner, f"/people/{person}")


def test_a_ruling_is_blind_and_leaves_the_votes(lived_in: House) -> None:
    referee, store = lived_in("adjudicator"), lived_in.service.store
    before = counts(store, ["round1-sample", "round1-eval"])
    task = int(re.findall(r"/quality/adjudicate/(\d+)", look(referee, "/quality"))[0])
    again = send(referee, f"/quality/adjudicate/{task}").headers["location"]
    assert again == "/annotate?campaign=1"
    send(referee, f"/quality/adjudicate/{task}")
    shown = referee.next()
    assert "policy" not in json.dumps(shown) and "sft-" not in json.dumps(shown)
    referee.submit(shown)
    text = look(referee, "/quality")
    assert f"/quality/adjudicate/{task}" not in text
    assert counts(store, ["round1-sample", "round1-eval"]) == before, "votes and overlap are as they were"
    send(referee, f"/quality/adjudicate/{task}", 409)
    assert "adjudicate" in look(lived_in("owner"), "/audit")


def test_people_come_pause_and_are_erased(lived_in: House) -> None:
    owner = lived_in("owner")
    made = send(owner, "/people/invite", 200, role="annotator", note=HOSTILE, groups="de, fr").text
    assert HOSTILE not in made
    (token,) = re.findall(r'value="http://testserver/link/([^"]+)"', made)
    ann = lived_in.enter("Ann", token)
    assert token not in look(owner, "/access")
    number = ann.me.get("person_id")
    rows = re.findall(r'/people/(\d+)"><bdi>Ann</bdi>', look(owner, "/people"))
    assert len(rows) == 1 and number in (None, int(rows[0]))
    where = f"/people/{rows[0]}"
    send(owner, f"{where}/account", role="annotator", state="paused", groups="de")
    assert ann.call("GET", "/me").status_code == 401 and "paused" in look(owner, where)
    assert send(lived_in("manager"), f"{where}/erase", 403, name="Ann")
    send(owner, f"{where}/erase", 409, name="Anna")
    send(owner, f"{where}/erase", name="Ann")
    assert "erased person" in look(owner, where) and "Ann</bdi>" not in look(owner, "/people")


def test_a_dataset_version(lived_in: House) -> None:
    owner = lived_in("owner")
    rules = {"run_ids": ["round1-sample"], "minimum_votes": 1, "ties": "drop", "holdout_share": 0}
    counted = send(owner, "/datasets", 200, **rules, act="preview").text
    train, holdout = map(int, re.findall(r"let in (\d+) judgements to learn from and (\d+) held out", counted)[0])
    frozen = send(owner, "/datasets", 200, **rules, act="freeze").text
    (name,) = set(re.findall(r"--reward_model.dataset (dataset-\w+)", frozen))
    assert "Content hash" in look(owner, f"/datasets/{name}")
    for split, number in (("train", train), ("holdout", holdout)):
        file = owner.client.get(f"/datasets/{name}/{split}.jsonl")
        assert len(file.text.splitlines()) == number and "attachment" in file.headers["content-disposition"]
    assert "loosen" in send(owner, "/datasets", 422, **{**rules, "minimum_votes": 500}, act="freeze").text
    look(owner, f"/datasets/{name}/../../assent.jsonl", 404)


def test_from_an_error_of_the_reward_model_to_its_votes(lived_in: House) -> None:
    owner, store = lived_in("owner"), lived_in.service.store
    text = look(owner, "/lineage/errors")
    judgement = re.findall(r"/lineage\?of=judgement:(\d+)", text)[0]
    found = look(owner, f"/lineage?of=judgement:{judgement}")
    reward = next(each.id for each in list_artifacts(store, "reward"))
    assert reward in found, "the judgement leads to the model that it shaped"
    (task,) = set(re.findall(r"/lineage/task/(\d+)", found))
    votes = look(owner, f"/lineage/task/{task}")
    assert f"judgement:{judgement}" in votes and "labeller-" in votes
    assert "no artifact" in look(owner, "/lineage?of=zzz", 404)


def test_access_audit_and_backup(lived_in: House, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    owner, store = lived_in("owner"), lived_in.service.store
    make_link(store, "annotator", note="Cy")
    (link,) = re.findall(r"/access/links/(\d+)/withdraw", look(owner, "/access"))
    send(owner, f"/access/links/{link}/withdraw")
    assert "/withdraw" not in look(owner, "/access")
    shown = send(owner, "/access/tokens", 200, name="bot", scopes=["read"], days=1).text
    (token,) = re.findall(r'id="made-token" type="text" readonly value="([^"]+)"', shown)
    robot = lived_in.client()
    bearer = {"authorization": f"Bearer {token}"}
    assert robot.get("/api/v1/people", headers=bearer).status_code == 200
    (number,) = re.findall(r"/access/tokens/(\d+)/revoke", look(owner, "/access"))
    send(owner, f"/access/tokens/{number}/revoke")
    assert robot.get("/api/v1/people", headers=bearer).status_code == 401
    assert "at least one scope" in send(owner, "/access/tokens", 422, name="x").text
    copy = tmp_path / "copy.db"
    before = dump_rows(store)["judgements"]
    copy.write_bytes(send(owner, "/audit/backup", 200).content)
    with Store.open(copy if store.engine.dialect.name == "sqlite" else restored(copy, request)) as back:
        assert dump_rows(back)["judgements"] == before and len(before) > 60
    log = look(owner, "/audit")
    assert all(word in log for word in ("backup", "revoke token", "withdraw link"))
    send(lived_in("manager"), "/audit/backup", 403)


def restored(archive: Path, request: pytest.FixtureRequest) -> str:
    """A new database, filled from an archive of `pg_dump`; returns its URL."""
    url, place = new_database(request, "template1"), binaries()
    assert place is not None
    plain = url.replace("+psycopg", "")
    subprocess.run([place / "pg_restore", "--no-owner", f"--dbname={plain}", archive], check=True, timeout=60)
    return url


def test_workspace_of_another_kind(tmp_path: Path) -> None:
    """Settings that cannot be read are said on the page, and nothing breaks."""
    Workspace.create(tmp_path / "w", "seed = 'no number'\n")
    for house in housed(tmp_path / "w"):
        assert "settings of this workspace cannot be read" in look(house("owner"), "/loop")
