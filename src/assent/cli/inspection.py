"""`assent settings` and `assent doctor`: what there is to set, and whether all is in order."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from assent.cli.options import HERE, AsJson, Recipes, Where
from assent.cli.overrides import read_settings
from assent.config import Settings, flatten
from assent.store import Workspace


def settings(context: typer.Context, workspace: Where = HERE, recipe: Recipes = None, as_json: AsJson = False) -> None:
    """Every setting with its meaning: its value in this workspace, or, outside of one, its default."""
    place, overrides = Workspace(workspace), context.obj
    if place.exists:
        found = read_settings([place.settings_file, *(recipe or ())], overrides)
    elif recipe or overrides:
        found = read_settings(recipe or [], overrides)
    else:
        found = Settings.model_construct()  # defaults alone name nothing to train, which is an error elsewhere
    if as_json:
        print(json.dumps({name: value for name, value, _ in flatten(found)}))
        return
    console = Console()
    for name, value, description in flatten(found):
        shown = "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        meaning = f"  [dim]{escape(description)}[/]" if description else ""
        console.print(f"[bold]{name}[/] = [cyan]{escape(shown)}[/]{meaning}", highlight=False, soft_wrap=True)


def doctor(
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", help="examine it too", show_default="this folder, if it is one")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Is this machine in order, and this workspace? Nothing is changed. Ends with 1 if anything fails."""
    from assent.cli.doctor import diagnose, exit_code, render

    place = workspace if workspace is not None else HERE if Workspace(HERE).exists else None
    findings = diagnose(workspace=place)
    render(findings, Console(stderr=as_json))
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    raise typer.Exit(exit_code(findings))
