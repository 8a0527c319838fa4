"""The shapes that TRL's trainers take (TRL documentation, "Dataset formats and types"): texts, or lists of messages."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from assent.data.exchange.forms import (
    Format,
    Messages,
    Reading,
    answer_of,
    completion_text,
    is_messages,
    is_text_or_messages,
    messages_of,
    pair_task,
    prompt_messages,
)
from assent.data.exchange.sinks import message_list
from assent.data.lines import Line, json_name
from assent.store.records import TaskRecord
from assent.types.messages import Message

PREFERENCE_EXAMPLE = '{"prompt": "Where?", "chosen": "Here.", "rejected": "There."}'
IMPLICIT_EXAMPLE = '{"chosen": "Where?\\nHere.", "rejected": "Where?\\nThere."}'


def _has_pair(fields: Mapping[str, Any]) -> bool:
    return is_text_or_messages(fields.get("chosen")) and is_text_or_messages(fields.get("rejected"))


def _fits_explicit(fields: Mapping[str, Any]) -> bool:
    return _has_pair(fields) and is_text_or_messages(fields.get("prompt")) and "completion" not in fields


def _fits_implicit(fields: Mapping[str, Any]) -> bool:
    return _has_pair(fields) and "prompt" not in fields and "completion" not in fields


def read_explicit(line: Line, reading: Reading) -> list[TaskRecord]:
    """`{"prompt", "chosen", "rejected"}`.

    Raises:
        DataError: naming the field.
    """
    prompt = prompt_messages(line, "prompt")
    chosen, rejected = (completion_text(line, name, prompt) for name in ("chosen", "rejected"))
    return [pair_task(prompt, chosen, rejected, reading)]


def read_implicit(line: Line, reading: Reading) -> list[TaskRecord]:
    """`{"chosen", "rejected"}`, each with the prompt before it.

    Of conversations the prompt is all but the last message. Of texts it is what both begin with, up to the last white
    space in it, so that no word is divided.

    Raises:
        DataError: naming the field, or saying that there is no common prompt.
    """
    if not is_messages(line.fields.get("chosen")):
        prompt_text, chosen, rejected = _divided(line)
        return [pair_task((Message("user", prompt_text),), chosen, rejected, reading)]
    chosen_messages, rejected_messages = (conversation(line, name) for name in ("chosen", "rejected"))
    if chosen_messages[:-1] != rejected_messages[:-1]:
        raise line.error("'chosen' and 'rejected' differ before the last message", "they must answer the same prompt")
    chosen, rejected = answer_of(line, chosen_messages, "chosen"), answer_of(line, rejected_messages, "rejected")
    return [pair_task(chosen_messages[:-1], chosen, rejected, reading)]


def conversation(line: Line, name: str) -> Messages:
    """A field that is a conversation of a prompt and an answer.

    Raises:
        DataError: it is none.
    """
    value = line.fields.get(name)
    if not isinstance(value, list):
        raise line.error(f"field '{name}' must be a list of messages, got {json_name(value)}")
    messages = messages_of(line, value, name)
    if len(messages) < 2:
        raise line.error(f"field '{name}' holds an answer without a prompt before it")
    return messages


def _divided(line: Line) -> tuple[str, str, str]:
    chosen, rejected = line.text("chosen"), line.text("rejected")
    shared = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(chosen, rejected, strict=False)))
    common = chosen[:shared]
    if len(common) < min(len(chosen), len(rejected)):
        common = common[: max((common.rfind(space) + 1 for space in (" ", "\n", "\t")), default=0)]
    prompt = common.rstrip()
    if not prompt or not all(text[len(prompt) :].strip() for text in (chosen, rejected)):
        raise line.error(
            "'chosen' and 'rejected' have no prompt in common that both go on from",
            f"give the prompt in a field of its own: {PREFERENCE_EXAMPLE}",
        )
    return prompt, chosen[len(prompt) :].strip(), rejected[len(prompt) :].strip()


def texts_of(prompt: Messages) -> str | None:
    """The prompt as one text; None if it is more than a user's message, which a text cannot tell."""
    return prompt[0].content if len(prompt) == 1 and prompt[0].role == "user" else None


def answered(prompt: Messages, text: str) -> list[dict[str, str]]:
    """The prompt's messages and the answer to them."""
    return message_list((*prompt, Message("assistant", text)))


def answer(text: str) -> list[dict[str, str]]:
    """A completion as TRL's conversations have it."""
    return message_list((Message("assistant", text),))


PREFERENCE = Format("preference", PREFERENCE_EXAMPLE, _fits_explicit, read_explicit)
IMPLICIT = Format("preference-implicit", IMPLICIT_EXAMPLE, _fits_implicit, read_implicit)
