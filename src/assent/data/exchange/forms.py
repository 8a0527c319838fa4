"""What all formats share: how texts become messages and back, and how a pair or a ranking becomes a judged task."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from assent.data.files import message_of
from assent.data.lines import Line, json_name
from assent.store.people import NewPerson
from assent.store.records import CompletionRecord, TaskRecord, Verdict
from assent.types.feedback import Judgement, PersonKind, ranks_from_utilities
from assent.types.messages import Message, Prompt

Messages = tuple[Message, ...]


@dataclass(frozen=True)
class Reading:
    """What a file does not say, and its reader is told.

    Attributes:
        judge: whose judgements these are, where the file names nobody.
        policy: who wrote the completions, where the file names nobody.
        kind: of the people whom the file names.
        prompt_field: of a labelling tool's record, the field that is the prompt.
        completion_fields: the fields that are completions.
    """

    judge: NewPerson = field(default_factory=lambda: NewPerson("imported", PersonKind.HUMAN))
    policy: str = "imported"
    kind: PersonKind = PersonKind.HUMAN
    prompt_field: str | None = None
    completion_fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """One shape of a row.

    Attributes:
        name: as `--format` takes it.
        example: a row as it should be, for messages.
        fits: true for a row that has these fields.
        read: the judged tasks of a row; raises DataError naming the field. None: only written.
        judges: the kind of the people behind such files; None: it must be said.
    """

    name: str
    example: str
    fits: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Line, Reading], list[TaskRecord]]
    judges: PersonKind | None = None


def prompt_messages(line: Line, name: str) -> Messages:
    """A field that is a prompt: a text, or messages of which the last is answered.

    Raises:
        DataError: it is neither.
    """
    value = line.fields.get(name)
    if not isinstance(value, list):
        return (Message("user", line.text(name)),)
    messages = messages_of(line, value, name)
    if messages[-1].role not in ("user", "tool"):
        raise line.error(
            f"the last message of field '{name}' must be from the user, it is from '{messages[-1].role}'",
            "a completion answers it",
        )
    return messages


def completion_text(line: Line, name: str, prompt: Messages) -> str:
    """A field that is a completion: a text, or the assistant's message, which the prompt may stand before.

    Raises:
        DataError: it is neither.
    """
    value = line.fields.get(name)
    if not isinstance(value, list):
        return line.text(name)
    messages = messages_of(line, value, name)
    if messages[:-1] and messages[:-1] != prompt:
        raise line.error(
            f"field '{name}' holds {len(messages)} messages, and the first ones are not the prompt",
            "a completion is one message of the assistant's",
        )
    return answer_of(line, messages, name)


def answer_of(line: Line, messages: Messages, name: str) -> str:
    """The text of the last message, which must be the assistant's.

    Raises:
        DataError: it is not.
    """
    if messages[-1].role != "assistant":
        raise line.error(
            f"the last message of field '{name}' must be from the assistant, it is from '{messages[-1].role}'"
        )
    return messages[-1].content


def messages_of(line: Line, value: Sequence[Any], name: str) -> Messages:
    """A list of `{"role", "content"}`; a message that has more (a tool call, say) is refused: it would be lost.

    Raises:
        DataError: naming the message.
    """
    if not value:
        raise line.error(f"field '{name}' is empty")
    for index, each in enumerate(value):
        more = [key for key in each if key not in ("role", "content") and each[key]] if isinstance(each, dict) else []
        if more:
            raise line.error(
                f"field '{name}[{index}]' has '{more[0]}' beside role and content, which would be lost",
                "leave such rows out (--skip-bad), or write what matters of it into the content",
            )
    return tuple(message_of(line, each, f"{name}[{index}]") for index, each in enumerate(value))


def number_of(line: Line, value: object, where: str) -> float:
    """A finite number, which may be written as a text.

    Raises:
        DataError: it is none.
    """
    try:
        found = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        shown = repr(value) if isinstance(value, str) else json_name(value)
        raise line.error(f"{where} must be a finite number, got {shown}")
    return found


def pair_task(prompt: Messages, chosen: str, rejected: str, reading: Reading, tie: bool = False) -> TaskRecord:
    """Two completions of which one was chosen.

    Nobody knows which was shown first, and the file always has the winner first: the texts decide the order, so that
    nothing can learn from the place.
    """
    texts = sorted((chosen, rejected), key=lambda text: hashlib.blake2b(text.encode()).digest())
    ranks = (1, 1) if tie else tuple(1 if text == chosen else 2 for text in texts)
    if chosen == rejected:
        ranks = (1, 1)
    return ranked_task(prompt, [(text, reading.policy) for text in texts], ranks, reading)


def ranked_task(
    prompt: Messages,
    completions: Sequence[tuple[str, str]],
    ranks: Sequence[int],
    reading: Reading,
    marks: Sequence[Mapping[str, float]] = (),
) -> TaskRecord:
    """Completions as (text, policy version) that one person ranked."""
    said = Judgement(tuple(ranks), tuple(range(len(ranks))), marks=tuple(marks) if any(marks) else ())
    return task_of(prompt, completions, [Verdict(reading.judge, said)])


def task_of(prompt: Messages, completions: Sequence[tuple[str, str]], verdicts: Sequence[Verdict]) -> TaskRecord:
    """Completions as (text, policy version) with what people said of them."""
    written = tuple(
        CompletionRecord(text, version, sample_index=index) for index, (text, version) in enumerate(completions)
    )
    return TaskRecord(Prompt(prompt), written, tuple(verdicts), overlap=max(1, len(verdicts)))


def ranks_of(scores: Sequence[float]) -> tuple[int, ...]:
    """Competition ranks of scores, 1 best; equal scores tie."""
    return ranks_from_utilities(list(scores))


def moment(line: Line, value: object, where: str) -> datetime | None:
    """A time as ISO 8601; one without a zone is taken as UTC. None if there is none.

    Raises:
        DataError: it is no time.
    """
    if value is None or isinstance(value, datetime):
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None:
        raise line.error(f"{where} must be a time such as 2026-01-02T03:04:05Z, got {value!r}")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def is_messages(value: object) -> bool:
    """True for what looks like a conversation."""
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) and "role" in each for each in value)


def is_text_or_messages(value: object) -> bool:
    """True for the two forms that prompts and completions come in."""
    return isinstance(value, str) or is_messages(value)
