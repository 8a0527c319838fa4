"""Dialogues as in HH-RLHF (Bai et al. 2022): one text with `Human:` and `Assistant:` at the beginning of each turn."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from assent.data.exchange.forms import Format, Messages, Reading, answer_of, pair_task
from assent.data.lines import Line
from assent.store.records import TaskRecord
from assent.types.feedback import PersonKind
from assent.types.messages import Message, Role

EXAMPLE = (
    '{"chosen": "\\n\\nHuman: Where?\\n\\nAssistant: Here.", "rejected": "\\n\\nHuman: Where?\\n\\nAssistant: There."}'
)
_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES: Mapping[str, Role] = {"Human": "user", "Assistant": "assistant"}
_NAMES = {"user": "Human", "assistant": "Assistant"}


def dialogue(messages: Messages) -> str | None:
    """Messages as one text; None if the form cannot hold them: another role, or a turn mark within a text."""
    if any(message.role not in _NAMES or _TURN.search("\n\n" + message.content) for message in messages):
        return None
    return "".join(f"\n\n{_NAMES[message.role]}: {message.content}" for message in messages)


def _fits(fields: Mapping[str, Any]) -> bool:
    both = [fields.get(name) for name in ("chosen", "rejected")]
    return "prompt" not in fields and all(isinstance(text, str) and _TURN.match(text) for text in both)


def _read(line: Line, reading: Reading) -> list[TaskRecord]:
    chosen, rejected = (_turns(line, name) for name in ("chosen", "rejected"))
    if chosen[:-1] != rejected[:-1]:
        raise line.error(
            "'chosen' and 'rejected' differ before the assistant's last turn", "they must answer the same prompt"
        )
    if chosen[-2].role != "user":
        raise line.error("the turn before the assistant's last is not the human's")
    return [pair_task(chosen[:-1], answer_of(line, chosen, "chosen"), answer_of(line, rejected, "rejected"), reading)]


def _turns(line: Line, name: str) -> Messages:
    parts = _TURN.split(line.text(name))
    if parts[0].strip():
        raise line.error(f"field '{name}' must begin with '\\n\\nHuman: '", f"expected {EXAMPLE}")
    turns = tuple(
        Message(_ROLES[who], line.checked(text.removeprefix(" "), f"field '{name}', turn {number} ({who})"))
        for number, (who, text) in enumerate(zip(parts[1::2], parts[2::2], strict=True), start=1)
    )
    if len(turns) < 2:
        raise line.error(f"field '{name}' holds no turn of the human's and one of the assistant's after it")
    return turns


HH_RLHF = Format("hh-rlhf", EXAMPLE, _fits, _read, PersonKind.HUMAN)
