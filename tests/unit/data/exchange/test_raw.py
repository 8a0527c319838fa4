"""Every judgement out and in again without loss."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from assent.store import Store, dump_rows, list_people, list_runs, rankings
from assent.store.tables import JudgementRow
from assent.types.errors import DataError
from tests.unit.data.exchange.judged_store import bring_in, read_rows, take_out, write_rows

KEY = JudgementRow.__table__.c.keys().index("idempotency_key") - 4  # its place after the four ids
ENDINGS = (".jsonl", ".jsonl.gz", ".parquet", "")


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_lost(judged: Store, new_store: Callable[[], Store], tmp_path: Path, ending: str) -> None:
    first, again = tmp_path / "first.jsonl", tmp_path / "again.jsonl"
    take_out(judged, first, "raw")
    packed = tmp_path / f"packed{ending}"
    card = take_out(judged, packed, "raw")
    other = new_store()
    survey, added = bring_in(other, packed)
    take_out(other, again, "raw")
    assert again.read_bytes() == first.read_bytes()
    with judged.read() as session:
        count = len(session.scalars(select(JudgementRow.id)).all())
    assert count == added.judgements == survey.judgements == card["rows"] == len(rankings(other)) > 30
    # Not through our own reading and writing alone: the rows themselves, ids and times of entry aside.
    assert _rows(other) == _rows(judged)


def _rows(store: Store) -> list[Any]:
    """Judgements in order with everything that hangs on them, read from a dump."""
    dump = dump_rows(store)
    people = {row[0]: row[1:] for row in dump["people"]}
    prompts = {row[0]: row[1:] for row in dump["prompts"]}
    completions = {row[0]: (prompts[row[2]], row[3], *row[5:]) for row in dump["completions"]}
    tasks = {row[0]: (prompts[row[2]], row[3:]) for row in dump["tasks"]}
    held: dict[Any, list[Any]] = {}
    for task_id, _, completion_id in sorted(dump["task_completions"]):
        held.setdefault(task_id, []).append(completions[completion_id])
    found = []
    for row in dump["judgements"]:
        _, _, task_id, person_id, *said = row
        said.pop(KEY)
        found.append((people[person_id], tasks[task_id], held[task_id], said))
    return found


def test_the_source_of_what_was_imported_is_kept(judged: Store, new_store: Callable[[], Store], tmp_path: Path) -> None:
    take_out(judged, tmp_path / "raw.jsonl", "raw")
    other = new_store()
    _, added = bring_in(other, tmp_path / "raw.jsonl")
    runs = list_runs(other)
    assert [run.kind for run in runs] == ["import"] * 3 and all(run.done for run in runs)
    assert [run.settings["source"]["id"] for run in runs] == ["round1-sample", "round1-eval", "round2-sample"]
    assert [run.id for run in runs] == added.run_ids and {run.settings["import"] for run in runs} == {runs[0].id}
    assert {(p.name, p.kind) for p in list_people(other)} == {(p.name, p.kind) for p in list_people(judged)}


def test_the_same_file_twice_adds_nothing(judged: Store, new_store: Callable[[], Store], tmp_path: Path) -> None:
    take_out(judged, tmp_path / "raw.jsonl", "raw")
    take_out(judged, tmp_path / "raw.parquet", "raw")
    other = new_store()
    _, first = bring_in(other, tmp_path / "raw.jsonl")
    before = dump_rows(other)
    for path in (tmp_path / "raw.jsonl", tmp_path / "raw.parquet"):
        _, again = bring_in(other, path)
        assert (again.judgements, again.known, again.run_ids) == (0, first.judgements, [])
        assert dump_rows(other) == before


def test_a_longer_file_adds_what_is_new(judged: Store, new_store: Callable[[], Store], tmp_path: Path) -> None:
    take_out(judged, tmp_path / "raw.jsonl", "raw")
    rows = read_rows(tmp_path / "raw.jsonl")
    other = new_store()
    bring_in(other, write_rows(tmp_path / "short.jsonl", rows[:10]))
    _, added = bring_in(other, write_rows(tmp_path / "long.jsonl", rows))
    assert (added.known, added.judgements) == (10, len(rows) - 10)
    assert len(rankings(other)) == len(rows)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("assent", "judgement/9", "'assent'"),
        ("person", None, "'person' must be an object"),
        ("person.kind", "robot", "'person.kind' is 'robot'"),
        ("person.name", "", "'person.name' is empty"),
        ("judgement.ranks", [1, 2], "'judgement.ranks' holds 2 for 3"),
        ("judgement.ranks", [0, 1, 2], "ranks must lie in 1..3"),
        ("judgement.ranks", [1, "2", 3], "'judgement.ranks' must be a list of whole numbers"),
        ("judgement.order_shown", [0, 1, 1], "permutation"),
        ("judgement.seconds", "quick", "'judgement.seconds' must be a finite number"),
        ("judgement.submitted_at", "yesterday", "'judgement.submitted_at' must be a time"),
        ("judgement.note", "a\x00b", "'judgement.note' holds a NUL"),
        ("judgement.marks", [{"helpful": None}] * 3, "'judgement.marks[0].helpful' must be a finite number"),
        ("task.purpose", "fun", "'task.purpose' is 'fun'"),
        ("task.overlap", 0, "'task.overlap' must be at least 1"),
        ("task.number", "one", "'task.number' must be a whole number"),
        ("prompt.messages", [], "'prompt.messages' is empty"),
        ("prompt.messages", [{"role": "user"}], "'prompt.messages[0].content' is missing"),
        ("completions", [], "'judgement.ranks' holds 3 for 0"),
        ("completions", [{"text": "\ud800"}] * 3, "'completions[0].text' holds half a character"),
        ("run.round", 1.5, "'run.round' must be a whole number"),
    ],
)
def test_malformed_rows_are_named(judged: Store, tmp_path: Path, field: str, value: Any, said: str) -> None:
    take_out(judged, tmp_path / "raw.jsonl", "raw")
    rows = read_rows(tmp_path / "raw.jsonl")
    outer, _, inner = field.partition(".")
    row = json.loads(json.dumps(rows[4]))
    if inner:
        row[outer][inner] = value
    else:
        row[outer] = value
    before = dump_rows(judged)
    with pytest.raises(DataError) as error:
        bring_in(judged, write_rows(tmp_path / "bad.jsonl", [*rows[:4], row]), "raw")
    assert f"{tmp_path / 'bad.jsonl'}, line 5: " in str(error.value) and said in str(error.value)
    assert dump_rows(judged) == before


def test_a_person_judges_a_task_once(judged: Store, new_store: Callable[[], Store], tmp_path: Path) -> None:
    take_out(judged, tmp_path / "raw.jsonl", "raw")
    (row, *_) = read_rows(tmp_path / "raw.jsonl")
    again = json.loads(json.dumps(row))
    again["judgement"]["seconds"] += 1
    other = new_store()
    before = dump_rows(other)
    with pytest.raises(DataError, match="judges the same task twice"):
        bring_in(other, write_rows(tmp_path / "twice.jsonl", [row, again]))
    assert dump_rows(other) == before
