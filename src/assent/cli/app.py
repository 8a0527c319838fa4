"""All commands, in the order in which the loop uses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from assent.cli import (
    backup,
    best_of,
    exchange,
    freeze,
    init,
    inspection,
    lineage,
    loop,
    people,
    rank,
    single,
    up,
)
from assent.cli.overrides import EPILOG, SettingsCommand

app = typer.Typer(
    name="assent",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"assent {version('assent')}")
        raise typer.Exit


@app.callback()
def assent(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Reinforcement learning from human feedback: from a person's judgement to the weights it shaped, and back."""


_SETTINGS_COMMANDS = {
    "The whole loop": (init.init, loop.demo, loop.loop, loop.report),
    "One stage at a time": (
        single.pretrain,
        single.sft,
        single.sample,
        single.simulate,
        single.reward,
        single.rl,
        best_of.best_of,
        single.dpo,
        single.eval_,
    ),
    "To look at": (inspection.settings,),
}
_PLAIN_COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    "To look at": (lineage.lineage, inspection.doctor),
    "For people": (up.up, rank.rank, people.people, freeze.freeze, backup.backup),
    "To other tools": (exchange.export, exchange.import_),
}

for _panel, _functions in _SETTINGS_COMMANDS.items():
    for _function in _functions:
        _name = _function.__name__.strip("_").replace("_", "-")
        app.command(_name, cls=SettingsCommand, epilog=EPILOG, rich_help_panel=_panel)(_function)
for _panel, _plain in _PLAIN_COMMANDS.items():
    for _each in _plain:
        app.command(_each.__name__.strip("_"), rich_help_panel=_panel)(_each)
