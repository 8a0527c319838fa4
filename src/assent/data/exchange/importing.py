"""A file's judgements into the store: looked at as a whole first, then put in at once, or not at all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assent.data.exchange.forms import Format, Messages, Reading
from assent.data.exchange.own_files import FileFormat
from assent.data.exchange.raw import RAW, number_of_task, row_of
from assent.data.exchange.recognition import Recognised
from assent.data.exchange.sinks import json_line
from assent.data.exchange.sources import Source
from assent.data.lines import Line
from assent.store import Store, atomic_file
from assent.store.bulk import Added, ImportedTask, add_judged
from assent.store.records import IMPORT, of_one
from assent.types.errors import DataError, WorkspaceError
from assent.types.messages import Prompt
from assent.types.protocols import Progress, Silent

SHOWN_BAD = 5


@dataclass(frozen=True)
class Plan:
    """How a file is to be imported.

    Attributes:
        reading: what the file does not say.
        round: of the loop, from which on its judgements may be learnt.
        is_held_out: whether a prompt's judgements only ever measure.
        test_prompts: never to be trained on.
        skip_bad: leave rows out that cannot be read.
        progress: where it is told how far the work is.
    """

    reading: Reading = field(default_factory=Reading)
    round: int = 1
    is_held_out: Callable[[Prompt], bool] = lambda prompt: False
    test_prompts: frozenset[Messages] = frozenset()
    skip_bad: bool = False
    progress: Progress = field(default_factory=Silent)


@dataclass
class Survey:
    """What a file was found to hold."""

    content: str = ""  # hash of what it says, whatever the container
    tasks: int = 0
    judgements: int = 0
    unjudged: int = 0  # records that nobody has judged
    bad: list[str] = field(default_factory=list)  # the first rows that were left out, in words
    bad_rows: int = 0


def import_judgements(store: Store, source: Source, found: Recognised, plan: Plan) -> tuple[Survey, Added]:
    """Import a file of judgements.

    It is read twice: first every row is checked, then they are put in, in one transaction.

    Raises:
        DataError: naming file, line and field; nothing was put in.
        WorkspaceError: the file changed meanwhile.
    """
    form = found.format
    assert isinstance(form, Format)
    survey = Survey()
    digest = hashlib.sha256()
    plan.progress.start(f"check {source.path.name}", source.total)
    for item, line in _items(source, form, plan, survey):
        plan.progress.advance(line.number)
        if item is not None:
            digest.update(_content(item))
    plan.progress.finish()
    survey.content = digest.hexdigest()
    if not survey.judgements:
        raise DataError(f"{source.path}: holds no judgement", "has anybody judged its records yet?")
    again, seen = Survey(), hashlib.sha256()

    def items() -> Iterator[ImportedTask]:
        for item, _ in _items(source, form, plan, again):
            if item is not None:
                seen.update(_content(item))
                yield item

    def require_same() -> None:
        if seen.hexdigest() != survey.content:
            raise WorkspaceError(f"{source.path}: the file changed while it was imported", "nothing was put in")

    settings = {
        "file": source.path.name,
        "format": form.name,
        "content": survey.content,
        "judge": {"name": plan.reading.judge.name, "kind": plan.reading.judge.kind.value},
    }
    plan.progress.start(f"import {source.path.name}", survey.tasks)
    name = run_name(source.path, survey.content, plan)
    added = add_judged(store, name, plan.round, settings, items(), plan.progress.advance, require_same)
    plan.progress.finish()
    return survey, added


def import_file(source: Source, found: Recognised, into: Path, skip_bad: bool, progress: Progress) -> Survey:
    """Import demonstrations, prompts or completions judged one by one, as a file that a setting names.

    Raises:
        DataError: naming file, line and field; nothing was written.
    """
    assert isinstance(found.format, FileFormat)
    survey, digest = Survey(), hashlib.sha256()
    progress.start(f"import {source.path.name}", source.total)
    with atomic_file(into) as aside, aside.open("w", encoding="utf-8", newline="\n") as stream:
        for line in source.rows():
            try:
                text = json_line(found.format.read(line))
            except DataError as error:
                _leave_out(error, survey, skip_bad)
                continue
            digest.update(text.encode())
            stream.write(text)
            survey.tasks += 1
            progress.advance(line.number)
        if into.exists() and hashlib.sha256(into.read_bytes()).digest() != digest.digest():
            raise DataError(f"{into}: exists already, and holds something else", "remove it, or rename the file")
        if not survey.tasks:
            raise DataError(f"{source.path}: none of its rows can be read", survey.bad[0] if survey.bad else "")
    progress.finish()
    survey.content = digest.hexdigest()
    return survey


def slug(path: Path) -> str:
    """A file's name as part of a run's."""
    return re.sub(r"[^\w.-]+", "-", path.name.split(".")[0]).strip("-.") or "file"


def run_name(path: Path, content: str, plan: Plan) -> str:
    """The name of an import: the file's, and what it says, read as it was."""
    reading = plan.reading
    told = f"{content} {plan.round} {reading.judge.name} {reading.judge.kind} {reading.kind} {reading.policy}"
    return f"{IMPORT}-{slug(path)}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def _items(source: Source, form: Format, plan: Plan, survey: Survey) -> Iterator[tuple[ImportedTask | None, Line]]:
    for line in source.rows():
        try:
            tasks = form.read(line, plan.reading)
            number = number_of_task(line) if form is RAW else None
            for task in tasks:
                if task.prompt.split == "train" and task.prompt.messages in plan.test_prompts:
                    raise line.error(
                        f"this prompt is one of the test prompts: {task.prompt.text[:60]!r}",
                        "what is trained on cannot be held out: remove the line",
                    )
        except DataError as error:
            _leave_out(error, survey, plan.skip_bad)
            continue
        if not tasks:
            survey.unjudged += 1
            yield None, line
        for task in tasks:
            if form is not RAW:
                task = replace(task, purpose="holdout" if plan.is_held_out(task.prompt) else "train")
            survey.tasks += 1
            survey.judgements += len(task.verdicts)
            yield ImportedTask(line.where, task, number), line


def _leave_out(error: DataError, survey: Survey, skip_bad: bool) -> None:
    if not skip_bad:
        raise error
    survey.bad_rows += 1
    if len(survey.bad) < SHOWN_BAD:
        survey.bad.append(error.message)


def _content(item: ImportedTask) -> bytes:
    rows: list[dict[str, Any]] = [
        row_of(item.number or 0, of_one(item.task, verdict)) for verdict in item.task.verdicts
    ]
    return "".join(map(json_line, rows)).encode()
