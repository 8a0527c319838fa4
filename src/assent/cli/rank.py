"""`assent rank`: a person judges open tasks in the terminal."""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from assent.cli.options import HERE, Where
from assent.cli.ranking import Command, parse_best, parse_marks, parse_ranking
from assent.cli.tasks import criteria_of, require_open_runs
from assent.config import load_settings
from assent.store import Judgements, Run, Store, Workspace, add_person, counts, open_tasks, rankings
from assent.types.errors import DataError
from assent.types.feedback import Assignment, Judgement, LabelKind, PersonKind
from assent.types.seeds import derive_seed

RULES = {
    LabelKind.RANKING: (
        "Best first, '=' between equals: [bold]2 1=3 4[/] means 2, then 1 and 3 alike, then 4. [dim]s: skip, q: quit[/]"
    ),
    LabelKind.BEST_OF_K: "The number of the best one: [bold]2[/]. [dim]s: skip, q: quit[/]",
}


def rank(
    name: Annotated[str | None, typer.Option("--name", help="who judges", show_default="your login name")] = None,
    round: Annotated[
        int | None, typer.Option("--round", min=1, help="of the loop", show_default="the first with open tasks")
    ] = None,
    workspace: Where = HERE,
) -> None:
    """Judge open tasks in the terminal: rank the completions of a prompt, not knowing who wrote which.

    Several people may do so at the same time. Every judgement is kept as soon as it is given.
    """
    place = Workspace.open(workspace)
    settings = load_settings([place.settings_file])
    criteria = criteria_of(settings)
    console = Console()
    with place.open_store() as store:
        runs = require_open_runs(store, round)
        person = add_person(store, (name or getpass.getuser()).strip(), PersonKind.HUMAN)
        runs = [run for run in runs if _may_judge(store, person, run)]
        if not runs:
            raise DataError(
                "who has labelled for training cannot compare the policies, nor the other way round",
                "someone else must judge these: assent rank --name NAME",
            )
        seed = derive_seed(settings.seed, "judging", "human")
        done = _Sitting(store, console, person, seed, criteria).judge(runs)
        found = counts(store, [run.id for run in runs])
    left = found.wanted - found.submitted
    console.print(f"{done} judgements recorded; {left} still wanted" + ("" if left else ": `assent loop` goes on"))
    if done == 0 and left:
        raise typer.Exit(DataError.exit_code)


@dataclass
class _Sitting:
    """One person at one terminal."""

    store: Store
    console: Console
    person: int
    seed: int
    criteria: Sequence[str] = ()  # to be marked beside the ranking, where policies are not compared

    def judge(self, runs: list[Run]) -> int:
        """Go through the open tasks until they or the person are exhausted; returns the number judged."""
        done = 0
        try:
            for assignment, criteria in self._assignments(runs):
                said = self._ask(assignment, criteria)
                if said is Command.QUIT:
                    self._release(assignment)
                    break
                if said is Command.SKIP:
                    self._release(assignment)
                    continue
                Judgements(self.store).submit(assignment.id, said, assignment.idempotency_key)
                done += 1
        except KeyboardInterrupt:
            self.console.print()
        return done

    def _assignments(self, runs: list[Run]) -> Iterator[tuple[Assignment, Sequence[str]]]:
        """With what to mark. One lease at a time: nobody waits for tasks that this person has not come to."""
        for run in runs:
            for task in open_tasks(self.store, run.id):
                for assignment in Judgements(self.store).lease([task], self.person, self.seed):
                    if not assignment.submitted:
                        yield assignment, () if run.kind == "eval" else self.criteria

    def _release(self, assignment: Assignment) -> None:
        """A lease that lasts no time is free for others at once."""
        Judgements(self.store).lease([assignment.task_id], self.person, self.seed, seconds=0.0)

    def _ask(self, assignment: Assignment, criteria: Sequence[str]) -> Judgement | Command:
        show(assignment, self.console)
        started = time.monotonic()
        while True:
            try:
                line = self.console.input("ranking> ")
            except EOFError:
                return Command.QUIT
            try:
                parse = parse_best if assignment.label is LabelKind.BEST_OF_K else parse_ranking
                found = parse(line, assignment.order_shown)
            except ValueError as error:
                self.console.print(f"[red]{escape(str(error))}[/]\n{RULES[assignment.label]}")
                continue
            if isinstance(found, Command):
                return found
            marks = self._ask_marks(assignment, criteria)
            if isinstance(marks, Command):
                return marks
            seconds = round(time.monotonic() - started, 1)
            return Judgement(found, assignment.order_shown, assignment.label, marks, seconds=seconds)

    def _ask_marks(self, assignment: Assignment, criteria: Sequence[str]) -> tuple[Mapping[str, float], ...] | Command:
        """A line of marks for each criterion; what was ranked is not recorded before they are all there."""
        given: dict[str, tuple[float, ...]] = {}
        while len(given) < len(criteria):
            name = criteria[len(given)]
            try:
                line = self.console.input(f"{name}, 0 to 10 each> ")
            except EOFError:
                return Command.QUIT
            if line.strip().lower() in (Command.SKIP.value, Command.QUIT.value):
                return Command(line.strip().lower())
            try:
                given[name] = parse_marks(line, assignment.order_shown)
            except ValueError as error:
                self.console.print(f"[red]{escape(str(error))}[/]")
        if not given:
            return ()
        return tuple({name: marks[i] for name, marks in given.items()} for i in range(len(assignment.completions)))


def show(assignment: Assignment, console: Console) -> None:
    """The prompt with all that was said before it, and the completions numbered in the order kept for this person."""
    console.print()
    console.rule(style="dim")
    for message in assignment.messages[:-1]:
        console.print(f"[dim]{message.role}[/]")
        console.print(printable(message.content), markup=False, highlight=False)
    console.print("[dim]prompt[/]")
    console.print(printable(assignment.prompt), style="bold", markup=False, highlight=False)
    for number, index in enumerate(assignment.order_shown, start=1):
        console.print(f"\n[bold cyan]{number}[/]")
        console.print(printable(assignment.completions[index]), markup=False, highlight=False)
    console.print(f"\n{RULES[assignment.label]}")


def printable(text: str) -> str:
    """A model's text without the control characters that could steer a terminal."""
    kept = "".join(c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return kept if kept.strip() else "(empty)"


def _may_judge(store: Store, person: int, run: Run) -> bool:
    """No one both labels for training and compares policies: the comparison would be by those it was fitted to."""
    others = ("train", "holdout") if run.kind == "eval" else ("evaluate",)
    return not any(rankings(store, purpose=purpose, person_ids=[person]) for purpose in others)
