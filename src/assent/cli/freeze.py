"""`assent freeze`: a dataset version of what people judged, by rules, as on the page."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from assent.cli.options import HERE, AsJson, Where
from assent.store import Workspace, list_runs
from assent.store.campaign_tasks import KIND
from assent.store.datasets import FreezeRules
from assent.store.datasets import freeze as freeze_judgements
from assent.types.errors import DataError

FROZEN = ("sample", KIND)  # an evaluation's votes decide on promotion and never train


class Ties(StrEnum):
    """What becomes of a judgement that calls all completions equal."""

    KEEP = "keep"
    DROP = "drop"


class Disagreements(StrEnum):
    """What counts of a task that somebody ruled on."""

    VOTES = "votes"
    RULING = "ruling"


def freeze(
    run: Annotated[
        list[str] | None,
        typer.Option("--run", help="only this run's tasks; may be repeated", show_default="all that are judged"),
    ] = None,
    minimum_votes: Annotated[int, typer.Option("--minimum-votes", min=1, help="that a task must have")] = 1,
    ties: Annotated[Ties, typer.Option("--ties", help="judgements that call all completions equal")] = Ties.KEEP,
    disagreements: Annotated[
        Disagreements,
        typer.Option("--disagreements", help="of a task that was ruled on: its votes, or the ruling in their place"),
    ] = Disagreements.VOTES,
    holdout_share: Annotated[
        float, typer.Option("--holdout-share", min=0, max=0.99, help="of the prompts, held out beside those that are")
    ] = 0.0,
    without: Annotated[
        list[int] | None, typer.Option("--without", help="a person who is left out, by number; may be repeated")
    ] = None,
    workspace: Where = HERE,
    as_json: AsJson = False,
) -> None:
    """Freeze a dataset version of what people judged; assent reward --reward_model.dataset ID learns from it.

    It may run beside `assent up` and the loop. The same rules on the same judgements give the same version.
    """
    place = Workspace.open(workspace)
    with place.open_store() as store:
        known = [each.id for each in list_runs(store) if each.kind in FROZEN]
        if unknown := [name for name in run or () if name not in known]:
            there = ", ".join(known) or "none"
            raise DataError(f"no run {unknown[0]!r} with tasks to learn from", f"there are {there}")
        if not known:
            raise DataError("nothing was judged yet", "Make tasks with `assent sample`, and judge them.")
        people = tuple(sorted(set(without or ())))
        rules = FreezeRules(tuple(run or known), minimum_votes, ties.value, people, holdout_share, disagreements.value)
        made = freeze_judgements(place, store, rules)
    if as_json:
        print(json.dumps({"dataset": made.id, **made.card}))
    else:
        typer.echo(f"{made.id}: {made.card['train']} judgements to learn from, {made.card['holdout']} held out")
        typer.echo(f"learn from it: assent reward --reward_model.dataset {made.id}")
