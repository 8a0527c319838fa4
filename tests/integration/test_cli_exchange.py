"""Judgements from elsewhere reach the reward model and the policy, when they are asked for; and go out again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assent.client import Client
from assent.store import Workspace, dump_rows, list_people, rankings
from assent.types.feedback import PersonKind
from benchmarks.service import enter
from tests.browser.server import OwnProcess
from tests.browser.world import make_world
from tests.checkpoints import Shape
from tests.command_line import assent, flags

SETTINGS = {
    "sampling.max-new-tokens": 6,
    "people.holdout-share": 0.3,
    "reward-model.reference-samples": 8,
    "evaluation.bootstrap": 100,
    "compute.threads": 1,
}


@pytest.fixture
def workspace(tmp_path: Path, checkpoint: Callable[[Shape], Path]) -> Path:
    prompts = tmp_path / "prompts.jsonl"
    split = ("train", "test")
    prompts.write_text("".join(f'{{"prompt": "What is {n} and {n}?", "split": "{split[n % 2]}"}}\n' for n in range(20)))
    made = assent("init", tmp_path / "w", "--model", checkpoint("llama"), "--prompts", prompts, *flags(SETTINGS))
    assert made.code == 0, made.err
    return tmp_path / "w"


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def pairs(count: int = 40) -> list[dict[str, Any]]:
    return [{"prompt": f"Say {n}", "chosen": "yes " * (2 + n % 3), "rejected": "no"} for n in range(count)]


def test_imports_are_learnt_where_they_are_named(workspace: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "my pairs.jsonl", pairs())
    untold = assent("import", file, cwd=workspace)
    assert untold.code == 2 and "--kind is missing" in untold.err
    done = assent("import", file, "--kind", "ai", "--person", "critic", "--json", cwd=workspace)
    assert done.code == 0, done.err
    name = done.json["run_ids"][0]
    assert name.startswith("import-my-pairs-") and done.json["people"] == {"ai": 40}
    assert set(done.json["tasks"]) == {"train", "holdout"} and "format: preference" in done.err
    again = assent("import", file, "--kind", "ai", "--person", "critic", "--json", cwd=workspace)
    assert (again.json["judgements"], again.json["known"]) == (0, 40) and "nothing new" in again.err

    silent = assent("reward", cwd=workspace)
    assert silent.code == 3 and "round 1 has no tasks yet" in silent.err
    wrong = assent("reward", "--people.imports", "import-x", cwd=workspace)
    assert wrong.code == 2 and "there is no such import" in wrong.err and name in wrong.err
    learnt = assent("reward", "--people.imports", name, "--force", "--json", cwd=workspace)
    assert learnt.code == 0, learnt.err
    assert "40 judgements, 40 of them imported" in learnt.err
    with Workspace.open(workspace).open_store() as store:
        (critic,) = list_people(store)
        assert (critic.name, critic.kind) == ("critic", PersonKind.AI)
    told = assent("lineage", learnt.json["reward"], cwd=workspace)
    assert "critic (40)" in told.out and "imported:my pairs.jsonl" in told.out
    late = assent("import", file, "--kind", "ai", "--round", 1, cwd=workspace)
    assert late.code == 3 and "round 1 has learnt already" in late.err


def test_dpo_learns_from_imports(workspace: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "pairs.jsonl", pairs())
    assert assent("import", file, "--kind", "human", cwd=workspace).code == 0
    words = ("--people.imports", "all", "--preference.epochs", 1, "--preference.batch-size", 8, "--json")
    done = assent("dpo", *words, cwd=workspace)
    assert done.code == 0, done.err
    assert done.json["comparisons"] + done.json["held_out_accuracy"]["count"] <= 40
    assert done.json["identical"] == 0


def test_what_is_not_asked_for_is_not_learnt(workspace: Path, tmp_path: Path) -> None:
    """With judgements of its own, a round says that there are imported ones beside them."""
    assert assent("import", write(tmp_path / "p.jsonl", pairs()), "--kind", "human", cwd=workspace).code == 0
    own = {
        "people.rankings-per-round": 12,
        "people.kind": "simulated",
        "people.marks": "tests.command_line:length_mark",
        "people.agreement": 0.6,
        "people.overlap": 2,
    }
    own |= {"people.completions-per-ranking": 2}
    for command in ("sample", "simulate", "reward"):
        done = assent(command, *flags(own), *(("--force", "--json") if command == "reward" else ()), cwd=workspace)
        assert done.code == 0, done.err
    assert "40 imported judgements are not learnt from" in done.err
    with Workspace.open(workspace).open_store() as store:
        held = [row for row in dump_rows(store)["dataset_judgements"]]
        assert len(held) == len(rankings(store, ["round1-sample"])) > 0


def test_test_prompts_are_not_learnt_from(workspace: Path, tmp_path: Path) -> None:
    row = {"prompt": "What is 3 and 3?", "chosen": "6", "rejected": "7"}
    file = write(tmp_path / "pairs.jsonl", [*pairs(5), row])
    refused = assent("import", file, "--kind", "human", cwd=workspace)
    assert refused.code == 3 and f"{file}, line 6: this prompt is one of the test prompts" in refused.err
    with Workspace.open(workspace).open_store() as store:
        assert rankings(store) == []
    left = assent("import", file, "--kind", "human", "--skip-bad", cwd=workspace)
    assert left.code == 0 and "5 judgements" in left.out and "1 rows were left out" in left.out


def test_demonstrations_become_a_file_that_sft_takes(workspace: Path, tmp_path: Path) -> None:
    talk = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hm?"},
        {"role": "user", "content": "Ho"},
    ]
    rows = [{"prompt": talk, "completion": [{"role": "assistant", "content": f"Hey {n}"}]} for n in range(8)]
    done = assent("import", write(tmp_path / "demos.jsonl", rows), "--json", cwd=workspace)
    assert done.code == 0, done.err
    assert done.json["setting"] == "sft.demonstrations" and "--sft.demonstrations imports/demos.jsonl" in done.err
    assert assent("import", tmp_path / "demos.jsonl", cwd=workspace).code == 0  # the same again is no error
    other = assent("import", write(tmp_path / "demos.jsonl", rows[:3]), cwd=workspace)
    assert other.code == 3 and "holds something else" in other.err
    learnt = assent("sft", "--sft.demonstrations", "imports/demos.jsonl", "--sft.steps", 1, cwd=workspace)
    assert learnt.code == 0, learnt.err


def test_judged_one_by_one_for_kto(workspace: Path, tmp_path: Path) -> None:
    rows = [{"prompt": f"Say {n // 2}", "completion": ["yes", "no"][n % 2], "label": n % 2 == 0} for n in range(8)]
    done = assent("import", write(tmp_path / "thumbs.jsonl", rows), "--json", cwd=workspace)
    assert done.code == 0 and done.json["setting"] == "preference.comparisons"
    words = ("--preference.type", "kto", "--preference.epochs", 1, "--preference.batch-size", 4)
    learnt = assent("dpo", "--preference.comparisons", "imports/thumbs.jsonl", *words, cwd=workspace)
    assert learnt.code == 0, learnt.err


def test_out_and_loaded(workspace: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    assert assent("import", write(tmp_path / "p.jsonl", pairs()), "--kind", "human", cwd=workspace).code == 0
    words = ("--format", "preference", "--split", "all", "--conversational", "--json")
    done = assent("export", tmp_path / "out", *words, cwd=workspace)
    assert done.code == 0, done.err
    rows = datasets.load_from_disk(str(tmp_path / "out"))
    assert len(rows) == done.json["rows"] == 40
    assert rows[0] == {
        "prompt": [{"role": "user", "content": "Say 0"}],
        "chosen": [{"role": "assistant", "content": "yes yes "}],
        "rejected": [{"role": "assistant", "content": "no"}],
    }
    card = json.loads((tmp_path / "out.card.json").read_text())
    assert card["judgements_by_kind"] == {"human": 40} and card["content_hash"] == done.json["content_hash"]
    refused = assent("export", tmp_path / "out", *words, cwd=workspace)
    assert refused.code == 3 and "exists already" in refused.err
    assert assent("export", tmp_path / "x.jsonl", "--round", 7, cwd=workspace).code == 3
    assert assent("export", tmp_path / "x.jsonl", "--run", "none", cwd=workspace).code == 3
    assert not (tmp_path / "x.jsonl").exists()


def test_an_import_beside_people_who_judge(tmp_path: Path) -> None:
    """`assent up` serves the workspace; all that people submit meanwhile is there, and so is the whole import."""
    world = make_world(tmp_path / "w", sizes=(2,) * 40, checks=False, consent="", guidelines="")
    with world.workspace.open_store() as store:
        (token,) = enter(store, 1)
    server = OwnProcess(world.workspace)
    server.start()
    acknowledged: list[int] = []
    over = threading.Event()

    def judge() -> None:
        client = Client(server.url, token)
        while not over.is_set() and (task := client.next()):
            acknowledged.append(client.submit(task, [1, 2], seconds=3.0)["judgement_id"])
            time.sleep(0.1)

    someone = threading.Thread(target=judge)
    someone.start()
    try:
        file = write(tmp_path / "many.jsonl", pairs(3000))
        done = assent("import", file, "--kind", "ai", "--json", cwd=world.workspace.path)
        over.set()
        someone.join(120)
        assert done.code == 0, done.err
        assert done.json["judgements"] == 3000 and acknowledged
    finally:
        over.set()
        server.kill()
    with world.workspace.open_store() as store:
        kept = {ranking.judgement_id for ranking in rankings(store)}
    assert len(kept) == 3000 + len(acknowledged) and kept >= set(acknowledged)
