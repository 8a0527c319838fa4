"""The commands as a user meets them: what they say, how they end, and what they leave behind."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from assent.cli.app import app
from assent.cli.failures import failures_told
from assent.cli.init import nothing_left_behind
from assent.cli.overrides import divide, read_settings
from assent.cli.settings_file import given_settings
from assent.config import load_settings
from assent.store import Workspace
from assent.types.errors import AssentError, Interrupted, SettingsError, WaitingForPeople
from tests.checkpoints import Shape, build_checkpoint, build_tokenizer
from tests.command_line import TINY, assent, flags

Checkpoint = Callable[[Shape], Path]
COMMANDS = sorted(command.name or "" for command in app.registered_commands)


def lines(path: Path, *values: object) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    questions = [f"How do I clean a window number {number}?" for number in range(12)]
    return lines(tmp_path / "prompts.jsonl", *({"prompt": question} for question in questions))


def test_all_commands_are_there() -> None:
    stages = "pretrain sft sample simulate reward rl dpo best-of eval"
    wanted = f"init demo {stages} loop report lineage doctor rank settings up people freeze backup import export"
    assert sorted(wanted.split()) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command: str) -> None:
    done = assent(command, "--help")
    assert done.code == 0
    assert f"assent {command}" in done.out


def test_version() -> None:
    assert assent("--version").out.startswith("assent 0.")


@pytest.mark.parametrize("words", [("loop", "--rounds", "none"), ("loop", "-x"), ("lineage", "--bogus"), ("nonsense",)])
def test_wrong_usage_ends_with_two(words: tuple[str, ...]) -> None:
    assert assent(*words).code == 2


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ("init", "demo", "settings", "doctor")])
def test_outside_of_a_workspace(command: str, tmp_path: Path) -> None:
    done = assent(command, *["file.jsonl"] * (command in ("backup", "import", "export")), cwd=tmp_path)
    assert done.code == 6, done.err
    assert "is not a workspace" in done.err and "assent init" in done.err
    assert list(tmp_path.iterdir()) == []


def test_unknown_settings_name_the_nearest(tmp_path: Path) -> None:
    done = assent("init", "made", "--rl.stepz", "4", cwd=tmp_path)
    assert done.code == 2
    assert "--rl.stepz" in done.err and "did you mean 'rl.steps'?" in done.err
    assert assent("init", "made", "--rounds", "2", cwd=tmp_path).code == 2
    assert list(tmp_path.iterdir()) == []


def test_init_on_the_bundled_task(tmp_path: Path) -> None:
    done = assent("init", "made", "--rl.steps", "7", "--people.kind", "simulated", "--json", cwd=tmp_path)
    assert done.code == 0
    assert done.json["workspace"] == str(tmp_path / "made")
    assert "assent loop" in done.err
    text = (tmp_path / "made" / "assent.toml").read_text()
    assert text.startswith("#")
    assert 'task = "household"' in text and "steps = 7" in text and "learning_rate" not in text
    again = assent("init", "made", cwd=tmp_path)
    assert again.code == 6 and "a workspace already" in again.err


def test_init_with_a_model_keeps_absolute_paths(tmp_path: Path, checkpoint: Checkpoint, prompts: Path) -> None:
    shutil.copytree(checkpoint("llama"), tmp_path / "model")
    done = assent("init", "made", "--model", "model", "--prompts", "prompts.jsonl", cwd=tmp_path)
    assert done.code == 0, done.err
    settings = load_settings([tmp_path / "made" / "assent.toml"])
    assert settings.model.path == str(tmp_path / "model")
    assert settings.prompts.path == str(prompts)
    assert settings.task is None
    assert "assent rank" in done.out


BROKEN_PROMPTS = {
    "broken line": ('{"prompt": "How?"}\n{"prompt": "Why?"\n', "line 2"),
    "empty": ("", "empty"),
    "too long": (f'{{"prompt": "How?"}}\n{{"prompt": "{"why and how " * 100}"}}\n', "line 2"),
}


@pytest.mark.parametrize("case", BROKEN_PROMPTS)
def test_init_refuses_broken_prompts(case: str, tmp_path: Path, checkpoint: Checkpoint) -> None:
    text, said = BROKEN_PROMPTS[case]
    file = tmp_path / "broken.jsonl"
    file.write_text(text)
    done = assent("init", "deep/made", "--model", checkpoint("llama"), "--prompts", file, cwd=tmp_path)
    assert done.code == 3
    assert "broken.jsonl" in done.err and said in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.jsonl"]


def no_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


def no_end_token(folder: Path) -> None:
    build_checkpoint(folder, "llama", end=None)


def mismatch(folder: Path) -> None:
    build_tokenizer(["more words than that " * 9], 900, 128, "<|end|>", "<|pad|>").save_pretrained(folder)
    file = folder / "tokenizer.json"
    held = json.loads(file.read_text())
    extra = {f"new{i}": len(held["model"]["vocab"]) + i for i in range(500)}
    held["model"]["vocab"].update(extra)
    file.write_text(json.dumps(held))


def damaged(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(no_tokenizer, "tokenizer"), (no_end_token, "end-of-sequence"), (mismatch, "vocabulary"), (damaged, "damaged")],
)
def test_init_refuses_models(
    spoil: Callable[[Path], None], said: str, tmp_path: Path, checkpoint: Checkpoint, prompts: Path
) -> None:
    model = shutil.copytree(checkpoint("llama"), tmp_path / "model")
    spoil(model)
    done = assent("init", "made", "--model", "model", "--prompts", prompts, cwd=tmp_path)
    assert done.code == 4, done.err
    assert said in done.err and "Traceback" not in done.err
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--task", "househol"), 2),
        (("--reward", "nowhere:nothing"), 2),
        (("--people.kind", "simulated", "--people.marks", "nowhere"), 2),
        (("--prompts", "missing.jsonl"), 3),
        (("--sft.demonstrations", "missing.jsonl"), 3),
        (("--recipe", "missing.toml"), 2),
        (("--model", "./missing", "--task", "household"), 4),
    ],
)
def test_init_refuses_what_is_not_there(words: tuple[str, ...], code: int, tmp_path: Path) -> None:
    done = assent("init", "made", *words, cwd=tmp_path)
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_failed_creation_takes_back_what_it_made(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "mine.txt").write_text("mine")
    for folder in (tmp_path / "here", tmp_path / "new" / "deeper"):
        with pytest.raises(OSError), nothing_left_behind(folder):
            Workspace.create(folder)
            raise OSError(errno.ENOSPC, "full")
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["here", "here/mine.txt"]


def test_two_commands_on_one_workspace(tmp_path: Path) -> None:
    assert assent("init", "made", *flags(TINY), cwd=tmp_path).code == 0
    with Workspace(tmp_path / "made").lock():
        for command in ("loop", "pretrain", "report"):
            done = assent(command, "-w", "made", cwd=tmp_path)
            assert done.code == 6
            assert "in use" in done.err
    assert list((tmp_path / "made" / "runs").iterdir()) == []


def test_a_stage_names_what_must_come_first(tmp_path: Path) -> None:
    assert assent("init", ".", *flags(TINY), cwd=tmp_path).code == 0
    for command, first in {
        "sft": "pretrain",
        "sample": "sft",
        "simulate": "sample",
        "reward": "sample",
        "rl": "sft",
        "dpo": "sft",
        "eval": "rl --round 1",
    }.items():
        done = assent(command, cwd=tmp_path)
        assert done.code == 3, (command, done.err)
        assert f"assent {first}" in done.err, (command, done.err)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SettingsError("a is wrong", "set b"), 2, "error: a is wrong\n  set b"),
        (WaitingForPeople("9 judgements are wanted", "judge"), 7, "9 judgements are wanted\n  judge"),
        (Interrupted("stopped: step 4 is saved"), 143, "stopped: step 4 is saved"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 6, "/x/y: the disk is full"),
        (OSError(errno.EROFS, "Read-only file system", "/x/y"), 6, "/x/y: the file system is read-only"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), 6, "the disk is full"),
        (RuntimeError("our own mistake"), 1, "Traceback"),
    ],
)
def test_errors_are_told(error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop, failures_told():
        raise error
    assert stop.value.code == code
    printed = capsys.readouterr().err
    assert said in printed
    assert ("Traceback" in printed) == (not isinstance(error, AssentError) and code == 1)


def test_dividing_settings_from_flags() -> None:
    own = {"--json", "--rounds", "-w"}
    words = ["--rl.steps", "2", "dir", "--json", "--a.b=-1", "--rounds", "3", "--c", "--rounds=4", "--", "--d"]
    assert divide(words, own) == (
        ["--rl.steps=2", "--a.b=-1", "--c=true"],
        ["dir", "--json", "--rounds", "3", "--rounds=4", "--", "--d"],
    )


def test_a_reward_function_asks_nobody_unless_told(tmp_path: Path) -> None:
    assert read_settings([], ["--task=household"], "a:b").people.kind == "none"
    assert read_settings([], ["--task=household", "--people.kind=human"], "a:b").people.kind == "human"
    recipe = tmp_path / "r.toml"
    recipe.write_text('task = "household"\n[people]\nkind = "simulated"\n')
    assert read_settings([recipe], [], "a:b").people.kind == "simulated"


def test_the_settings_file_reads_back_to_the_same(tmp_path: Path) -> None:
    given = read_settings([], [*(f"--{name}={value}" for name, value in TINY.items()), "--task=household", "--seed=3"])
    file = tmp_path / "assent.toml"
    file.write_text(given_settings(given))
    assert load_settings([file]) == given
    assert len(file.read_text().splitlines()) < 60


def test_settings_are_listed(tmp_path: Path) -> None:
    done = assent("settings", cwd=tmp_path)
    assert done.code == 0
    assert "algorithm.kl_coef = 0.15  β, in reward per nat" in done.out
    found = assent("settings", "--task", "household", "--rl.steps", "3", "--json", cwd=tmp_path).json
    assert found["rl.steps"] == 3 and found["task"] == "household"


LIGHT = """
import sys
from assent.cli import main
sys.argv = ["assent", *sys.argv[1:]]
try:
    main()
except SystemExit as stop:
    code = stop.code
print(code, *[name for name in ("torch", "transformers", "scipy", "peft") if name in sys.modules])
"""


@pytest.mark.parametrize("words", [("lineage",), ("settings",), ("--help",), ("loop", "--help")])
def test_light_commands_load_no_deep_learning_library(words: tuple[str, ...], tmp_path: Path) -> None:
    Workspace.create(tmp_path, 'task = "household"\n')
    done = subprocess.run([sys.executable, "-c", LIGHT, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0", done.stdout + done.stderr


def test_demo_leaves_other_projects_alone(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text("")
    Workspace.create(tmp_path / "mine", f'[model]\npath = "{tmp_path}"\n[prompts]\npath = "{tmp_path}/p.jsonl"\n')
    done = assent("demo", tmp_path / "mine")
    assert done.code == 6 and "another project" in done.err
