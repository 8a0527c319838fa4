"""A labelling tool's record as a judged task: which field is the prompt, which are completions, and who said what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from assent.data.exchange.forms import Messages, Reading, prompt_messages, ranks_of, task_of
from assent.data.lines import Line
from assent.store.people import NewPerson
from assent.store.records import TaskRecord, Verdict
from assent.types.feedback import Judgement

PROMPT_NAMES = ("prompt", "instruction", "question", "input", "context", "query", "conversation", "text")
TIES = ("tie", "both", "same", "equal", "draw", "neither")


@dataclass(frozen=True)
class Said:
    """What one person said: a score for each completion by its field's name, higher is better."""

    person: str
    scores: Mapping[str, float]
    seconds: float = 0.0
    note: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Record:
    """A record's texts by the name of their field, in its order, and what it says beside them."""

    line: Line
    group: str  # under which the texts stand: `fields`, `data`
    texts: Mapping[str, Any]
    more: Mapping[str, str] = field(default_factory=dict)  # completions that stand in a list: id -> text

    def names(self, reading: Reading, said: Sequence[Said]) -> tuple[str, ...]:
        """The completions' names in the record's order.

        Raises:
            DataError: a field that was named is not there, or there are fewer than two.
        """
        given = reading.completion_fields
        if unknown := [name for name in given if name not in self.texts]:
            raise self.line.error(f"there is no field '{self.group}.{unknown[0]}'", self.fields_hint())
        meant = set(given) or {name for each in said for name in each.scores}
        names = tuple(name for name in (*self.texts, *self.more) if name in meant)
        if len(names) < 2:
            raise self.line.error(
                f"the judgements are about {len(names) or 'none'} of its fields: there must be two completions",
                self.fields_hint(),
            )
        return names

    def prompt(self, reading: Reading, completions: Sequence[str]) -> Messages:
        """The field that is the prompt: the one that was named, the only one left, or one with a usual name.

        Raises:
            DataError: it is not clear which.
        """
        left = [name for name in self.texts if name not in completions and isinstance(self.texts[name], str | list)]
        usual = [name for name in left if name.lower() in PROMPT_NAMES]
        name = reading.prompt_field
        if name is None and len(usual or left) == 1:
            name = (usual or left)[0]
        if name is None or name not in self.texts:
            what = "which field is the prompt?" if name is None else f"there is no field '{self.group}.{name}'"
            raise self.line.error(what, self.fields_hint())
        inner = Line(self.line.file, self.line.number, self._named(), self.line.unit)
        return prompt_messages(inner, f"{self.group}.{name}")

    def completion(self, name: str) -> str:
        """The text of a completion.

        Raises:
            DataError: it is none.
        """
        value = self.more[name] if name in self.more else self.texts[name]
        return self.line.checked(value, f"field '{self.group}.{name}'")

    def fields_hint(self) -> str:
        """What can be done where names do not tell."""
        return (
            f"its fields are {', '.join([*self.texts, *self.more])}: name the prompt with --prompt-field, the"
            " completions with --completion-field (once for each)"
        )

    def _named(self) -> dict[str, Any]:
        return {f"{self.group}.{name}": value for name, value in self.texts.items()}


def task_of_record(record: Record, reading: Reading, said: Sequence[Said]) -> list[TaskRecord]:
    """The record as one judged task; none if nobody judged it.

    Raises:
        DataError: naming the field.
    """
    if not said:
        return []
    names = record.names(reading, said)
    verdicts = []
    for each in said:
        if missing := [name for name in names if name not in each.scores]:
            raise record.line.error(f"{each.person} says nothing of '{missing[0]}'", record.fields_hint())
        ranks = ranks_of([each.scores[name] for name in names])
        judgement = Judgement(ranks, tuple(range(len(names))), note=each.note, seconds=each.seconds)
        verdicts.append(Verdict(NewPerson(each.person, reading.kind), judgement, submitted_at=each.at))
    texts = [(record.completion(name), reading.policy) for name in names]
    return [task_of(record.prompt(reading, names), texts, verdicts)]


def scores_of_choice(record: Record, chosen: str, among: Sequence[str]) -> dict[str, float] | None:
    """A choice of one completion by its field's name, or of none of them in particular; None if it names neither."""
    if chosen.strip().lower() in TIES:
        return dict.fromkeys(among, 0.0)
    if chosen not in (*record.texts, *record.more):
        return None
    return {name: float(name == chosen) for name in among}


def named_in(name: str, fields: Sequence[str]) -> str | None:
    """The field that a question's name holds, e.g. `response_1` in `rate_response_1`; the longest if several."""
    return max((each for each in fields if each in name), key=len, default=None)
