"""Labelled samples from a file: completions with a reward, with marks per criterion, or with a label of 0 or 1."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from assent.data.files import PROMPT_FIELDS, place_of, prompt_of, split_of
from assent.data.lines import Line, json_name, read_jsonl
from assent.types.errors import DataError
from assent.types.messages import Prompt

REWARD_EXAMPLE = '{"prompt": "How do I store bleach?", "completion": "Keep it closed.", "reward": 0.8}'
MARKS_EXAMPLE = '{"prompt": "...", "completion": "...", "marks": {"helpful": 0.8, "harmless": 1}}'
LABEL_EXAMPLE = '{"text": "You are a mouldy turnip.", "label": 1}'
VALUE = "value"  # the name of a sample's only number

_FIELDS = (*PROMPT_FIELDS, "completion", "text", "reward", "marks", "label")


@dataclass(frozen=True)
class Sample:
    """One text with what was said of it."""

    prompt: Prompt | None  # None: the text is judged by itself
    text: str
    values: Mapping[str, float]  # criterion -> mark, or VALUE -> the reward or label
    split: str  # "train" or "test"; test samples only ever measure
    line: int

    @property
    def group(self) -> str:
        """What must not stand on both sides of the split: the prompt, or where there is none the text."""
        if self.prompt is None:
            return self.text
        return json.dumps([[message.role, message.content] for message in self.prompt.messages])


def read_samples(path: Path, binary: bool, criteria: Sequence[str], holdout_share: float) -> list[Sample]:
    """The samples of a JSONL file in its order.

    A line without a split gets one from the content of its prompt (or text), so that no prompt is on both sides.

    Args:
        path: the file.
        binary: `label`s of 0 or 1 are expected, and a `text` may stand alone; else `reward`s, or `marks`.
        criteria: which marks to read; none: the reward.
        holdout_share: of the lines without a split, in (0, 1).

    Raises:
        DataError: naming file, line, field and what is expected; or all labels are the same; or a side is empty.
    """
    example = LABEL_EXAMPLE if binary else MARKS_EXAMPLE if criteria else REWARD_EXAMPLE
    samples = [_sample_of(line, binary, criteria, example) for line in read_jsonl(path, example)]
    _check_prompts(samples, path)
    samples = _with_splits(samples, holdout_share, path)
    for name in criteria or (VALUE,):
        _check_spread(samples, name, path)
    return samples


def _sample_of(line: Line, binary: bool, criteria: Sequence[str], example: str) -> Sample:
    line.check_names(_FIELDS)
    given = [name for name in ("completion", "text") if name in line.fields]
    if len(given) != 1:
        what = "has both 'completion' and 'text'" if given else "field 'completion' is missing"
        raise line.error(what, f"expected {example}")
    text = line.text(given[0])
    has_prompt = "prompt" in line.fields or "messages" in line.fields
    if not has_prompt and not binary:
        raise line.error("field 'prompt' (or 'messages') is missing", f"expected {example}")
    split = split_of(line)
    prompt = prompt_of(line, split) if has_prompt else None
    return Sample(prompt, text, _values_of(line, binary, criteria, example), split, line.number)


def _values_of(line: Line, binary: bool, criteria: Sequence[str], example: str) -> dict[str, float]:
    if criteria:
        return _marks_of(line, criteria, example)
    name = "label" if binary else "reward"
    if name not in line.fields:
        raise line.error(f"field '{name}' is missing", f"expected {example}")
    value = line.fields[name]
    if binary:
        if value not in (0, 1):  # true and false are 1 and 0
            raise line.error(f"field 'label' must be 0 or 1, got {_shown(value)}", f"expected {example}")
        return {VALUE: float(value)}
    return {VALUE: _number(line, value, "field 'reward'")}


def _marks_of(line: Line, criteria: Sequence[str], example: str) -> dict[str, float]:
    marks = line.fields.get("marks")
    if not isinstance(marks, dict):
        what = "is missing" if marks is None else f"must be an object, got {json_name(marks)}"
        raise line.error(f"field 'marks' {what}", f"expected {example}")
    found = {name: _number(line, marks[name], f"field 'marks.{name}'") for name in criteria if name in marks}
    if not found:
        raise line.error(
            f"field 'marks' has none of {', '.join(criteria)}", "name its criteria in reward_model.criteria"
        )
    return found


def _number(line: Line, value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise line.error(f"{where} must be a finite number, got {_shown(value)}")
    return float(value)


def _shown(value: object) -> str:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else json_name(value)


def _check_prompts(samples: Sequence[Sample], path: Path) -> None:
    first = samples[0]
    for sample in samples:
        if (sample.prompt is None) != (first.prompt is None):
            has, lacks = ("this line", f"line {first.line}") if first.prompt is None else (f"line {first.line}", "this")
            raise DataError(
                f"{path}, line {sample.line}: {has} has a prompt, {lacks} has none",
                "a classifier reads either texts by themselves or answers to prompts: give all lines a prompt, or none",
            )


def _with_splits(samples: Sequence[Sample], holdout_share: float, path: Path) -> list[Sample]:
    named: dict[str, Sample] = {}
    for sample in samples:
        before = named.setdefault(sample.group, sample) if sample.split else sample
        if before.split != sample.split:
            raise DataError(
                f"{path}, line {sample.line}: its {'prompt' if sample.prompt else 'text'} is '{sample.split}' here and"
                f" '{before.split}' on line {before.line}",
                "what is trained on cannot be held out: give it one split",
            )
    found = []
    for sample in samples:
        fixed = named.get(sample.group)
        held_out = "test" if place_of(sample.group) < holdout_share else "train"
        found.append(replace(sample, split=fixed.split if fixed else held_out))
    for split in ("train", "test"):
        if all(sample.split != split for sample in found):
            what = "to learn from" if split == "train" else "held out to measure the model"
            raise DataError(
                f"{path}: none of its {len(found)} lines is {what}",
                f"give more lines, or some the split '{split}' (reward_model.samples_holdout_share divides the rest)",
            )
    return found


def _check_spread(samples: Sequence[Sample], name: str, path: Path) -> None:
    for split, what in (("train", "to learn from"), ("test", "held out")):
        values = [sample.values[name] for sample in samples if sample.split == split and name in sample.values]
        label = "labels" if name == VALUE else f"marks '{name}'"
        if len(set(values)) < 2:
            said = f"are all {values[0]:g}" if values else "are missing"
            raise DataError(
                f"{path}: the {len(values)} {label} {what} {said}",
                "a reward model learns from differences: give samples of both kinds on both sides of the split",
            )
