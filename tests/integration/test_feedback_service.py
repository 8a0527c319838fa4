"""The whole chain through the service: owner's link, invitation, queue, undo, edit, freeze, a reward model, lineage."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

import pytest

from assent.store import Workspace, counts, get_artifact, list_people, rankings
from assent.store.campaigns import serve_the_loop
from assent.store.secrets import installation_secret
from assent.types.feedback import PersonKind
from assent.web import Service
from tests.checkpoints import Shape
from tests.command_line import TINY, assent, flags
from tests.web.people import House

PORT = 8731
SETTINGS = {
    "sampling.max-new-tokens": 6,
    "people.completions-per-ranking": 3,
    "people.rankings-per-round": 12,
    "people.holdout-share": 0.3,
    "people.overlap": 2,
    "reward-model.steps": 2,
    "reward-model.reference-samples": 8,
    "compute.threads": 1,
}


def test_from_the_owners_link_to_a_reward_model(tmp_path: Path, checkpoint: Callable[[Shape], Path]) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(f'{{"prompt": "What is {number} and {number}?"}}\n' for number in range(20)))
    known = {name: value for name, value in SETTINGS.items() if name != "reward-model.steps"}
    made = assent("init", tmp_path / "w", "--model", checkpoint("llama"), "--prompts", prompts, *flags(known))
    assert made.code == 0, made.err
    assert assent("loop", cwd=tmp_path / "w").code == 7
    place = Workspace.open(tmp_path / "w")
    with place.open_store() as store:
        serve_the_loop(store)
        service = Service(store, installation_secret(store), place.path, hosts=("testserver",))
        with House(service) as house:
            for name in ("annotator", "annotator2"):
                person = house(name)
                while not isinstance(task := person.next(), str):
                    done = person.submit(task, (2, 1, 3))["judgement_id"]
            first = house("annotator").get("/me/judgements")["items"][-1]["id"]
            better = {"ranks": [2, 1, 3], "rewrite": "Twice as much."}
            written = house("annotator").done("PUT", f"/judgements/{first}", better)["judgement_id"]
            again = person.post(f"/judgements/{done}/undo")["assignment"]
            done = person.submit(again, (3, 1, 2))["judgement_id"]
            done = person.done("PUT", f"/judgements/{done}", {"ranks": [1, 2, 2]})["judgement_id"]
            found = counts(store, ["round1-sample"])
            assert found.submitted == found.wanted == 12
            dataset = house("owner").post("/datasets", {"run_ids": ["round1-sample"]}, 201)
            assert dataset["card"]["train"] + dataset["card"]["holdout"] == 12
            assert person.call("PUT", f"/judgements/{done}", {"ranks": [1, 1, 1]}).status_code == 409
    words = ("reward", "--reward_model.dataset", dataset["id"][:14], "--run", "frozen", "--force", "--json")
    trained = assent(*words, cwd=place.path)
    assert trained.code == 0, trained.err
    reward = trained.json["reward"]
    down = json.loads(assent("lineage", f"judgement:{done}", "--down", "--json", cwd=place.path).out)["down"]
    assert dataset["id"] in str(down) and reward in str(down)
    # A better answer that somebody wrote reaches fine-tuning, with its lineage.
    tuned = assent("sft", "--rewrites", "--run", "written", "--sft.steps", 2, "--json", cwd=place.path)
    assert tuned.code == 0, tuned.err
    down = assent("lineage", f"judgement:{written}", "--down", "--json", cwd=place.path).json["down"]
    assert tuned.json["sft"] in str(down)
    with place.open_store() as store:
        model = get_artifact(store, tuned.json["sft"])
    assert (model.card["demonstrations"], model.card["rewrites"]) == (1, 1)
    # The loop goes on with the same judgements, in a version of its own.
    went_on = assent("reward", "--force", "--json", cwd=place.path)
    assert went_on.code == 0, went_on.err


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_demo_with_the_person_at_the_keyboard(tmp_path: Path) -> None:
    words = ["demo", "d", "--people", "me", "--rankings", "5", "--port", str(PORT), "--force"]
    command = [sys.executable, "-m", "assent", *words, *flags({**TINY, "algorithm.warmup-steps": 0})]
    paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}  # where people.marks is found
    out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(command, cwd=tmp_path, env=paths, text=True, **out)
    assert process.stdout
    said: list[str] = []
    stop = threading.Timer(1500, process.kill)
    stop.start()
    try:
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://\S+/link/\S+", line):
                opener = judge_all(found[0])
            if "the loop goes on" in line:  # what has become of it can be looked at meanwhile
                assert "Round 2" in opener.open(f"http://127.0.0.1:{PORT}/loop").read().decode()
        process.wait(60)
    finally:
        stop.cancel()
        process.kill()
    assert process.returncode == 0, "".join(said[-30:])
    assert "5 rankings of round 2 wait for you" in "".join(said)
    with Workspace.open(tmp_path / "d").open_store() as store:
        (me,) = list_people(store, PersonKind.HUMAN)
        assert len(rankings(store, ["round2-sample"], person_ids=[me.id])) == 4
        found = counts(store, ["round2-sample"])
        assert found.submitted == found.wanted, "somebody else judged what they could not"


def judge_all(link: str) -> OpenerDirector:
    """A person follows the link and judges until nothing is open; of the first task they cannot say anything."""
    base = link.partition("/link/")[0]
    opener = build_opener(HTTPCookieProcessor(CookieJar()))
    page = opener.open(link, urlencode({"name": "Me", "login": "me"}).encode()).read().decode()
    csrf = re.search(r'name="csrf-token" content="([^"]+)"', page)
    assert csrf
    headers = {"X-CSRF-Token": csrf[1], "Content-Type": "application/json"}

    def ask(path: str, body: object) -> bytes:
        asked = Request(f"{base}/api/v1{path}", json.dumps(body).encode(), headers)
        return bytes(opener.open(asked).read())

    with pytest.raises(HTTPError, match="403"):  # the world's guidelines come first
        ask("/assignments/next", {})
    ask("/me/campaigns/1/consent", {"consent_version": 0, "guidelines_version": 1})
    first = json.loads(ask("/assignments/next", {}))
    ask(f"/assignments/{first['id']}/decline", {"reason": "cannot-judge"})
    while text := ask("/assignments/next", {}):
        task = json.loads(text)
        ranks = list(range(1, len(task["completions"]) + 1))
        ask(f"/assignments/{task['id']}/submit", {"ranks": ranks, "seconds": 3})
    return opener
