"""A user's own files: prompts, demonstrations and raw texts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from assent.data.lines import Line, json_name, read_jsonl, read_lines
from assent.types.errors import DataError
from assent.types.messages import Message, Prompt, Role

PROMPT_EXAMPLE = '{"prompt": "How do I store bleach?"}'
DEMONSTRATION_EXAMPLE = '{"prompt": "How do I store bleach?", "completion": "Keep it closed."}'
COMPARISON_EXAMPLE = '{"prompt": "How do I store bleach?", "chosen": "Keep it closed.", "rejected": "In a cup."}'
LABEL_EXAMPLE = '{"prompt": "How do I store bleach?", "completion": "Keep it closed.", "label": true}'
TEXT_EXAMPLE = '{"text": "a document"}'

_SPLITS = ("train", "test")
PROMPT_FIELDS = ("prompt", "messages", "split", "meta")
_MESSAGE_EXAMPLE = '{"role": "user", "content": "..."}'


def read_prompts(path: Path, test_share: float) -> list[Prompt]:
    """The prompts of a JSONL file, each once, in the order of the file.

    A line is `{"prompt": text}` or `{"messages": [{"role", "content"}, ...]}`, with an optional `"split"` ("train" or
    "test") and an optional `"meta"` of texts. A line without a split gets one from its content, so it keeps it
    whatever else the file holds; at least one prompt falls into each split. `meta["line"]` is the first line a prompt
    stands on, and `meta["copies"]`, where it stands on several, their number (see `count_copies`).

    Args:
        path: the file.
        test_share: share of the lines without a split that is held out, in (0, 1).

    Raises:
        DataError: naming file, line, field and what is expected; or fewer than two prompts; or an empty split.
    """
    kept: dict[str, Prompt] = {}
    for line in read_jsonl(path, PROMPT_EXAMPLE):
        line.check_names(PROMPT_FIELDS)
        prompt = prompt_of(line, split_of(line))
        key = _content(prompt)
        kept[key] = prompt if key not in kept else _joined(kept[key], prompt, line)
    if len(kept) < 2:
        raise DataError(
            f"{path}: holds a single prompt" + (" (repeated)" if count_copies(list(kept.values())) else ""),
            "give at least two: one to train on and one to be held out for the comparison",
        )
    return _with_splits(kept, test_share, path)


def count_copies(prompts: Sequence[Prompt]) -> int:
    """How many lines of the file repeated an earlier prompt and were left out."""
    return sum(int(prompt.meta.get("copies", "1")) - 1 for prompt in prompts)


def read_demonstrations(path: Path) -> list[tuple[Prompt, str]]:
    """(prompt, answer) pairs of a JSONL file of `{"prompt" | "messages": ..., "completion": text}`.

    Raises:
        DataError: naming file, line, field and what is expected. A line of split "test" is an error too: what is
            trained on cannot be held out.
    """
    pairs = []
    for line in read_jsonl(path, DEMONSTRATION_EXAMPLE):
        line.check_names((*PROMPT_FIELDS, "completion"))
        if split_of(line) == "test":
            raise line.error("field 'split' is 'test'", "demonstrations are trained on: leave test prompts out")
        pairs.append((prompt_of(line, "train"), line.text("completion")))
    return pairs


@dataclass(frozen=True)
class WrittenComparison:
    """Two completions of a prompt, of which one was chosen; or one that was judged by itself: the other is None."""

    prompt: Prompt
    chosen: str | None
    rejected: str | None


def read_comparisons(path: Path) -> list[WrittenComparison]:
    """The comparisons of a JSONL file, in the order of the file.

    A line is `{"prompt" | "messages": ..., "chosen": text, "rejected": text}`; or, judged by itself,
    `{"prompt" | "messages": ..., "completion": text, "label": true | false}`, true if it is desirable.

    Raises:
        DataError: naming file, line, field and what is expected. A line of split "test" is an error too: what is
            trained on cannot be held out.
    """
    found = []
    for line in read_jsonl(path, COMPARISON_EXAMPLE):
        line.check_names((*PROMPT_FIELDS, "chosen", "rejected", "completion", "label"))
        if split_of(line) == "test":
            raise line.error("field 'split' is 'test'", "comparisons are trained on: leave test prompts out")
        found.append(_comparison_of(line, prompt_of(line, "train")))
    return found


def read_texts(path: Path) -> list[str]:
    """Documents to pretrain on: of a `.jsonl` file the `"text"` of each line, else what blank lines separate.

    Raises:
        DataError: naming file, line and field; or an empty file.
    """
    if path.suffix.lower() == ".jsonl":
        found = []
        for line in read_jsonl(path, TEXT_EXAMPLE):
            line.check_names(("text",))
            found.append(line.text("text"))
        return found
    documents: list[list[str]] = [[]]
    for number, text in read_lines(path):
        if "\x00" in text:
            raise DataError(f"{path}, line {number}: holds a NUL character", "is it a text file? remove the NUL")
        if text.strip():
            documents[-1].append(text)
        elif documents[-1]:
            documents.append([])
    texts = ["\n".join(lines) for lines in documents if lines]
    if not texts:
        raise DataError(f"{path}: the file is empty", "expected documents separated by blank lines")
    return texts


def _comparison_of(line: Line, prompt: Prompt) -> WrittenComparison:
    pair = [name for name in ("chosen", "rejected") if name in line.fields]
    alone = [name for name in ("completion", "label") if name in line.fields]
    if not pair and not alone:
        raise line.error("a prompt without a comparison", f"expected {COMPARISON_EXAMPLE}, or {LABEL_EXAMPLE}")
    if pair and alone:
        raise line.error(
            f"has '{pair[0]}' and '{alone[0]}'", "give 'chosen' and 'rejected', or 'completion' and 'label'"
        )
    if pair:
        return WrittenComparison(prompt, line.text("chosen"), line.text("rejected"))
    text, label = line.text("completion"), line.fields.get("label")
    if label not in (True, False):  # 1 and 0 are equal to them
        given = "is missing" if "label" not in line.fields else f"must be true or false, got {json_name(label)}"
        raise line.error(f"field 'label' {given}", f"expected {LABEL_EXAMPLE}")
    return WrittenComparison(prompt, text, None) if label else WrittenComparison(prompt, None, text)


def prompt_of(line: Line, split: str) -> Prompt:
    """The prompt of a line, of either form.

    Raises:
        DataError: it has neither or both of them, or a wrong one.
    """
    if "prompt" in line.fields and "messages" in line.fields:
        raise line.error("has both 'prompt' and 'messages'", "give one of them")
    if "messages" in line.fields:
        messages = _messages_of(line)
    elif "prompt" in line.fields:
        messages = (Message("user", line.text("prompt")),)
    else:
        raise line.error("field 'prompt' (or 'messages') is missing", f"expected {PROMPT_EXAMPLE}")
    return Prompt(messages, split, {**_meta_of(line), "line": str(line.number)})


def _messages_of(line: Line) -> tuple[Message, ...]:
    given = line.fields["messages"]
    if not isinstance(given, list):
        raise line.error(f"field 'messages' must be a list, got {json_name(given)}", f"expected [{_MESSAGE_EXAMPLE}]")
    if not given:
        raise line.error("field 'messages' is empty", f"expected [{_MESSAGE_EXAMPLE}]")
    messages = tuple(message_of(line, value, f"messages[{index}]") for index, value in enumerate(given))
    if messages[-1].role != "user":
        raise line.error(
            f"the last of 'messages' must be from the user, it is from '{messages[-1].role}'",
            "the policy answers the last message; an answer to learn from belongs into 'completion'",
        )
    return messages


def message_of(line: Line, value: object, where: str) -> Message:
    """A message as `{"role", "content"}`; `where` names it in the error.

    Raises:
        DataError: it is no such object.
    """
    if not isinstance(value, dict):
        raise line.error(f"{where} must be an object, got {json_name(value)}", f"expected {_MESSAGE_EXAMPLE}")
    for name in ("role", "content"):
        if name not in value:
            raise line.error(f"field '{where}.{name}' is missing", f"expected {_MESSAGE_EXAMPLE}")
    role = value["role"]
    if role not in get_args(Role):
        raise line.error(f"unknown role {role!r} in {where}", f"a role is one of {', '.join(get_args(Role))}")
    return Message(role, line.checked(value["content"], f"field '{where}.content'"))


def split_of(line: Line) -> str:
    """The split that a line names; empty if it names none.

    Raises:
        DataError: it is none that there is.
    """
    split = line.fields.get("split")
    if split is not None and split not in _SPLITS:
        raise line.error(f"unknown split {split!r}", "'split' is 'train' or 'test', or left out")
    return split or ""


def _meta_of(line: Line) -> dict[str, str]:
    meta = line.fields.get("meta") or {}
    if not isinstance(meta, dict):
        raise line.error(f"field 'meta' must be an object, got {json_name(meta)}")
    return {name: line.checked(value, f"field 'meta.{name}'") for name, value in meta.items()}


def _joined(first: Prompt, again: Prompt, line: Line) -> Prompt:
    if first.split and again.split and first.split != again.split:
        raise line.error(
            f"this prompt is '{again.split}' here and '{first.split}' on line {first.meta['line']}",
            "a prompt that is trained on cannot be held out: give it one split",
        )
    copies = int(first.meta.get("copies", "1")) + 1
    return replace(first, split=first.split or again.split, meta={**first.meta, "copies": str(copies)})


def _with_splits(kept: dict[str, Prompt], test_share: float, path: Path) -> list[Prompt]:
    places = {key: place_of(key) for key, prompt in kept.items() if not prompt.split}
    splits = {key: prompt.split or ("test" if places[key] < test_share else "train") for key, prompt in kept.items()}
    for split, nearest in (("test", min), ("train", max)):
        if split in splits.values():
            continue
        if not places:
            raise DataError(
                f"{path}: every line has split '{next(iter(splits.values()))}'",
                f"give some lines the split '{split}', or leave 'split' out: then it is chosen by content",
            )
        splits[nearest(places, key=lambda key: places[key])] = split
    return [replace(prompt, split=splits[key]) for key, prompt in kept.items()]


def _content(prompt: Prompt) -> str:
    return json.dumps([[message.role, message.content] for message in prompt.messages])


def place_of(content: str) -> float:
    """A point in [0, 1) that this content always falls on."""
    return int.from_bytes(hashlib.blake2b(content.encode(), digest_size=8).digest(), "big") / 2.0**64
