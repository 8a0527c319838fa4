"""Rows that are no comparisons: they become a file of the workspace's, which a setting names.

Demonstrations, prompts, and completions that were judged one by one are learnt from files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from assent.data.exchange.forms import Messages, completion_text, is_text_or_messages, prompt_messages
from assent.data.exchange.sinks import message_list
from assent.data.exchange.trl import texts_of
from assent.data.lines import Line, json_name


@dataclass(frozen=True)
class FileFormat:
    """A shape whose rows are learnt from a file.

    Attributes:
        name: as `--format` takes it.
        example: a row as it should be.
        setting: which names the file.
        fits: true for a row that has these fields.
        read: the row as the setting's file has it; raises DataError naming the field.
    """

    name: str
    example: str
    setting: str
    fits: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Line], dict[str, Any]]


def _prompt_fields(prompt: Messages) -> dict[str, Any]:
    text = texts_of(prompt)
    return {"messages": message_list(prompt)} if text is None else {"prompt": text}


def _read_demonstration(line: Line) -> dict[str, Any]:
    prompt = prompt_messages(line, "prompt")
    return {**_prompt_fields(prompt), "completion": completion_text(line, "completion", prompt)}


def _read_prompt(line: Line) -> dict[str, Any]:
    return _prompt_fields(prompt_messages(line, "prompt" if "prompt" in line.fields else "messages"))


def _read_labelled(line: Line) -> dict[str, Any]:
    label = line.fields.get("label")
    if label not in (True, False):  # 1 and 0 are equal to them
        given = "is missing" if label is None else f"must be true or false, got {json_name(label)}"
        raise line.error(f"field 'label' {given}", f"expected {UNPAIRED.example}")
    return {**_read_demonstration(line), "label": bool(label)}


def _has_completion(fields: Mapping[str, Any]) -> bool:
    both = is_text_or_messages(fields.get("prompt")), is_text_or_messages(fields.get("completion"))
    return all(both) and not {"chosen", "rejected"} & fields.keys()


DEMONSTRATIONS = FileFormat(
    "prompt-completion",
    '{"prompt": "Where?", "completion": "Here."}',
    "sft.demonstrations",
    lambda fields: _has_completion(fields) and "label" not in fields,
    _read_demonstration,
)
PROMPTS = FileFormat(
    "prompt-only",
    '{"prompt": "Where?"}',
    "prompts.path",
    lambda fields: (
        is_text_or_messages(fields.get("prompt", fields.get("messages")))
        and not {"completion", "chosen", "rejected", "response", "label", "assent"} & fields.keys()
    ),
    _read_prompt,
)
UNPAIRED = FileFormat(
    "unpaired",
    '{"prompt": "Where?", "completion": "Here.", "label": true}',
    "preference.comparisons",
    lambda fields: _has_completion(fields) and fields.get("label") in (True, False),
    _read_labelled,
)
FILE_FORMATS = {each.name: each for each in (UNPAIRED, DEMONSTRATIONS, PROMPTS)}
