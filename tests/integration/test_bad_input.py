"""What goes wrong after a workspace was made: a clear word, its exit code, nothing half-written, and a way to go on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path

import pytest

from assent.store import Workspace, list_artifacts, list_runs
from tests.checkpoints import Shape, build_checkpoint
from tests.command_line import Done, assent, flags

Checkpoint = Callable[[Shape], Path]
REWARD = "tests.integration.own_functions:vowel_reward"
SETTINGS = {
    "sampling.max-new-tokens": 8,
    "rl.steps": 2,
    "rl.rollouts-per-step": 4,
    "rl.evaluate-prompts": 4,
    "rl.checkpoint-every": 1,
    "evaluation.prompts": 4,
    "evaluation.bootstrap": 100,
    "compute.threads": 1,
}
QUESTIONS = [f"How do I clean window number {number}?" for number in range(16)]


def write_lines(path: Path, *values: object) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def ask(path: Path) -> Path:
    """A file of prompts, each with its split."""
    splits = ["train", "train", "train", "test"] * 4
    return write_lines(path, *({"prompt": q, "split": s} for q, s in zip(QUESTIONS, splits, strict=True)))


def make(folder: Path, checkpoint: Path, *words: object, at: Path | None = None, **settings: object) -> Path:
    """A workspace on a copy of this checkpoint, which a test may then spoil. Returns its folder."""
    model = folder / "model"
    shutil.copytree(checkpoint, model)
    prompts = ask(folder / "prompts.jsonl")
    place = at or folder / "w"
    given = flags({**SETTINGS, **settings})
    words = words or ("--reward", REWARD)
    done = assent("init", place, "--model", model, "--prompts", prompts, *words, *given)
    assert done.code == 0, done.err
    return place


def tree(workspace: Path) -> dict[str, str]:
    """Every file of a workspace by the hash of its bytes; the lock and SQLite's side files come and go."""
    files = (path for path in workspace.rglob("*") if path.is_file())
    passing = {".lock", "assent.db-wal", "assent.db-shm"}
    return {
        str(path.relative_to(workspace)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name not in passing
    }


def refused(done: Done, code: int, *said: str) -> None:
    """The command ended with this code and these words, and not with a traceback."""
    assert done.code == code, done.err + done.out
    assert "Traceback" not in done.err
    for words in said:
        assert words in done.err, done.err


@pytest.fixture
def workspace(tmp_path: Path, checkpoint: Checkpoint) -> Path:
    return make(tmp_path, checkpoint("llama"))


def broken_line(folder: Path) -> None:
    with (folder / "prompts.jsonl").open("a") as file:
        file.write('{"prompt": "How?"\n')


def emptied(folder: Path) -> None:
    (folder / "prompts.jsonl").write_text("")


def too_long(folder: Path) -> None:
    write_lines(folder / "prompts.jsonl", {"prompt": "How?"}, {"prompt": "Why?"}, {"prompt": "why and how " * 100})


def no_tokenizer(folder: Path) -> None:
    for file in (folder / "model").glob("tokenizer*"):
        file.unlink()


def no_end_token(folder: Path) -> None:
    build_checkpoint(folder / "model", "llama", end=None)


def other_vocabulary(folder: Path) -> None:
    file = folder / "model" / "tokenizer.json"
    held = json.loads(file.read_text())
    held["model"]["vocab"].update({f"new{i}": len(held["model"]["vocab"]) + i for i in range(500)})
    file.write_text(json.dumps(held))


def cut_off(folder: Path) -> None:
    weights = folder / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def flipped(folder: Path) -> None:
    """One bit of one weight: the file still loads."""
    weights = folder / "model" / "model.safetensors"
    flip_last_bit(weights)


def flip_last_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)


def unknown_setting(folder: Path) -> None:
    with (folder / "w" / "assent.toml").open("a") as file:
        file.write("\n[health]\nmin_acuracy = 0.6\n")


SPOILT = [
    (broken_line, 3, ("prompts.jsonl, line 17", "broken JSON")),
    (emptied, 3, ("prompts.jsonl", "empty")),
    (too_long, 3, ("prompts.jsonl, line 3", "tokens", "max_new_tokens")),
    (no_tokenizer, 4, ("model", "has no tokenizer files")),
    (no_end_token, 4, ("model", "no end-of-sequence token")),
    (other_vocabulary, 4, ("model", "vocabulary mismatch")),
    (cut_off, 4, ("model", "damaged")),
    (unknown_setting, 2, ("assent.toml", "health.min_acuracy", "min_accuracy")),
]


@pytest.mark.parametrize(("spoil", "code", "said"), SPOILT, ids=[spoil.__name__ for spoil, _, _ in SPOILT])
def test_the_loop_begins_only_if_all_is_in_order(
    spoil: Callable[[Path], None], code: int, said: tuple[str, ...], workspace: Path
) -> None:
    spoil(workspace.parent)
    before = tree(workspace)
    refused(assent("loop", cwd=workspace), code, *said)
    assert tree(workspace) == before
    with Workspace.open(workspace).open_store() as store:
        assert list_runs(store) == [] and list_artifacts(store) == []


def test_a_generator_that_is_not_installed_is_refused_before_anything_begins(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = make(tmp_path, checkpoint("llama"))
    found = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *more: None if name == "vllm" else found(name, *more))
    refused = assent("rl", "--sampling.generator", "vllm", cwd=place)
    assert refused.code == 2
    assert "vLLM is not installed here" in refused.err and "pip install 'assent[vllm]'" in refused.err
    assert not list((place / "runs").glob("*"))
    done = assent("rl", "--rl.steps", "1", cwd=place)
    assert done.code == 0, done.err


def test_a_loop_goes_on_only_with_the_same_checkpoint(workspace: Path) -> None:
    assert assent("loop", "--rounds", "1", cwd=workspace).code == 0
    before = tree(workspace)
    flipped(workspace.parent)
    refused(assent("loop", "--rounds", "2", cwd=workspace), 6, str(workspace.parent / "model"), "not those")
    assert tree(workspace) == before
    flipped(workspace.parent)  # the same bit again: as it was
    assert assent("loop", "--rounds", "2", cwd=workspace).code == 0


@pytest.mark.parametrize("spoil", [flip_last_bit, Path.unlink], ids=["flipped", "gone"])
def test_a_damaged_artifact_is_not_used(spoil: Callable[[Path], None], workspace: Path) -> None:
    assert assent("rl", "--json", cwd=workspace).code == 0
    (weights,) = workspace.glob("artifacts/policy/*/model.safetensors")
    shutil.copy(weights, workspace.parent)
    spoil(weights)
    before = tree(workspace)
    refused(assent("loop", "--rounds", "1", cwd=workspace), 6, str(weights.parent), "changed or damaged")
    after = tree(workspace)
    assert {name for name in before if after.get(name) != before[name]} <= {"assent.db"}  # the evaluation was begun
    shutil.copy(workspace.parent / weights.name, weights)
    assert assent("loop", "--rounds", "1", cwd=workspace).code == 0


def test_what_is_trained_on_is_not_held_out(tmp_path: Path, checkpoint: Checkpoint) -> None:
    file = write_lines(
        tmp_path / "shown.jsonl",
        {"prompt": QUESTIONS[0], "completion": "With soap."},
        {"prompt": QUESTIONS[3], "completion": "With vinegar."},
    )
    words = ("--sft.demonstrations", file, "--reward", REWARD)
    model, prompts = checkpoint("llama"), ask(tmp_path / "prompts.jsonl")
    done = assent("init", tmp_path / "w", "--model", model, "--prompts", prompts, *words)
    refused(done, 3, "shown.jsonl, line 2", "test prompts", QUESTIONS[3])
    assert not (tmp_path / "w").exists()
    write_lines(file, {"prompt": QUESTIONS[0], "completion": "With soap."})
    done = assent("init", tmp_path / "w", "--model", model, "--prompts", prompts, *words)
    assert done.code == 0, done.err
    write_lines(file, {"prompt": QUESTIONS[7], "completion": "With soap."})
    refused(assent("loop", cwd=tmp_path / "w"), 3, "shown.jsonl, line 1", QUESTIONS[7])


def test_a_reward_that_fails_in_mid_run(tmp_path: Path, checkpoint: Checkpoint) -> None:
    """It gives NaN once, at the third step; mended, the run goes on from the second."""
    (tmp_path / "moody.py").write_text(
        "from pathlib import Path\n"
        "calls = 0\n"
        "def reward(prompts, completions):\n"
        "    global calls\n"
        "    calls += 1\n"
        "    nan = Path('nan').exists() and calls == 4\n"  # the first call is of the held-out prompts
        "    return [float('nan') if nan else len(text) / 9 for text in completions]\n"
    )
    (tmp_path / "nan").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        workspace = make(tmp_path, checkpoint("llama"), "--reward", "moody:reward", **{"rl.steps": 4})
        done = assent("loop", "-w", workspace, "--rounds", "1", cwd=tmp_path)
        refused(done, 5, "moody:reward", "nan", "finite number")
        assert not list(workspace.glob("artifacts/*/*"))
        with Workspace.open(workspace).open_store() as store:
            assert [(run.id, run.done) for run in list_runs(store)] == [("round1-rl", False)]
        assert [path.name for path in workspace.glob("runs/*/checkpoints/*")] == ["step-000001", "step-000002"]
        (tmp_path / "nan").unlink()
        done = assent("loop", "-w", workspace, "--rounds", "1", cwd=tmp_path)
        assert done.code == 0, done.err
        assert "4 to do, 2 done before" in done.out


def test_labels_that_nobody_could_learn_are_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    """People agree with one another, but by a rule that says nothing of a new text: labels as good as shuffled."""
    people = ("--people.kind", "simulated", "--people.marks", "tests.integration.own_functions:arbitrary_marks")
    few = {"people.rankings-per-round": 60, "people.holdout-share": 0.4, "reward-model.reference-samples": 8}
    workspace = make(tmp_path, checkpoint("llama"), *people, **few)
    done = assent("loop", "--rounds", "1", cwd=workspace)
    refused(done, 5, "unhealthy", "below people's own agreement", "--force")
    with Workspace.open(workspace).open_store() as store:
        kinds = [artifact.kind for artifact in list_artifacts(store)]
    assert "reward" in kinds and "policy" not in kinds
    page = Path(assent("report", "--json", cwd=workspace).json["report"]).read_text(encoding="utf-8")
    assert "unhealthy" in page and "unhealthy, forced" not in page
    done = assent("loop", "--rounds", "1", "--force", "--json", cwd=workspace)
    assert done.code == 0, done.err
    assert "unhealthy, forced" in Path(done.json["report"]).read_text(encoding="utf-8")


def test_a_metrics_line_cut_off_spoils_no_report(workspace: Path) -> None:
    assert assent("loop", "--rounds", "1", cwd=workspace).code == 0
    shown = [assent("report", cwd=workspace).code]
    with (workspace / "runs" / "round1-rl" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "rewa')  # what a full disk or a kill leaves
    shown.append(assent("report", cwd=workspace).code)
    assert shown == [0, 0]


def begin(workspace: Path) -> subprocess.Popen[str]:
    """A loop in a process of its own, held up after its second checkpoint."""
    paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-m", "assent", "loop", "--rounds", "1"]
    process = subprocess.Popen(
        words, cwd=workspace, env=paths, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    saved = workspace / "runs" / "round1-rl" / "checkpoints"
    while process.poll() is None and len(list(saved.glob("step-*"))) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)  # it waits, holding the workspace, for as long as the test needs
    return process


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def test_two_loops_a_signal_and_a_damaged_checkpoint(tmp_path: Path, checkpoint: Checkpoint) -> None:
    workspace = make(tmp_path, checkpoint("llama"), **{"rl.steps": 24, "rl.checkpoint-every": 4})
    twin = shutil.copytree(workspace, tmp_path / "twin")
    with begin(workspace) as process:
        refused(assent("loop", cwd=workspace), 6, "in use by another process", str(process.pid))
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert "stopped by SIGTERM" in said and "is saved" in said and "Traceback" not in said
    *_, older, newest = sorted((workspace / "runs" / "round1-rl" / "checkpoints").iterdir(), key=step_of)
    for name in ("state.safetensors", "state.json"):
        whole = (newest / name).read_bytes()
        (newest / name).write_bytes(whole[: len(whole) // 2])
        before = tree(workspace)
        refused(assent("loop", "--rounds", "1", cwd=workspace), 6, str(newest), "damaged", "delete")
        assert tree(workspace) == before
        (newest / name).write_bytes(whole)
    shutil.rmtree(newest)  # as the message says
    done = assent("loop", "--rounds", "1", cwd=workspace)
    assert done.code == 0, done.err
    assert f"24 to do, {step_of(older)} done before" in done.out
    # What comes of it is what would have come of it anyway.
    assert assent("loop", "--rounds", "1", cwd=twin).code == 0
    assert artifacts(workspace) == artifacts(twin)
    metrics = [(each / "runs" / "round1-rl" / "metrics.jsonl").read_bytes() for each in (workspace, twin)]
    assert metrics[0] == metrics[1]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes of its own; skips where mounting is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = os.geteuid() == 0 and shutil.which("mount") is not None
    if mounted:
        command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("mounting a file system needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint) -> list[str]:
    """The artifacts of a loop that nothing came in the way of."""
    workspace = make(tmp_path_factory.mktemp("undisturbed"), checkpoint("llama"))
    assert assent("loop", "--rounds", "1", cwd=workspace).code == 0
    return artifacts(workspace)


def artifacts(workspace: Path) -> list[str]:
    """Their ids, which hold the hash of their content; each has its files."""
    with Workspace.open(workspace).open_store() as store:
        found = list_artifacts(store)
    assert all((workspace / artifact.path).is_dir() for artifact in found)
    return [artifact.id for artifact in found]


@pytest.mark.parametrize("left", [0, 40_000, 900_000, 2_500_000, 4_500_000])
def test_a_full_disk_in_mid_loop(
    left: int, small_disk: Path, tmp_path: Path, checkpoint: Checkpoint, undisturbed: list[str]
) -> None:
    """Full from the start, in the database, in a checkpoint, in a later one, in an artifact or the report."""
    workspace = make(tmp_path, checkpoint("llama"), at=small_disk / "w")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - left))
    refused(assent("loop", "--rounds", "1", cwd=workspace), 6, "full", "Free some space")
    assert not list(small_disk.rglob("*.partial"))
    ballast.unlink()
    assert set(artifacts(workspace)) <= set(undisturbed)
    done = assent("loop", "--rounds", "1", cwd=workspace)
    assert done.code == 0, done.err
    assert artifacts(workspace) == undisturbed
    assert (workspace / "report.html").is_file()
    assert not list(workspace.glob("runs/*/checkpoints"))


def test_a_read_only_workspace(small_disk: Path, tmp_path: Path, checkpoint: Checkpoint) -> None:
    workspace = make(tmp_path, checkpoint("llama"), at=small_disk / "w")
    before = tree(workspace)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for command in (("loop",), ("sample",), ("report",)):
        refused(assent(*command, cwd=workspace), 6, str(workspace), "read-only")
    refused(assent("init", small_disk / "new", "--task", "household"), 6, "read-only")
    assert tree(workspace) == before and not (small_disk / "new").exists()
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert assent("loop", "--rounds", "1", cwd=workspace).code == 0


def test_a_run_that_would_not_fit_into_memory_does_not_begin(checkpoint: Checkpoint, tmp_path: Path) -> None:
    place = make(tmp_path, checkpoint("llama"))
    refused = assent("rl", "--run", "large", "--compute.memory", "0.0005", cwd=place)
    assert refused.code == 2 and "MiB of memory beside the weights" in refused.err
    assert "gradients and optimiser" in refused.err and "compute.memory" in refused.err
    assert not (place / "runs" / "large").exists()
    # nothing stands in the way of what the message tells one to do
    done = assent("rl", "--run", "large", "--compute.memory", "8", "--sampling.batch-size", "7", cwd=place)
    assert done.code == 0, done.err
    assert "of memory beside the weights, of 8.0 GiB that are free" in done.out
