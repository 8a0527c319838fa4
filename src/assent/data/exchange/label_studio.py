"""Label Studio's JSON export: data, and annotations with results of the kinds pairwise, ranker, choices, rating."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assent.data.exchange.forms import Format, Reading, moment, number_of
from assent.data.exchange.labelled import Record, Said, scores_of_choice, task_of_record
from assent.data.lines import Line, json_name
from assent.store.records import TaskRecord
from assent.types.errors import DataError
from assent.types.feedback import PersonKind

EXAMPLE = (
    '{"data": {"prompt": "Where?", "answer1": "Here.", "answer2": "There."}, "annotations": [{"completed_by": 1,'
    ' "result": [{"type": "pairwise", "to_name": "answer1,answer2", "value": {"selected": "left"}}]}]}'
)
_PREFIX = "label-studio:"
_SIDES = ("left", "right")
_TEXTS = ("body", "text", "html", "value", "title")  # of an item in a list, the first that it has


def _fits(fields: Mapping[str, Any]) -> bool:
    return isinstance(fields.get("data"), dict) and isinstance(fields.get("annotations"), list)


def _read(line: Line, reading: Reading) -> list[TaskRecord]:
    data, annotations = line.fields.get("data"), line.fields.get("annotations")
    for name, value, kind in (("data", data, dict), ("annotations", annotations, list)):
        if not isinstance(value, kind):
            raise line.error(f"field '{name}' must be a {kind.__name__}, got {json_name(value)}", f"expected {EXAMPLE}")
    assert isinstance(data, dict) and isinstance(annotations, list)
    texts = {name: value for name, value in data.items() if isinstance(value, str) or not _items(value)}
    record = Record(line, "data", texts, {i: text for value in data.values() for i, text in _items(value).items()})
    said = []
    for index, each in enumerate(annotations):
        where = f"field 'annotations[{index}]"
        if not isinstance(each, dict):
            raise line.error(f"{where}' must be an object, got {json_name(each)}")
        if not each.get("was_cancelled"):
            said.append(_said(record, reading, each, where))
    return task_of_record(record, reading, said)


def _items(value: object) -> dict[str, str]:
    """The items of a list that is ranked: id -> text."""
    if not isinstance(value, list) or not all(isinstance(each, dict) and "id" in each for each in value):
        return {}
    return {str(each["id"]): next((each[name] for name in _TEXTS if each.get(name)), "") for each in value}


def _said(record: Record, reading: Reading, annotation: Mapping[str, Any], where: str) -> Said:
    line = record.line
    who = annotation.get("completed_by")
    who = (who.get("email") or who.get("id")) if isinstance(who, dict) else who
    if who is None:
        raise line.error(f"{where}.completed_by' is missing: whose judgement is it?")
    results = annotation.get("result")
    if not isinstance(results, list):
        raise line.error(f"{where}.result' must be a list, got {json_name(results)}")
    scores: dict[str, float] = {}
    for place, result in enumerate(results):
        scores |= _scores(record, reading, result, f"{where}.result[{place}]")
    if not scores:
        raise line.error(
            f"{where}.result' holds none of pairwise, ranker, choices and rating", "cancelled annotations are left out"
        )
    note = next((_note(result) for result in results if result.get("type") == "textarea"), "")
    return Said(
        _PREFIX + line.checked(str(who), f"{where}.completed_by'"),
        scores,
        number_of(line, annotation.get("lead_time") or 0.0, f"{where}.lead_time'"),
        note and line.checked(note, f"{where}.result', the text"),
        moment(line, annotation.get("created_at"), f"{where}.created_at'"),
    )


def _scores(record: Record, reading: Reading, result: object, where: str) -> dict[str, float]:
    value = result.get("value") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(value, dict):
        raise record.line.error(f"{where}.value' must be an object, got {json_name(value)}")
    kind, targets = result.get("type"), str(result.get("to_name", "")).split(",")
    if kind == "pairwise":
        return _of_pair(record, reading, value.get("selected"), targets, where)
    if kind == "ranker":
        return _of_ranker(record, value.get("ranker"), where)
    if kind == "choices":
        return _of_choice(record, reading, value.get("choices"), targets, where)
    if kind == "rating":
        if targets[0] not in record.texts:
            raise _unknown(record, targets[0], where)
        return {targets[0]: number_of(record.line, value.get("rating"), f"{where}.value.rating'")}
    return {}


def _of_pair(record: Record, reading: Reading, side: object, targets: Sequence[str], where: str) -> dict[str, float]:
    names = _pair_of(record, reading, targets, where)
    if side not in _SIDES:
        raise record.line.error(f"{where}.value.selected' must be 'left' or 'right', got {side!r}")
    return {name: float(place == side) for name, place in zip(names, _SIDES, strict=True)}


def _of_choice(
    record: Record, reading: Reading, choices: object, targets: Sequence[str], where: str
) -> dict[str, float]:
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], str):
        raise record.line.error(f"{where}.value.choices' must be a list of one text, got {choices!r}")
    chosen = choices[0]
    if chosen.lower() in _SIDES:
        return _of_pair(record, reading, chosen.lower(), targets, where)
    among = reading.completion_fields or tuple(name for name in targets if name in record.texts)
    if len(among) < 2:
        among = tuple(name for name in record.texts if name.rstrip("0123456789") == chosen.rstrip("0123456789"))
    scores = scores_of_choice(record, chosen, among)
    if scores is None:
        raise _unknown(record, chosen, where)
    return scores


def _of_ranker(record: Record, ranker: object, where: str) -> dict[str, float]:
    lists = list(ranker.values()) if isinstance(ranker, dict) else [ranker]
    order = max((each for each in lists if isinstance(each, list)), key=len, default=[])
    if not order:
        raise record.line.error(f"{where}.value.ranker' must hold the ids in their order, got {json_name(ranker)}")
    for each in order:
        if str(each) not in (*record.more, *record.texts):
            raise _unknown(record, str(each), where)
    return {str(each): float(-place) for place, each in enumerate(order)}


def _pair_of(record: Record, reading: Reading, targets: Sequence[str], where: str) -> tuple[str, str]:
    names = reading.completion_fields or tuple(targets)
    if len(names) != 2:
        raise record.line.error(f"{where}' compares {len(names)} fields, not two", record.fields_hint())
    for name in names:
        if name not in record.texts:
            raise _unknown(record, name, where)
    return names[0], names[1]


def _unknown(record: Record, name: str, where: str) -> DataError:
    return record.line.error(f"{where}' is about '{name}', which is none of its fields", record.fields_hint())


def _note(result: Mapping[str, Any]) -> str:
    value = result.get("value")
    texts = value.get("text") if isinstance(value, dict) else None
    return "\n".join(map(str, texts)) if isinstance(texts, list) else str(texts or "")


LABEL_STUDIO = Format("label-studio", EXAMPLE, _fits, _read, PersonKind.HUMAN)
