"""UltraFeedback's shapes (Cui et al. 2023; as pairs, Tunstall et al. 2023): scored completions, and two of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from assent.data.exchange.forms import (
    Format,
    Messages,
    Reading,
    answer_of,
    is_messages,
    number_of,
    pair_task,
    ranked_task,
    ranks_of,
)
from assent.data.exchange.trl import answered, conversation
from assent.data.lines import Line, json_name
from assent.store.records import TaskRecord
from assent.types.feedback import PersonKind
from assent.types.messages import Message

EXAMPLE = (
    '{"instruction": "Where?", "completions": [{"response": "Here.", "model": "a", "overall_score": 8},'
    ' {"response": "There.", "model": "b", "overall_score": 4}]}'
)
BINARIZED_EXAMPLE = (
    '{"prompt": "Where?", "chosen": [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}],'
    ' "rejected": [...], "score_chosen": 8, "score_rejected": 4}'
)
_SCORES = ("overall_score", "fine-grained_score")
_STEPS = 4.0  # a rating is from 1 to 5, a mark from 0 to 1
_PREFIX = "imported:"


def _held(fields: Mapping[str, Any]) -> Any:
    """The completions, which in a table that was written here are a text of JSON."""
    value = fields.get("completions")
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _fits(fields: Mapping[str, Any]) -> bool:
    held = _held(fields)
    return (
        isinstance(fields.get("instruction"), str)
        and isinstance(held, list)
        and all(isinstance(each, dict) and "response" in each for each in held)
    )


def _read(line: Line, reading: Reading) -> list[TaskRecord]:
    prompt = (Message("user", line.text("instruction")),)
    held = _held(line.fields)
    if not isinstance(held, list) or len(held) < 2:
        got = f"{len(held)}" if isinstance(held, list) else json_name(held)
        raise line.error(f"field 'completions' must be a list of two or more, got {got}", f"expected {EXAMPLE}")
    texts, scores, marks = [], [], []
    for index, each in enumerate(held):
        where = f"field 'completions[{index}]"
        if not isinstance(each, dict):
            raise line.error(f"{where}' must be an object, got {json_name(each)}", f"expected {EXAMPLE}")
        model = each.get("model")
        version = _PREFIX + line.checked(model, f"{where}.model'") if model is not None else reading.policy
        texts.append((line.checked(each.get("response"), f"{where}.response'"), version))
        scores.append(_score(line, each, where))
        marks.append(_marks(line, each.get("annotations"), f"{where}.annotations"))
    return [ranked_task(prompt, texts, ranks_of(scores), reading, marks)]


def _score(line: Line, completion: Mapping[str, Any], where: str) -> float:
    given = [name for name in _SCORES if completion.get(name) is not None]
    if not given:
        raise line.error(f"{where}.{_SCORES[0]}' is missing: nothing says how good it is", f"expected {EXAMPLE}")
    return number_of(line, completion[given[0]], f"{where}.{given[0]}'")


def _marks(line: Line, value: object, where: str) -> dict[str, float]:
    """Ratings from 1 to 5 as marks in [0, 1]; what was not rated has none."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise line.error(f"{where}' must be an object, got {json_name(value)}")
    found = {}
    for name, rated in value.items():
        rating = rated.get("Rating") if isinstance(rated, dict) else rated
        if rating in (None, "N/A", "") or isinstance(rating, list):
            continue
        number = number_of(line, rating, f"{where}.{name}.Rating'")
        if not 1 <= number <= 1 + _STEPS:
            raise line.error(f"{where}.{name}.Rating' must lie in 1..5, got {number:g}")
        found[name] = (number - 1.0) / _STEPS
    return found


def scored_row(task: TaskRecord, scores: Sequence[float], marks: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """A row of the original shape."""
    return {
        "instruction": task.prompt.text,
        "completions": [
            {
                "response": each.text,
                "model": each.policy_version.removeprefix(_PREFIX),
                "overall_score": score,
                "annotations": {
                    name: {"Rating": f"{1 + _STEPS * mark:.12g}"} for name, mark in sorted(mark_of.items())
                },
            }
            for each, score, mark_of in zip(task.completions, scores, marks or [{}] * len(scores), strict=True)
        ],
    }


def binarized_row(prompt: Messages, chosen: str, rejected: str, scores: tuple[float, float]) -> dict[str, Any]:
    """A row of the binarised shape."""
    text = prompt[-1].content
    return {
        "prompt": text,
        "prompt_id": hashlib.sha256(text.encode()).hexdigest(),
        "chosen": answered(prompt, chosen),
        "rejected": answered(prompt, rejected),
        "messages": answered(prompt, chosen),
        "score_chosen": scores[0],
        "score_rejected": scores[1],
    }


def _fits_binarized(fields: Mapping[str, Any]) -> bool:
    return all(is_messages(fields.get(name)) for name in ("chosen", "rejected")) and all(
        name in fields for name in ("score_chosen", "score_rejected")
    )


def _read_binarized(line: Line, reading: Reading) -> list[TaskRecord]:
    chosen, rejected = (conversation(line, name) for name in ("chosen", "rejected"))
    better, worse = (number_of(line, line.fields.get(n), f"field '{n}'") for n in ("score_chosen", "score_rejected"))
    if chosen[:-1] != rejected[:-1]:
        raise line.error("'chosen' and 'rejected' differ before the last message", "they must answer the same prompt")
    if better < worse:
        raise line.error(f"'score_chosen' {better:g} is below 'score_rejected' {worse:g}", "which of them was better?")
    both = answer_of(line, chosen, "chosen"), answer_of(line, rejected, "rejected")
    return [pair_task(chosen[:-1], *both, reading, tie=better == worse)]


ULTRAFEEDBACK = Format("ultrafeedback", EXAMPLE, _fits, _read, PersonKind.AI)
BINARIZED = Format("ultrafeedback-binarized", BINARIZED_EXAMPLE, _fits_binarized, _read_binarized, PersonKind.AI)
