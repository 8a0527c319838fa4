"""`assent export` and `assent import`: judgements to and from the files of other tools."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from assent.cli.opening import console_for
from assent.cli.options import HERE, AsJson, Where
from assent.cli.progress import progress_on
from assent.config import Settings, load_settings
from assent.data.exchange import (
    FORMATS,
    SPLITS,
    WRITTEN,
    FileFormat,
    Order,
    Plan,
    Reading,
    Recognised,
    Source,
    Survey,
    Wish,
    import_file,
    import_judgements,
    recognise,
)
from assent.data.exchange import export as export_rows
from assent.data.exchange.importing import slug
from assent.data.files import read_prompts
from assent.data.holdout import is_held_out
from assent.store import NewPerson, Store, Workspace, get_run, list_runs
from assent.store.bulk import Added
from assent.tasks import load_world
from assent.types.errors import DataError, SettingsError
from assent.types.feedback import PersonKind
from assent.types.messages import Message
from assent.types.protocols import Progress


class Votes(StrEnum):
    """Whose judgement a row is."""

    EACH = "each"
    MAJORITY = "majority"


class TieRule(StrEnum):
    """What becomes of a tie."""

    DROP = "drop"
    BOTH = "both"


def export(
    file: Annotated[Path, typer.Argument(help=".jsonl, .jsonl.gz or .parquet; else a folder that datasets loads")],
    format: Annotated[str, typer.Option("--format", help=f"one of {', '.join(WRITTEN)}")] = "preference",
    split: Annotated[
        str | None,
        typer.Option(
            "--split", help=f"what the judgements are for: {', '.join(SPLITS)}", show_default="train; all for raw"
        ),
    ] = None,
    round: Annotated[int | None, typer.Option("--round", min=1, help="only this round's")] = None,
    run: Annotated[list[str] | None, typer.Option("--run", help="only this run's; may be repeated")] = None,
    conversational: Annotated[
        bool, typer.Option("--conversational", help="lists of messages in place of texts")
    ] = False,
    votes: Annotated[Votes, typer.Option("--votes", help="a row for each judgement, or for the majority")] = Votes.EACH,
    ties: Annotated[TieRule, typer.Option("--ties", help="drop them, or write a row each way")] = TieRule.DROP,
    criterion: Annotated[
        str | None, typer.Option("--criterion", help="people's marks for it in place of their ranking")
    ] = None,
    workspace: Where = HERE,
    as_json: AsJson = False,
) -> None:
    """Write judgements for other tools: TRL's shapes, HH-RLHF, UltraFeedback, or raw, which loses nothing.

    A card beside the file says what is in it. More in docs/exchange.md.
    """
    console = console_for(as_json)
    with Workspace.open(workspace).open_store() as store, progress_on(console) as progress:
        order = Order(
            format,
            split or ("all" if format == "raw" else "train"),
            _runs(store, round, run),
            Wish(conversational, votes.value, ties.value, criterion),
            progress,
        )
        card = export_rows(store, file, order)
    left = ", ".join(f"{count} × {why}" for why, count in card.get("left_out", {}).items())
    _say(console, f"{card['rows']} rows of format {card['format']} in {file}" + (f"; left out: {left}" if left else ""))
    _say(console, f"card: {file}.card.json")
    if as_json:
        print(json.dumps({"file": str(file), **card}))


def import_(
    file: Annotated[Path, typer.Argument(help="JSONL (also .gz), a JSON list, Parquet, or a folder of datasets")],
    format: Annotated[
        str | None, typer.Option("--format", help=f"one of {', '.join(FORMATS)}", show_default="told from the rows")
    ] = None,
    kind: Annotated[
        PersonKind | None,
        typer.Option("--kind", help="who judged", show_default="what the format says, if it says it"),
    ] = None,
    person: Annotated[
        str | None, typer.Option("--person", help="who judged, where the file names nobody", show_default="the file")
    ] = None,
    round: Annotated[
        int | None,
        typer.Option("--round", min=1, help="of the loop that may first learn it", show_default="the next to learn"),
    ] = None,
    prompt_field: Annotated[
        str | None, typer.Option("--prompt-field", help="of a labelling tool's record, the prompt")
    ] = None,
    completion_field: Annotated[
        list[str] | None, typer.Option("--completion-field", help="one of its completions; once for each")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave rows out that cannot be read")] = False,
    workspace: Where = HERE,
    as_json: AsJson = False,
) -> None:
    """Bring judgements, demonstrations or prompts in: all rows of a file, or none.

    Comparisons and rankings become judgements in the store; people.imports says which of them are learnt from. More in
    docs/exchange.md.
    """
    place = Workspace.open(workspace)
    settings = load_settings([place.settings_file])
    console = console_for(as_json)
    source = Source.open(file)
    found = recognise(source, format)
    _say(console, f"format: {found.format.name} ({found.reason})")
    with place.lock(), place.open_store() as store, progress_on(console) as progress:
        if isinstance(found.format, FileFormat):
            result = _into_file(place, source, found, skip_bad, progress, console)
        else:
            judge = NewPerson(person or file.name, _kind(found, kind))
            reading = Reading(judge, f"imported:{file.name}", judge.kind, prompt_field, tuple(completion_field or ()))
            plan = Plan(
                reading,
                _round(store, round),
                lambda prompt: is_held_out(prompt, settings.seed, settings.people.holdout_share),
                _test_prompts(place, settings),
                skip_bad,
                progress,
            )
            survey, added = import_judgements(store, source, found, plan)
            result = _tell(console, source, plan, survey, added)
    if as_json:
        print(json.dumps({"file": str(file), "format": found.format.name, **result}))


def _runs(store: Store, round: int | None, named: list[str] | None) -> tuple[str, ...] | None:
    """The runs that are meant.

    Raises:
        DataError: there is no such run.
    """
    known = [run.id for run in list_runs(store)]
    if unknown := [name for name in named or () if name not in known]:
        raise DataError(f"no run {unknown[0]!r}", f"there are {', '.join(known)}" if known else "nothing was run yet")
    if round is None:
        return tuple(named) if named else None
    of_round = [run.id for run in list_runs(store, round=round) if not named or run.id in named]
    if not of_round:
        raise DataError(f"round {round} has no such runs", "leave --round or --run out to see all that there is")
    return tuple(of_round)


def _kind(found: Recognised, given: PersonKind | None) -> PersonKind:
    """Who judged, if it was said, by the user or by the format.

    Raises:
        SettingsError: nobody says it.
    """
    known = given or getattr(found.format, "judges", None)
    if known is None and found.format.name != "raw":
        raise SettingsError(
            f"--kind is missing: files of format {found.format.name} do not say who judged",
            "give --kind human or --kind ai: it is recorded with every judgement",
        )
    return known or PersonKind.HUMAN


def _round(store: Store, given: int | None) -> int:
    """The round for which judgements are imported: one that has not learnt yet.

    Raises:
        DataError: the round that was given has.
    """

    def learnt(number: int) -> bool:
        run = get_run(store, f"round{number}-dataset")
        return run is not None and run.done

    if given is not None and learnt(given):
        raise DataError(
            f"round {given} has learnt already: what is imported for it would never be read",
            "give a later --round, or leave it out",
        )
    return given or next(number for number in range(1, 1_000_000) if not learnt(number))


def _test_prompts(place: Workspace, settings: Settings) -> frozenset[tuple[Message, ...]]:
    """The prompts that policies are compared on: nothing about them may be learnt."""
    if settings.rl.environment is not None:
        return frozenset()
    if settings.prompts.path is not None:
        found = read_prompts(place.path / Path(settings.prompts.path).expanduser(), settings.prompts.test_share)
    else:
        found = load_world(settings.task).prompts("test") if settings.task is not None else []
    return frozenset(prompt.messages for prompt in found if prompt.split == "test")


def _into_file(
    place: Workspace, source: Source, found: Recognised, skip_bad: bool, progress: Progress, console: Console
) -> dict[str, Any]:
    assert isinstance(found.format, FileFormat)
    into = place.path / "imports" / f"{slug(source.path)}.jsonl"
    survey = import_file(source, found, into, skip_bad, progress)
    _tell_bad(console, survey)
    flag = f"--{found.format.setting} {place.relative(into)}"
    _say(console, f"{survey.tasks} rows in {into}")
    _say(console, f"learn from them with {flag}")
    return {"rows": survey.tasks, "left_out": survey.bad_rows, "written": str(into), "setting": found.format.setting}


def _tell(console: Console, source: Source, plan: Plan, survey: Survey, added: Added) -> dict[str, Any]:
    _tell_bad(console, survey)
    if survey.unjudged:
        _say(console, f"{survey.unjudged} records were judged by nobody")
    if not added.judgements:
        _say(console, f"nothing new: all {added.known} judgements of {source.path.name} are in the store already")
    else:
        tasks = ", ".join(f"{count} {purpose}" for purpose, count in sorted(added.tasks.items()))
        known = f"; {added.known} were there already" if added.known else ""
        _say(console, f"{added.judgements} judgements of {sum(added.tasks.values())} tasks ({tasks}){known}")
        _say(console, f"learn from them, from round {plan.round} on, with --people.imports {added.run_ids[0]}")
    return {
        **added.as_dict(),
        "round": plan.round,
        "left_out": survey.bad_rows,
        "unjudged": survey.unjudged,
        "content_hash": survey.content,
    }


def _tell_bad(console: Console, survey: Survey) -> None:
    if survey.bad_rows:
        _say(console, f"{survey.bad_rows} rows were left out, as they cannot be read:")
        for line in survey.bad:
            _say(console, f"  {line}")
        if survey.bad_rows > len(survey.bad):
            _say(console, f"  and {survey.bad_rows - len(survey.bad)} more")


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
