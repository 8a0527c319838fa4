"""Which format a file is in, and what is said where that is not clear; and files that are none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from assent.data.exchange import FORMATS, Source, recognise
from assent.data.exchange.sources import library
from assent.types.errors import DataError, SettingsError
from tests.unit.data.exchange.judged_store import write_rows
from tests.unit.data.exchange.test_formats import ARGILLA_FIELDS, BOTH_WAYS, DATA, hard_rows

PAIR = {"chosen": "a b", "rejected": "a c"}
ROWS: list[tuple[str, dict[str, Any]]] = [
    *((name.partition(" ")[0], hard_rows(name)[0]) for name in BOTH_WAYS),
    ("preference-implicit", PAIR),
    ("unpaired", {"prompt": "q", "completion": "a", "label": False}),
    ("unpaired", {"prompt": [{"role": "user", "content": "q"}], "completion": "a", "label": 1}),
    ("prompt-completion", {"prompt": "q", "completion": "a", "source": "x"}),
    ("prompt-only", {"prompt": "q", "id": 3}),
    ("prompt-only", {"messages": [{"role": "user", "content": "q"}]}),
    ("argilla", {"fields": ARGILLA_FIELDS, "responses": {}, "id": "1"}),
    ("label-studio", {"id": 1, "data": DATA, "annotations": []}),
    ("raw", {"assent": "judgement/1", "judgement": {}, "prompt": {}}),
]


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_a_format_is_told_from_its_rows(tmp_path: Path, name: str, row: dict[str, Any]) -> None:
    found = recognise(Source.open(write_rows(tmp_path / "f.jsonl", [row] * 3)))
    assert found.format.name == name and "all of the first 3 rows fit it" in found.reason


def test_what_was_asked_for_is_taken(tmp_path: Path) -> None:
    source = Source.open(write_rows(tmp_path / "f.jsonl", [PAIR]))
    assert recognise(source, "preference").format.name == "preference"
    with pytest.raises(SettingsError, match="did you mean hh-rlhf"):
        recognise(source, "hh_rlhf")


def test_an_unknown_format_lists_what_was_seen_and_what_is_known(tmp_path: Path) -> None:
    source = Source.open(write_rows(tmp_path / "f.jsonl", [{"Frage": "?", "besser": 2}]))
    with pytest.raises(DataError) as error:
        recognise(source)
    assert "the fields of the first row are Frage (a text), besser (a number)" in error.value.message
    assert all(f"{name}: " in error.value.hint for name in FORMATS)


def test_rows_of_two_formats_are_named(tmp_path: Path) -> None:
    rows = [{"prompt": "q", **PAIR}] * 4 + [{"prompt": "q", "chosen": "a"}]
    with pytest.raises(DataError, match="4 of the first 5 rows fit preference, but line 5 has prompt, chosen"):
        recognise(Source.open(write_rows(tmp_path / "f.jsonl", rows)))


def test_what_fits_several_is_asked_back(tmp_path: Path) -> None:
    row = {"fields": ARGILLA_FIELDS, "responses": {}, "data": DATA, "annotations": []}
    with pytest.raises(DataError) as error:
        recognise(Source.open(write_rows(tmp_path / "f.jsonl", [row])))
    assert "its format is not clear" in error.value.message
    assert error.value.hint == "say which it is: --format argilla or --format label-studio"


def test_files_that_are_none(tmp_path: Path) -> None:
    def said(path: Path) -> str:
        with pytest.raises(DataError) as error:
            list(Source.open(path).rows())
        assert str(path) in error.value.message
        return error.value.message

    assert "no such file" in said(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").touch()
    assert "holds no rows" in said(tmp_path / "empty.jsonl")
    (tmp_path / "cut.jsonl").write_text('{"prompt": "q"}\n{"prompt": ')
    assert "line 2: broken JSON" in said(tmp_path / "cut.jsonl")
    (tmp_path / "cut.json").write_text('[{"prompt": "q"},\n{"prompt": ]')
    assert "line 2: broken JSON" in said(tmp_path / "cut.json")
    (tmp_path / "list.json").write_text('[{"prompt": "q"}, 3]')
    assert "record 2: expected a JSON object, got a number" in said(tmp_path / "list.json")
    (tmp_path / "bad.jsonl").write_bytes(b'{"prompt": "q"}\n{"prompt": "\xff"}\n')
    assert "line 2: not valid UTF-8" in said(tmp_path / "bad.jsonl")
    packed = gzip.compress(b'{"prompt": "q"}\n' * 1000)
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    assert "no whole gzip archive" in said(tmp_path / "cut.jsonl.gz")
    (tmp_path / "not.jsonl.gz").write_text('{"prompt": "q"}\n')
    assert "no whole gzip archive" in said(tmp_path / "not.jsonl.gz")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and nothing more")
    assert "no whole Parquet file" in said(tmp_path / "cut.parquet")
    (tmp_path / "folder").mkdir()
    assert "no saved dataset" in said(tmp_path / "folder")
    (tmp_path / "folder" / "state.json").write_text("{}")
    assert "no whole saved dataset" in said(tmp_path / "folder")
    (tmp_path / "folder" / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    assert "holds several splits: train, test" in said(tmp_path / "folder")


def test_what_is_not_installed_is_named() -> None:
    with pytest.raises(DataError, match="needs nothing_of_this_name") as error:
        library("nothing_of_this_name", "reading Parquet")
    assert "assent[exchange]" in error.value.hint
