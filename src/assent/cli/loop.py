"""`assent demo`, `assent loop` and `assent report`."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from assent.cli.init import nothing_left_behind, write_task_files
from assent.cli.opening import console_for, opened_project
from assent.cli.options import HERE, AsJson, Force, Recipes, Reward, Where
from assent.cli.overrides import read_settings
from assent.cli.settings_file import given_settings
from assent.config import load_settings
from assent.store import Workspace
from assent.tasks import load_world
from assent.types.errors import SettingsError, WorkspaceError


def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="its workspace", show_default=False)] = Path("demo"),
    task: Annotated[
        str | None, typer.Option("--task", help="a bundled task, with its recipe", show_default="household")
    ] = None,
    people: Annotated[
        str | None,
        typer.Option("--people", help="'me': you are one of the people, in the browser", show_default="simulated"),
    ] = None,
    rankings: Annotated[int, typer.Option("--rankings", min=1, help="how many are left to you")] = 12,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="of the pages, on this machine")] = 8000,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """The whole loop on a bundled task, with simulated people; household: eight to ten minutes on two CPU cores.

    Run it again after an interruption, and it goes on where it stopped. With --people me it stops in the second round
    and prints a link: some rankings are yours, in the browser, and the reward model learns from you too.
    """
    overrides: list[str] = context.obj
    if people not in (None, "me"):
        raise SettingsError(f"--people {people}: it can be 'me'", "leave it out for simulated people alone")
    workspace = Workspace(folder)
    if not workspace.exists:
        _make_demo(workspace, task or "household", overrides)
    elif (found := load_settings([workspace.settings_file]).task) is None or task not in (None, found):
        raise WorkspaceError(f"{workspace.path} is another project's workspace", "name another folder: assent demo DIR")
    run(folder, None, overrides, None, force, as_json, guest=(port, rankings) if people else None)


def loop(
    context: typer.Context,
    rounds: Annotated[
        int | None, typer.Option("--rounds", min=1, help="go on to this round", show_default="loop.rounds")
    ] = None,
    reward: Reward = None,
    force: Force = False,
    workspace: Where = HERE,
    recipe: Recipes = None,
    as_json: AsJson = False,
) -> None:
    """The whole loop, round by round, from where it stopped. What is done already is left as it is."""
    run(workspace, recipe, context.obj, rounds, force, as_json, reward)


def report(context: typer.Context, workspace: Where = HERE, recipe: Recipes = None, as_json: AsJson = False) -> None:
    """Write report.html, one self-contained page, from what the store holds by now."""
    console = console_for(as_json)
    with opened_project(workspace, recipe, context.obj, console) as project:
        from assent.cli.outcome import tell_outcome
        from assent.cli.standing import outcome_so_far

        tell_outcome(project, outcome_so_far(project), console, as_json)


def run(
    folder: Path,
    recipes: list[Path] | None,
    overrides: list[str],
    rounds: int | None,
    force: bool,
    as_json: bool,
    reward: str | None = None,
    guest: tuple[int, int] | None = None,
) -> None:
    """Run the loop of a workspace and tell what came of it. A guest is a port, and a number of rankings."""
    started = time.monotonic()
    console = console_for(as_json)
    with opened_project(folder, recipes, overrides, console, force, reward) as project:
        from assent.cli.outcome import tell_outcome
        from assent.pipeline import run_loop

        with ExitStack() as at_the_end:
            if guest is not None:
                from assent.cli.keyboard import AtKeyboard
                from assent.cli.serving import require_parts

                require_parts()
                project.guest = at_the_end.enter_context(closing(AtKeyboard(console, *guest)))
            outcome = run_loop(project, rounds or project.settings.loop.rounds)
        tell_outcome(project, outcome, console, as_json, time.monotonic() - started)


def _make_demo(workspace: Workspace, task: str, overrides: list[str]) -> None:
    source = files("assent").joinpath("recipes", f"{load_world(task).name}.toml")
    if overrides:
        text = given_settings(read_settings([Path(str(source))], overrides))
    else:
        text = source.read_text(encoding="utf-8")
    with nothing_left_behind(workspace.path):
        Workspace.create(workspace.path, text)
        write_task_files(workspace, load_settings([workspace.settings_file]))
