"""`assent init`: a workspace, made only if everything that it rests on is in order."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assent.cli.opening import console_for
from assent.cli.options import AsJson, Recipes, Reward
from assent.cli.overrides import read_settings
from assent.cli.settings_file import given_settings
from assent.store import Workspace, write_atomic
from assent.types.errors import DataError, WorkspaceError

if TYPE_CHECKING:
    from assent.config import Settings

NOBODY_COMPARES = "the whole loop would promote no policy: nobody compares them (people.kind, or people.marks)"


def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="the folder to be made", show_default=False)],
    model: Annotated[
        str | None, typer.Option("--model", help="a transformers causal LM: a local directory or a hub id")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option("--prompts", help="JSONL, a line {'prompt': ...} or {'messages': [...]} each")
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", help="a bundled task", show_default="household if nothing is given")
    ] = None,
    reward: Reward = None,
    recipe: Recipes = None,
    as_json: AsJson = False,
) -> None:
    """Prepare a workspace: a folder with settings, database, artifacts and runs.

    The model, the prompts and all settings are examined first. If anything is wrong with them, no folder is made.
    """
    workspace = Workspace(folder)
    if workspace.exists:
        raise WorkspaceError(f"{workspace.path} is a workspace already", "use it as it is, or name another folder")
    settings = read_settings(recipe or [], _flags(context.obj, model, prompts, task, recipe), reward)
    from assent.cli.inputs import check_inputs

    found = check_inputs(settings)
    with nothing_left_behind(workspace.path):
        Workspace.create(workspace.path, given_settings(settings))
        write_task_files(workspace, settings)
    console = console_for(as_json)
    counts = " and ".join(f"{number} {split}" for split, number in found.items()) + " prompts"
    if settings.rl.environment is not None:
        counts = f"the environment {settings.rl.environment} asks"
    console.print(f"made {workspace.path}: {counts}", highlight=False, markup=False, soft_wrap=True)
    for line in next_steps(settings, workspace.path):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if as_json:
        print(json.dumps({"workspace": str(workspace.path), "prompts": found}))


def write_task_files(workspace: Workspace, settings: Settings) -> None:
    """The files that a workspace of the bundled task begins with, e.g. labelled texts for a classifier.

    Raises:
        WorkspaceError: another file of that name is there already; none is written then.
    """
    from assent.tasks import FILES

    if settings.task is None or settings.task not in FILES:
        return
    files = {workspace.path / name: text for name, text in FILES[settings.task](settings.seed).items()}
    for path, text in files.items():
        if path.exists() and path.read_bytes() != text.encode():
            raise WorkspaceError(
                f"{path}: task {settings.task} has a file of this name, and this is another one",
                "move it away, or begin in another folder",
            )
    for path, text in files.items():
        write_atomic(path, text)


def next_steps(settings: Settings, workspace: Path) -> list[str]:
    """What to type now."""
    from assent.cli.inputs import modules_elsewhere

    shown = shlex.quote(os.path.relpath(workspace))
    if modules_elsewhere(settings, workspace):  # the functions are found from here, and would not be from there
        enter, where = [], f" --workspace {shown}"
    else:
        enter, where = [f"    cd {shown}"] if shown != "." else [], ""
    if not settings.compares:
        return ["next:", *enter, *(f"    assent {name}{where}" for name in _stages(settings)), NOBODY_COMPARES]
    lines = ["next:", *enter, f"    assent loop{where}"]
    if settings.people.kind == "human" and settings.reward.function is None:
        lines.append(f"it stops when it is people's turn: they judge with `assent up{where}` in the browser,")
        lines.append(f"or with `assent rank{where}` here; then run it again")
    return lines


def _stages(settings: Settings) -> list[str]:
    """The commands that make a policy where there is nobody to compare policies."""
    start = [*(["pretrain"] if settings.model.path is None else []), *(["sft"] if settings.sft.demonstrations else [])]
    return [*start, *(["dpo"] if settings.loop.improve == "preference" else ["reward", "rl"])]


def _flags(
    overrides: list[str], model: str | None, prompts: Path | None, task: str | None, recipes: list[Path] | None
) -> list[str]:
    """The settings that init's own flags stand for."""
    flags = list(overrides)
    if prompts is not None:
        if not prompts.expanduser().exists():
            raise DataError(f"{prompts}: no such file", "check the path given to --prompts")
        flags.append(f"--prompts.path={prompts}")
    if model is not None:
        flags.append(f"--model.path={model}")
    named = any(flag.startswith(("--model.path=", "--prompts.path=", "--task=", "--rl.environment=")) for flag in flags)
    if task is None and not named and not recipes:
        task = "household"
    if task is not None:
        flags.append(f"--task={task}")
    return flags


@contextmanager
def nothing_left_behind(folder: Path) -> Iterator[None]:
    """Undo what was made in and above a folder if making it fails; what was there before stays."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    before = set(folder.iterdir()) if folder.is_dir() else set()
    try:
        yield
    except BaseException:
        if missing:
            shutil.rmtree(missing[-1], ignore_errors=True)
        elif folder.is_dir():
            for item in set(folder.iterdir()) - before:
                shutil.rmtree(item, ignore_errors=True) if item.is_dir() else item.unlink(missing_ok=True)
        raise
