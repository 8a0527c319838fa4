"""A loop that was killed at random moments, in another folder, ends with the bits of one that was left alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from assent.store import Workspace, dump_rows, hash_folder, list_artifacts, list_runs
from tests.command_line import TINY, assent, flags

# Saved so often that most kills land between two checkpoints of a stage, few before its first.
SETTINGS = {
    **TINY,
    "pretrain.checkpoint-every": 3,
    "sft.checkpoint-every": 2,
    "reward-model.checkpoint-every": 2,
    "rl.steps": 3,
    "rl.checkpoint-every": 1,
}
POLL = 0.01  # seconds
PATIENCE = 120.0  # seconds for one process to come to where it shall be killed


@dataclass(frozen=True)
class Life:
    """An uninterrupted loop: what it left, how long it took, and when each of its runs began, in seconds."""

    left: dict[str, Any]
    seconds: float
    begun: dict[str, float]


class Loop:
    """`assent loop` in a process of its own."""

    def __init__(self, workspace: Path, rounds: int) -> None:
        self._workspace = workspace
        self._said = workspace.parent / "stderr.txt"
        self._started = time.time_ns()
        words = [sys.executable, "-m", "assent", "loop", "-w", str(workspace), "--rounds", str(rounds), "--force"]
        paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        with self._said.open("w") as said:
            self._process = subprocess.Popen(words, env=paths, stdout=subprocess.DEVNULL, stderr=said)

    def alive(self) -> bool:
        return self._process.poll() is None

    def begun(self) -> set[str]:
        """The runs that this process began or took up: only those that are not done write their settings."""
        files = self._workspace.glob("runs/*/settings.toml")
        return {file.parent.name for file in files if file.stat().st_mtime_ns >= self._started}

    def end(self, number: int | None = None) -> tuple[int, str]:
        """Send a signal, or let it finish; returns its exit code (minus the signal it died of) and its last words."""
        if number is not None:
            self._process.send_signal(number)
        return self._process.wait(PATIENCE), self._said.read_text()


def make_workspace(folder: Path) -> Path:
    folder.parent.mkdir(exist_ok=True)
    made = assent("init", folder, *flags(SETTINGS), "--json")
    assert made.code == 0, made.err
    return folder


def live_on(workspace: Path, rounds: int) -> Life:
    """The loop from its start to its end, watched."""
    started, begun = time.monotonic(), dict[str, float]()
    loop = Loop(workspace, rounds)
    while loop.alive():
        begun |= dict.fromkeys(loop.begun() - begun.keys(), time.monotonic() - started)
        time.sleep(POLL)
    code, said = loop.end()
    assert code == 0, said
    return Life(what_is_left(workspace), time.monotonic() - started, begun)


def come_to(loop: Loop, moment: float, life: Life) -> None:
    """Wait until a process is as far as the uninterrupted one was at this moment, wherever it started from."""
    order = sorted(life.begun, key=life.begun.__getitem__)
    behind = [run_id for run_id in order if life.begun[run_id] <= moment]
    if not behind:
        time.sleep(moment)
        return
    reached, deadline = set(order[len(behind) - 1 :]), time.monotonic() + PATIENCE
    while loop.alive() and not loop.begun() & reached:
        assert time.monotonic() < deadline, f"{behind[-1]} did not begin"
        time.sleep(POLL)
    time.sleep(moment - life.begun[behind[-1]])


def what_is_left(workspace: Path) -> dict[str, Any]:
    """All that must not depend on interruptions; nothing half-written is among it."""
    opened = Workspace.open(workspace)
    with opened.open_store() as store:
        rows = dump_rows(store)
        artifacts = list_artifacts(store)
        runs = list_runs(store)
    assert all(run.done for run in runs)
    for artifact in artifacts:
        assert hash_folder(workspace / artifact.path) == artifact.content_hash
    folders = {path.relative_to(workspace).as_posix() for path in opened.artifacts.glob("*/*")}
    assert folders == {artifact.path for artifact in artifacts}
    assert [path for path in workspace.rglob("*") if path.name.endswith(".partial")] == []
    # Of a run only these remain: no checkpoints, no artifact on its way.
    kept = {"settings.toml", "metrics.jsonl", "timings.jsonl", "pairs.jsonl"}
    assert {path.name for path in opened.runs.glob("*/*")} <= kept
    return {
        "weights": {
            path.relative_to(workspace).as_posix(): path.read_bytes()
            for path in opened.artifacts.rglob("*.safetensors")
        },
        "metrics": {path.parent.name: path.read_text() for path in opened.runs.glob("*/metrics.jsonl")},
        "settings": {path.parent.name: path.read_text() for path in opened.runs.glob("*/settings.toml")},
        "rows": rows,
    }


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Part by part, so that a failure names the file or table."""
    assert found.keys() == expected.keys()
    for part in expected:
        assert found[part].keys() == expected[part].keys(), part
        assert [name for name in expected[part] if found[part][name] != expected[part][name]] == [], part


def spread(count: int, life: Life, seed: int) -> list[float]:
    """Random moments, one in each of `count` equal parts of the loop's work, which begins with its first run."""
    chance = random.Random(seed)
    first = min(life.begun.values())
    width = (life.seconds - first) / count
    return [first + width * (part + chance.random()) for part in range(count)]


def kill_at(moments: Sequence[float], workspace: Path, rounds: int, life: Life) -> int:
    """Start the loop again and again, and kill -9 it at each of these moments; returns how many hit it alive."""
    hits = 0
    for moment in moments:
        loop = Loop(workspace, rounds)
        come_to(loop, moment, life)
        code, said = loop.end(signal.SIGKILL)
        assert code in (-signal.SIGKILL, 0), said
        hits += code == -signal.SIGKILL
    return hits


def finish(workspace: Path, rounds: int) -> dict[str, Any]:
    code, said = Loop(workspace, rounds).end()
    assert code == 0, said
    return what_is_left(workspace)


def test_killed_three_times_in_one_round(tmp_path: Path) -> None:
    life = live_on(make_workspace(tmp_path / "whole"), rounds=1)
    assert {"pretrain", "round1-rl", "round1-eval"} <= life.begun.keys()
    unbound = tomllib.loads(life.left["settings"]["round1-unpenalised"])  # what held for this run, not for the loop
    assert (unbound["algorithm"]["kl_coef"], unbound["rl"]["steps"]) == (0.0, 1)
    broken = make_workspace(tmp_path / "somewhere else" / "broken")
    # The last one may come after the end: a resumed loop is sometimes faster than the first.
    assert kill_at(spread(3, life, seed=1), broken, 1, life) >= 2
    assert_same(finish(broken, rounds=1), life.left)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_ten_times_in_two_rounds(tmp_path: Path, seed: int) -> None:
    life = live_on(make_workspace(tmp_path / "whole"), rounds=2)
    assert "round2-eval" in life.begun
    broken = make_workspace(tmp_path / "somewhere else" / "broken")
    before_any_run = random.Random(seed).uniform(0.0, min(life.begun.values()))
    # The last moments may come after the end: a resumed loop is sometimes faster than the first.
    hits = kill_at([before_any_run, *spread(12, life, seed)], broken, 2, life)
    assert hits >= 10
    assert_same(finish(broken, rounds=2), life.left)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_stopped_politely_in_every_run(tmp_path: Path) -> None:
    life = live_on(make_workspace(tmp_path / "whole"), rounds=1)
    broken = make_workspace(tmp_path / "somewhere else" / "broken")
    ends = [*sorted(life.begun.values()), life.seconds]
    for begin, end in pairwise(ends[:-1]):
        loop = Loop(broken, rounds=1)
        come_to(loop, (begin + end) / 2, life)
        code, said = loop.end(signal.SIGTERM)
        assert code == 143, said
        assert said.startswith("stopped by SIGTERM: ") and " saved" in said and "run the same command again" in said
        assert "Traceback" not in said
    assert_same(finish(broken, rounds=1), life.left)
