"""Files of labelled samples: what is read from them, how they are divided, and what is refused by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assent.data.samples import read_samples
from assent.types.errors import DataError


def written(folder: Path, *lines: Any) -> Path:
    path = folder / "samples.jsonl"
    text = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


def texts(count: int) -> list[dict[str, Any]]:
    return [{"text": f"text number {i}", "label": i % 2} for i in range(count)]


def answers(count: int, **more: Any) -> list[dict[str, Any]]:
    lines = [{"prompt": f"What of thing {i // 3}?", "completion": f"It is {i}.", "reward": i / 2} for i in range(count)]
    return [line | more for line in lines]


def test_texts_with_labels(tmp_path: Path) -> None:
    path = written(tmp_path, *texts(40), {"completion": "written as an answer", "label": True, "split": "test"})
    found = read_samples(path, True, (), 0.25)
    assert len(found) == 41
    assert {sample.prompt for sample in found} == {None}
    assert [sample.values["value"] for sample in found[:3]] == [0.0, 1.0, 0.0]
    assert (found[40].text, found[40].values, found[40].split) == ("written as an answer", {"value": 1.0}, "test")
    held = [sample for sample in found[:40] if sample.split == "test"]
    assert 3 <= len(held) <= 20  # 10 expected of 40
    again = read_samples(written(tmp_path, *reversed(texts(40))), True, (), 0.25)
    assert {s.text for s in again if s.split == "test"} == {s.text for s in held}, "the split is by content"


def test_no_prompt_is_on_both_sides(tmp_path: Path) -> None:
    found = read_samples(written(tmp_path, *answers(90)), False, (), 0.3)
    sides = {split: {s.group for s in found if s.split == split} for split in ("train", "test")}
    assert sides["train"] and sides["test"] and not sides["train"] & sides["test"]
    assert found[5].values == {"value": 2.5} and found[5].prompt is not None and found[5].prompt.text.endswith("1?")


def test_marks_of_the_criteria_that_are_asked_for(tmp_path: Path) -> None:
    lines = [{"prompt": f"q{i}", "completion": "a", "marks": {"a": i % 5, "b": -i, "c": 1}} for i in range(30)]
    del lines[4]["marks"]["b"]
    found = read_samples(written(tmp_path, *lines), False, ("b", "a"), 0.3)
    assert found[3].values == {"b": -3.0, "a": 3.0}
    assert found[4].values == {"a": 4.0}


GOOD = texts(20)
REFUSED = [
    (True, (), [*GOOD, '{"text": "cut off", "label":'], "line 21: broken JSON"),
    (True, (), [*GOOD, {"text": "no label"}], "line 21: field 'label' is missing"),
    (True, (), [*GOOD, {"text": "maybe", "label": 0.5}], "line 21: field 'label' must be 0 or 1, got 0.5"),
    (True, (), [*GOOD, {"text": "word", "label": "toxic"}], "must be 0 or 1, got a text"),
    (True, (), [*GOOD, {"label": 1}], "line 21: field 'completion' is missing"),
    (True, (), [*GOOD, {"text": "a", "completion": "b", "label": 1}], "both 'completion' and 'text'"),
    (True, (), [*GOOD, {"text": "  ", "label": 1}], "line 21: field 'text' is empty"),
    (True, (), [*GOOD, {"text": "a", "lable": 1}], "line 21: unknown field 'lable'"),
    (True, (), [*GOOD, {"prompt": "q", "text": "a", "label": 1}], "line 21: this line has a prompt, line 1 has none"),
    (True, (), [{**line, "label": 1} for line in GOOD], "are all 1"),
    (True, (), [{**line, "split": "train"} for line in GOOD], "none of its 20 lines is held out"),
    (True, (), [{"text": "a", "label": 1, "split": "test"}, {"text": "a", "label": 0, "split": "train"}], "on line 1"),
    (False, (), [*answers(9), {"prompt": "q", "completion": "a", "reward": float("nan")}], "finite number, got nan"),
    (False, (), [*answers(9), {"prompt": "q", "completion": "a", "reward": "1"}], "line 10: .*got a text"),
    (False, (), [*answers(9), {"prompt": "q", "completion": "a", "reward": True}], "got true or false"),
    (False, (), [*answers(9), {"completion": "a", "reward": 1}], "line 10: field 'prompt' .*is missing"),
    (False, (), answers(90, reward=3), "rewards|labels .*are all 3"),
    (False, ("helpful",), [*answers(9)], "line 1: field 'marks' is missing"),
    (False, ("helpful",), [{"prompt": "q", "completion": "a", "marks": {"kind": 1}}], "has none of helpful"),
    (False, ("helpful",), [{"prompt": "q", "completion": "a", "marks": 3}], "must be an object, got a number"),
]


@pytest.mark.parametrize(("binary", "criteria", "lines", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_learnt_from_is_refused_by_line(
    binary: bool, criteria: tuple[str, ...], lines: list[Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read_samples(written(tmp_path, *lines), binary, criteria, 0.3)
    assert "samples.jsonl" in caught.value.message


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text("")
    with pytest.raises(DataError, match="the file is empty"):
        read_samples(tmp_path / "samples.jsonl", True, (), 0.2)
