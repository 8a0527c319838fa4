"""The flags that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Where = Annotated[Path, typer.Option("--workspace", "-w", help="the workspace's folder", show_default="this folder")]
Recipes = Annotated[
    list[Path] | None, typer.Option("--recipe", help="a TOML file over the workspace's settings; may be repeated")
]
Reward = Annotated[
    str | None,
    typer.Option(
        "--reward",
        help="where scores come from: any callable as MODULE:FUNCTION, and nobody is asked then; or the ID of a reward"
        " model that is there already",
    ),
]
Round = Annotated[int | None, typer.Option("--round", min=1, help="of the loop", show_default="the first not done")]
RunName = Annotated[
    str | None, typer.Option("--run", help="an experiment's name: it is kept beside the loop's own run")
]
Force = Annotated[bool, typer.Option("--force", help="go on with an unhealthy reward model")]
AsJson = Annotated[bool, typer.Option("--json", help="end with one line of JSON; all else goes to stderr")]
HERE = Path()
