"""assent's own shape, which loses nothing: a judgement with its person, its task, its completions and their prompt."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast, get_args

from assent.data.exchange.forms import Format, Reading, moment
from assent.data.exchange.sinks import Columns, message_list
from assent.data.lines import Line, json_name
from assent.store.people import NewPerson
from assent.store.records import CompletionRecord, SourceRun, TaskRecord, Verdict
from assent.store.tasks import PURPOSES
from assent.types.feedback import Judgement, LabelKind, PersonKind, Span
from assent.types.messages import Message, Prompt, Role
from assent.types.rollout import FinishReason

FORM = "judgement/2"  # counted up when a field is added
COLUMNS: Columns = {
    "assent": "text",
    **dict.fromkeys(("run", "task", "prompt", "completions", "person", "judgement"), "json"),
}
EXAMPLE = '{"assent": "judgement/2", "run": {...}, "task": {...}, "prompt": {...}, "completions": [...], ...}'


def row_of(number: int, task: TaskRecord) -> dict[str, Any]:
    """The row of a task with one verdict."""
    (verdict,) = task.verdicts
    said, source = verdict.judgement, task.source
    return {
        "assent": FORM,
        "run": None if source is None else vars(source),
        "task": {
            "number": number,
            "label": task.label.value,
            "purpose": task.purpose,
            "overlap": task.overlap,
            "priority": task.priority,
        },
        "prompt": {
            "messages": message_list(task.prompt.messages),
            "split": task.prompt.split,
            "meta": _sorted(task.prompt.meta),
        },
        "completions": [
            {
                **vars(each),
                "token_ids": list(each.token_ids),
                "finish_reason": each.finish_reason.value,
                "sampling": _sorted(each.sampling),
            }
            for each in task.completions
        ],
        "person": {
            "name": verdict.person.name,
            "kind": verdict.person.kind.value,
            "profile": _sorted(verdict.person.profile),
        },
        "judgement": {
            "ranks": list(said.ranks),
            "order_shown": list(said.order_shown),
            "marks": [_sorted(marks) for marks in said.marks],
            "flags": list(said.flags),
            "note": said.note,
            "seconds": said.seconds,
            "strength": said.strength,
            "all_bad": said.all_bad,
            "reasons": list(said.reasons),
            "spans": [vars(span) for span in said.spans],
            "rewrite": said.rewrite,
            "leased_at": _written(verdict.leased_at),
            "submitted_at": _written(verdict.submitted_at),
        },
    }


def _sorted(value: Mapping[str, Any]) -> dict[str, Any]:
    """In the order in which the database keeps names, so that equal values are equal bytes."""
    return {name: _sorted(each) if isinstance(each, Mapping) else each for name, each in sorted(value.items())}


def _written(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def number_of_task(line: Line) -> int:
    """Which rows are of one task: those of the same number.

    Raises:
        DataError: it is missing.
    """
    return _Fields(line).inner("task").whole("number")


def _fits(fields: Mapping[str, Any]) -> bool:
    return "assent" in fields and "judgement" in fields


def _read(line: Line, reading: Reading) -> list[TaskRecord]:
    row = _Fields(line)
    if line.fields.get("assent") != FORM:
        raise line.error(
            f"field 'assent' must be '{FORM}', got {line.fields.get('assent')!r}", "was it written by a newer assent?"
        )
    task = row.inner("task")
    source = None if row.values.get("run") in (None, "null") else row.inner("run")
    completions = tuple(_completion(each) for each in row.each("completions"))
    verdict = Verdict(_person(row.inner("person")), *_judgement(row.inner("judgement"), task, len(completions)))
    purpose = task.one_of("purpose", PURPOSES)
    overlap = task.whole("overlap")
    if overlap < 1:
        raise line.error(f"field 'task.overlap' must be at least 1, got {overlap}")
    return [
        TaskRecord(
            prompt=_prompt(row.inner("prompt")),
            completions=completions,
            verdicts=(verdict,),
            label=LabelKind(task.one_of("label", [each.value for each in LabelKind])),
            purpose=purpose,
            overlap=overlap,
            priority=task.whole("priority"),
            source=None if source is None else SourceRun(source.text("id"), source.text("kind"), source.whole("round")),
        )
    ]


def _prompt(prompt: _Fields) -> Prompt:
    messages = tuple(
        Message(cast(Role, each.one_of("role", get_args(Role))), each.text("content", empty=True))
        for each in prompt.each("messages")
    )
    if not messages:
        raise prompt.error("messages", "is empty")
    meta = prompt.inner("meta")
    return Prompt(
        messages, prompt.one_of("split", ("train", "test")), {name: meta.text(name, empty=True) for name in meta.values}
    )


def _completion(given: _Fields) -> CompletionRecord:
    return CompletionRecord(
        text=given.text("text", empty=True),
        policy_version=given.text("policy_version"),
        group_index=given.whole("group_index"),
        sample_index=given.whole("sample_index"),
        token_ids=given.wholes("token_ids"),
        finish_reason=FinishReason(given.one_of("finish_reason", [each.value for each in FinishReason])),
        sampling=given.inner("sampling").values,
    )


def _person(given: _Fields) -> NewPerson:
    kind = PersonKind(given.one_of("kind", [each.value for each in PersonKind]))
    return NewPerson(given.text("name"), kind, given.inner("profile").values)


def _judgement(given: _Fields, task: _Fields, count: int) -> tuple[Judgement, datetime | None, datetime | None]:
    marks = tuple({name: each.number(name) for name in each.values} for each in given.each("marks"))
    ranks = given.wholes("ranks")
    for name, found in (("ranks", len(ranks)), ("marks", len(marks) or count)):
        if found != count:
            raise given.error(name, f"holds {found} for {count} completions")
    try:
        said = Judgement(
            ranks=ranks,
            order_shown=given.wholes("order_shown"),
            label=LabelKind(task.one_of("label", [each.value for each in LabelKind])),
            marks=marks,
            flags=tuple(given.line.checked(flag, f"field '{given.name}.flags'") for flag in given.listed("flags")),
            note=given.text("note", empty=True),
            seconds=given.number("seconds"),
            strength=given.text("strength", empty=True),
            all_bad=given.truth("all_bad"),
            reasons=tuple(given.line.checked(tag, f"field '{given.name}.reasons'") for tag in given.listed("reasons")),
            spans=tuple(_span(each) for each in given.each("spans")),
            rewrite=given.text("rewrite", empty=True),
        )
    except ValueError as error:
        raise given.line.error(f"field '{given.name}': {error}") from None
    leased, submitted = (
        moment(given.line, given.values.get(name), f"field '{given.name}.{name}'")
        for name in ("leased_at", "submitted_at")
    )
    return said, leased, submitted


def _span(given: _Fields) -> Span:
    places = (given.whole("completion"), given.whole("start"), given.whole("end"))
    return Span(*places, given.text("tag", empty=True))


class _Fields:
    """An object within a row, with errors that name where a field stands. In a table it is a text of JSON."""

    def __init__(self, line: Line, name: str = "", values: object = None) -> None:
        self.line = line
        self.name = name
        if isinstance(values, str):
            values = _parsed(line, name, values)
        if name and not isinstance(values, dict):
            raise line.error(f"field '{name}' must be an object, got {json_name(values)}", f"expected {EXAMPLE}")
        self.values: dict[str, Any] = values if isinstance(values, dict) else line.fields

    def error(self, name: str, what: str) -> Exception:
        """An error about a field."""
        return self.line.error(f"field '{self._path(name)}' {what}", f"expected {EXAMPLE}")

    def inner(self, name: str) -> _Fields:
        """A field that is an object."""
        return _Fields(self.line, self._path(name), self._given(name))

    def each(self, name: str) -> list[_Fields]:
        """A field that is a list of objects."""
        return [
            _Fields(self.line, f"{self._path(name)}[{index}]", each) for index, each in enumerate(self.listed(name))
        ]

    def listed(self, name: str) -> list[Any]:
        """A field that is a list."""
        value = self._given(name)
        if isinstance(value, str):
            value = _parsed(self.line, name, value)
        if not isinstance(value, list):
            raise self.error(name, f"must be a list, got {json_name(value)}")
        return value

    def text(self, name: str, empty: bool = False) -> str:
        """A field that is a text, which may be empty only where that is said."""
        value = self._given(name)
        blank = empty and isinstance(value, str) and not value.strip()
        return self.line.checked(f"{value}." if blank else value, f"field '{self._path(name)}'")[
            : -1 if blank else None
        ]

    def whole(self, name: str) -> int:
        """A field that is a whole number."""
        value = self._given(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(name, f"must be a whole number, got {json_name(value)}")
        return value

    def wholes(self, name: str) -> tuple[int, ...]:
        """A field that is a list of whole numbers."""
        found = self.listed(name)
        if any(not isinstance(value, int) or isinstance(value, bool) for value in found):
            raise self.error(name, "must be a list of whole numbers")
        return tuple(found)

    def number(self, name: str) -> float:
        """A field that is a finite number."""
        value = self._given(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(name, f"must be a finite number, got {json_name(value)}")
        return value

    def truth(self, name: str) -> bool:
        """A field that is true or false."""
        value = self._given(name)
        if not isinstance(value, bool):
            raise self.error(name, f"must be true or false, got {json_name(value)}")
        return value

    def one_of(self, name: str, known: Any) -> str:
        """A field that is one of a few texts."""
        value = self.text(name)
        if value not in known:
            raise self.error(name, f"is {value!r}, which is none of {', '.join(known)}")
        return value

    def _given(self, name: str) -> Any:
        if name not in self.values:
            raise self.error(name, "is missing")
        return self.values[name]

    def _path(self, name: str) -> str:
        return f"{self.name}.{name}" if self.name else name


def _parsed(line: Line, name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise line.error(f"field '{name}' is no JSON: {error}") from None


read: Callable[[Line, Reading], list[TaskRecord]] = _read
RAW = Format("raw", EXAMPLE, _fits, _read)
