"""The commands that train, on a model so small that a round takes seconds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from assent.store import Workspace, list_promotions, list_runs
from tests.checkpoints import Shape
from tests.command_line import TINY, Done, assent, flags

FIGURES = {
    "seconds",
    "gold_win_rate",
    "people_win_rate",
    "kl",
    "criteria",
    "rm_accuracy",
    "rm_ceiling",
    "rankings_per_round",
    "unpenalised",
    "penalised",
    "measured",
    "report",
}
OWN_MODEL = {
    "sampling.max-new-tokens": 8,
    "rl.steps": 1,
    "rl.rollouts-per-step": 4,
    "rl.evaluate-prompts": 4,
    "evaluation.prompts": 4,
    "evaluation.bootstrap": 100,
    "compute.threads": 1,
}


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """One round, a stage at a time; how each command ended."""
    folder = tmp_path_factory.mktemp("stages") / "w"
    found = {"init": assent("init", folder, *flags(TINY), "--json")}
    for command in ("pretrain", "sft", "sample", "simulate", "reward", "rl", "eval"):
        force = ["--force"] if command in ("reward", "rl") else []
        found[command] = assent(command, *force, "--json", cwd=folder)
    return found


@pytest.fixture(scope="module")
def workspace(stages: dict[str, Done]) -> Path:
    return Path(stages["init"].json["workspace"])


def run_ids(workspace: Path) -> list[str]:
    with Workspace.open(workspace).open_store() as store:
        return [run.id for run in list_runs(store)]


def test_every_stage_alone(stages: dict[str, Done], workspace: Path) -> None:
    assert {name: done.code for name, done in stages.items()} == dict.fromkeys(stages, 0), stages
    assert stages["pretrain"].json["base"].startswith("base-")
    assert stages["sample"].json["judgements_wanted"] == 60
    assert stages["simulate"].json["round1-sample"] == 60
    assert stages["reward"].json["round"] == 1
    assert stages["eval"].json["policy"] == stages["rl"].json["policy"]
    assert isinstance(stages["eval"].json["promoted"], bool)
    assert all(done.out.count("\n") == 1 for done in stages.values())  # progress went to stderr
    noise = ("Loading weights", "Writing model shards", "Warning")
    assert [word for done in stages.values() for word in noise if word in done.err] == []


def test_the_loop_goes_on_from_single_stages(stages: dict[str, Done], workspace: Path) -> None:
    before = run_ids(workspace)
    done = assent("loop", "--rounds", "1", "--force", "--json", cwd=workspace)
    assert done.code == 0, done.err
    assert set(run_ids(workspace)) - set(before) == {"round1-unpenalised"}
    assert done.json.keys() >= FIGURES
    assert done.json["rankings_per_round"] == [60]
    assert Path(done.json["report"]).read_text().startswith("<!doctype html>")
    assert {"base", "sft", "rlhf"} <= done.json["criteria"].keys()
    assert "SFT" in done.err and "report:" in done.err

    again = assent("loop", "--rounds", "1", "--force", cwd=workspace)
    assert again.code == 0
    assert "pretrain" not in again.out and "rl (ppo)" not in again.out
    assert f"report: {workspace / 'report.html'}" in again.out


def test_without_force_an_unhealthy_reward_model_stops_the_loop(workspace: Path) -> None:
    for command in ("loop", "rl"):
        done = assent(command, *(["--round", "1"] if command == "rl" else ["--rounds", "1"]), cwd=workspace)
        assert done.code == 5
        assert "unhealthy" in done.err and "--force" in done.err


def test_an_experiment_beside_the_loop(stages: dict[str, Done], workspace: Path) -> None:
    done = assent("rl", "--run", "bold", "--algorithm.kl-coef", "0.0", "--force", "--json", cwd=workspace)
    assert done.code == 0, done.err
    assert done.json["round"] == 1
    assert done.json["policy"] != stages["rl"].json["policy"]
    judged = assent("eval", "--run", "bold", "--json", cwd=workspace)
    assert judged.json["policy"] == done.json["policy"]
    assert {"bold", "bold-eval"} <= set(run_ids(workspace))
    with Workspace.open(workspace).open_store() as store:  # whatever people said of it, it is never in service
        assert {each.artifact_id for each in list_promotions(store)} == {stages["rl"].json["policy"]}
    changed = assent("rl", "--run", "bold", "--algorithm.kl-coef", "0.5", "--force", cwd=workspace)
    assert changed.code == 6 and "kl_coef" in changed.err
    assert assent("rl", "--run", "round7-rl", "--force", cwd=workspace).code == 2
    assert assent("eval", "--run", "nothing", cwd=workspace).code == 3


def test_the_report_alone(stages: dict[str, Done], workspace: Path) -> None:
    (workspace / "report.html").unlink(missing_ok=True)
    done = assent("report", "--json", cwd=workspace)
    assert done.code == 0
    assert Path(done.json["report"]).is_file()


def test_lineage_answers_both_ways(stages: dict[str, Done], workspace: Path) -> None:
    policy, reward = stages["rl"].json["policy"], stages["reward"].json["reward"]
    up = assent("lineage", policy, "--up", "--json", cwd=workspace).json
    assert up.keys() == {"id", "up"}
    shown = json.dumps(up)
    assert reward in shown and "labeller-01" in shown and stages["sft"].json["sft"] in shown
    down = json.dumps(assent("lineage", "judgement:1", "--down", "--json", cwd=workspace).json)
    assert policy in down and reward in down
    drawn = assent("lineage", policy[:10], cwd=workspace)
    assert "what it came from" in drawn.out and "16 simulated people" in drawn.out and "what came of it" in drawn.out
    listed = assent("lineage", cwd=workspace)
    assert policy in listed.out and reward in listed.out
    wrong = assent("lineage", "policy-zzz", cwd=workspace)
    assert wrong.code == 3 and "Did you mean" in wrong.err


def test_a_callable_gives_the_reward(tmp_path: Path, checkpoint: Callable[[Shape], Path]) -> None:
    (tmp_path / "brief.py").write_text(
        "def brevity(prompts, completions):\n    return [-len(c) / 9 for c in completions]\n"
    )
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(f'{{"prompt": "What is {number} and {number}?"}}\n' for number in range(12)))
    made = assent(
        "init", "w", "--model", checkpoint("gpt2"), "--prompts", prompts, "--reward", "brief:brevity",
        *flags(OWN_MODEL), cwd=tmp_path,
    )  # fmt: skip
    assert made.code == 0, made.err
    assert "assent loop --workspace w" in made.out  # brief.py is found from here, not from there
    done = assent("loop", "-w", "w", "--rounds", "1", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.json["rankings_per_round"] == [] and done.json["people_win_rate"] is None
    assert assent("reward", "-w", "w", cwd=tmp_path).code == 2


def test_a_reward_that_is_no_number_is_refused(tmp_path: Path, checkpoint: Callable[[Shape], Path]) -> None:
    (tmp_path / "broken.py").write_text(
        "def nan(prompts, completions):\n    return [float('nan') for _ in completions]\n"
    )
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(f'{{"prompt": "What is {number}?"}}\n' for number in range(12)))
    made = assent("init", "w", "--model", checkpoint("llama"), "--prompts", prompts, *flags(OWN_MODEL), cwd=tmp_path)
    assert made.code == 0, made.err
    done = assent("loop", "-w", "w", "--rounds", "1", "--reward", "broken:nan", cwd=tmp_path)
    assert done.code == 5
    assert "broken:nan" in done.err and "Traceback" not in done.err


@pytest.mark.slow
def test_a_signal_saves_and_the_demo_goes_on(tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "assent",
        "demo",
        "d",
        *flags(TINY),
        "--algorithm.warmup-steps",
        "0",
        "--pretrain.steps",
        "400",
        "--loop.rounds",
        "1",
    ]
    paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        words, cwd=tmp_path, env=paths, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith("pretrain: 400 to do")
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 143
        said = process.stderr.read()
    assert "stopped by SIGTERM: pretrain: step" in said and "run the same command again" in said
    done = assent("demo", "d", "--force", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "done before" in done.err
    assert done.json.keys() >= FIGURES
