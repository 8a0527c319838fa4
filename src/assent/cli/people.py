"""`assent people`: who judged, how reliably, and with what leanings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from assent.cli.opening import console_for
from assent.cli.options import HERE, AsJson, Where
from assent.cli.tasks import JUDGED_KINDS
from assent.config import load_settings
from assent.store import Person, Workspace, judged_tasks, list_people, list_runs
from assent.types.errors import DataError
from assent.types.seeds import derive_seed

if TYPE_CHECKING:
    from assent.feedback import Agreement, Alpha, CrowdFacts, Interval, PersonFacts

WIDE = 150  # columns that the table is given where there is no terminal to fit
NOTES = (
    "reliability: logits per standard deviation of quality, ± standard error; 0 is a guess, below 0 the opposite of the"
    " others. Side bias: logits for what is shown first.",
    "first and longer wins, agreement with others, self-consistency: shares with 95 % intervals.",
)


def people(
    round: Annotated[int | None, typer.Option("--round", min=1, help="of the loop", show_default="all of them")] = None,
    workspace: Where = HERE,
    as_json: AsJson = False,
) -> None:
    """Who judged: how reliable each person is, what they lean to, how they agree with others and with themselves."""
    from assent.feedback import crowd_facts

    place = Workspace.open(workspace)
    seed = derive_seed(load_settings([place.settings_file]).seed, "people", "facts")
    with place.open_store() as store:
        runs = [run.id for run in list_runs(store, round=round) if run.kind in JUDGED_KINDS]
        judged = judged_tasks(store, runs, lengths=True)
        names = {person.id: person for person in list_people(store)}
    if not judged:
        where = "" if round is None else f" in round {round}"
        ways = "judge with `assent up`, `assent rank` or `assent simulate`"
        raise DataError(f"nobody has judged anything yet{where}", ways)
    facts = crowd_facts(judged, seed)
    console = console_for(as_json)
    _print(facts, names, console if console.is_terminal else Console(stderr=as_json, width=WIDE))
    if as_json:
        found = facts.as_dict()
        for each in found["people"]:
            person = names[each["person_id"]]
            each.update(name=person.name, kind=person.kind.value)
        print(json.dumps(found))


def _print(facts: CrowdFacts, names: dict[int, Person], console: Console) -> None:
    table = Table(box=None)
    for name in ("person", "kind"):
        table.add_column(name, no_wrap=True)
    for name in ("judged", "reliability", "side bias", "first wins", "longer wins", "agrees", "consistent", "seconds"):
        table.add_column(name, justify="right")
    for each in facts.people:
        person = names[each.person_id]
        table.add_row(person.name, person.kind.value, *_cells(each))
    console.print(table)
    for line in (*NOTES, *_lines(facts)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _cells(each: PersonFacts) -> list[str]:
    estimates = (each.reliability, each.side_bias)
    shares = (each.first_wins, each.longer_wins, each.agreement, each.self_consistency)
    seconds = "–" if each.median_seconds is None else f"{each.median_seconds:.0f}"
    known = ["–" if found is None else str(found) for found in estimates]
    return [str(each.judgements), *known, *map(_share, shares), seconds]


def _share(found: Interval | None) -> str:
    return "–" if found is None else f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _lines(facts: CrowdFacts) -> list[str]:
    lines = [
        f"of {facts.judgements} judgements: what is shown first wins {_share(facts.first_wins)},"
        f" what is longer wins {_share(facts.longer_wins)}",
        f"two people agree on {_known(facts.agreement)} of pairs; Krippendorff's ordinal alpha {_known(facts.alpha)}",
    ]
    for name, (agreement, alpha) in facts.criteria.items():
        lines.append(f"by {name}: agreement {_known(agreement)}, alpha {_known(alpha)}")
    if facts.self_consistency is not None:
        lines.append(f"people agree with themselves on {_share(facts.self_consistency)} of pairs shown twice")
    return lines


def _known(found: Agreement | Alpha) -> str:
    return f"(none: {found.reason})" if found.interval is None else _share(found.interval)
