"""Argilla's exported records: fields, and each user's responses to ranking, rating and label questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from assent.data.exchange.forms import Format, Reading, number_of
from assent.data.exchange.labelled import Record, Said, named_in, scores_of_choice, task_of_record
from assent.data.lines import Line, json_name
from assent.store.records import TaskRecord
from assent.types.feedback import PersonKind

EXAMPLE = (
    '{"fields": {"prompt": "Where?", "response_1": "Here.", "response_2": "There."},'
    ' "responses": {"preference": [{"user_id": "ada", "value": ["response_1", "response_2"]}]}}'
)
_PREFIX = "argilla:"
_UNFINISHED = ("draft", "discarded", "pending")


def _fits(fields: Mapping[str, Any]) -> bool:
    return isinstance(fields.get("fields"), dict) and isinstance(fields.get("responses"), dict | list)


def _read(line: Line, reading: Reading) -> list[TaskRecord]:
    texts, responses = line.fields.get("fields"), line.fields.get("responses")
    if not isinstance(texts, dict):
        raise line.error(f"field 'fields' must be an object, got {json_name(texts)}", f"expected {EXAMPLE}")
    if not isinstance(responses, dict | list):
        raise line.error(f"field 'responses' must be an object, got {json_name(responses)}", f"expected {EXAMPLE}")
    record = Record(line, "fields", texts)
    answers: dict[str, dict[str, Any]] = {}
    for user, question, value in (
        _by_question(line, responses) if isinstance(responses, dict) else _by_user(line, responses)
    ):
        answers.setdefault(user, {})[question] = value
    said = [Said(_PREFIX + user, _scores(record, reading, given)) for user, given in answers.items()]
    return task_of_record(record, reading, said)


def _by_question(line: Line, responses: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Version 2: question -> responses."""
    for question, given in responses.items():
        if not isinstance(given, list):
            raise line.error(f"field 'responses.{question}' must be a list, got {json_name(given)}")
        for index, each in enumerate(given):
            where = f"field 'responses.{question}[{index}]"
            if not isinstance(each, dict):
                raise line.error(f"{where}' must be an object, got {json_name(each)}")
            if each.get("status") not in _UNFINISHED:
                if each.get("value") is None:
                    raise line.error(f"{where}.value' is missing")
                yield _user(line, each, where), question, each["value"]


def _by_user(line: Line, responses: list[Any]) -> Iterator[tuple[str, str, Any]]:
    """Version 1: each user's answers together."""
    for index, each in enumerate(responses):
        where = f"field 'responses[{index}]"
        values = each.get("values") if isinstance(each, dict) else None
        if not isinstance(each, dict) or (values is not None and not isinstance(values, dict)):
            raise line.error(f"{where}.values' must be an object, got {json_name(values)}")
        if each.get("status") in _UNFINISHED:
            continue
        for question, value in (values or {}).items():
            yield _user(line, each, where), question, value["value"] if isinstance(value, dict) else value


def _user(line: Line, response: Mapping[str, Any], where: str) -> str:
    user = response.get("user_id")
    return line.checked(str(user) if isinstance(user, int) else user, f"{where}.user_id'")


def _scores(record: Record, reading: Reading, answers: Mapping[str, Any]) -> dict[str, float]:
    """A user's ranking, or choice, or else the ratings of all completions."""
    names = [name for name in record.texts if name != reading.prompt_field]
    for question, value in answers.items():
        if isinstance(value, list) and value:
            return _of_ranking(record, question, value)
    rated: dict[str, float] = {}
    for question, value in answers.items():
        if isinstance(value, str) and value in names:
            others = reading.completion_fields or tuple(name for name in names if _alike(name, value))
            return scores_of_choice(record, value, others) or {}
        completion = named_in(question, names)
        if completion is not None and isinstance(value, int | float):
            rated[completion] = number_of(record.line, value, f"field 'responses.{question}'")
    ties = [value for value in answers.values() if isinstance(value, str) and reading.completion_fields]
    return rated or (scores_of_choice(record, ties[0], reading.completion_fields) if ties else None) or {}


def _of_ranking(record: Record, question: str, value: list[Any]) -> dict[str, float]:
    found = {}
    for place, each in enumerate(value, start=1):
        name, rank = (each.get("value"), each.get("rank", place)) if isinstance(each, dict) else (each, place)
        where = f"field 'responses.{question}'"
        if name not in record.texts:
            raise record.line.error(f"{where} ranks {name!r}, which is none of its fields", record.fields_hint())
        found[str(name)] = -number_of(record.line, rank, where)
    return found


def _alike(name: str, other: str) -> bool:
    """True for names that differ in their number or last letter only: `response_1` and `response_2`."""
    return name.rstrip("0123456789").rstrip("abAB_-") == other.rstrip("0123456789").rstrip("abAB_-")


ARGILLA = Format("argilla", EXAMPLE, _fits, _read, PersonKind.HUMAN)
