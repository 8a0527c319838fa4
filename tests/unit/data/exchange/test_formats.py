"""Each format both ways: what was written is read as it was, and what cannot be read is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assent.data.exchange import FORMATS, Format, Reading, Wish
from assent.data.exchange.outgoing import SHAPES, rows_of
from assent.data.exchange.votes import Tally
from assent.data.lines import Line
from assent.store import Store, dump_rows, get_completions, get_prompts, rankings
from assent.types.errors import DataError
from tests.unit.data.exchange.judged_store import HARD_TEXTS, bring_in, read_rows, take_out, write_rows

# Anything that a database takes: no NUL, no half characters; and something to see.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40).filter(
    lambda text: bool(text.strip())
)
no_turns = texts.filter(lambda text: "Human:" not in text and "Assistant:" not in text)


def message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def dialogue(*turns: str) -> str:
    return "".join(f"\n\n{'Assistant' if i % 2 else 'Human'}: {text}" for i, text in enumerate(turns))


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, str]]:
    start = [message("system", draw(texts))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 2))):
        start += [message("user", draw(texts)), message("assistant", draw(texts))]
    return [*start, message("user", draw(texts))]


@st.composite
def rows(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A row of a format as another tool would write it, and as we do."""
    pair = st.lists(no_turns, min_size=2, max_size=2, unique=True)
    if name.startswith("ultrafeedback"):
        prompt = draw(texts)
    chosen, rejected = draw(pair)
    talk = draw(conversations())
    both = {"chosen": [message("assistant", chosen)], "rejected": [message("assistant", rejected)]}
    if name == "preference":
        return {"prompt": draw(texts), "chosen": chosen, "rejected": rejected}
    if name == "preference conversational":
        return {"prompt": talk, **both}
    if name == "preference-implicit conversational":
        return {key: [*talk, *value] for key, value in both.items()}
    if name == "hh-rlhf":
        turns = draw(st.lists(no_turns, min_size=1, max_size=3).filter(lambda held: len(held) % 2 == 1))
        return {"chosen": dialogue(*turns, chosen), "rejected": dialogue(*turns, rejected)}
    if name == "ultrafeedback":
        responses = draw(st.lists(texts, min_size=2, max_size=4))
        ranks = draw(st.permutations(range(1, len(responses) + 1)))
        return {
            "instruction": prompt,
            "completions": [
                {
                    "response": text,
                    "model": draw(texts),
                    "overall_score": float(score),
                    "annotations": {"honesty": {"Rating": str(draw(st.integers(1, 5)))}},
                }
                for text, score in zip(responses, ranks, strict=True)
            ],
        }
    row = {key: [message("user", prompt), *value] for key, value in both.items()}
    scores = {"score_chosen": 2.0, "score_rejected": 1.0}
    return {"prompt": prompt, **row, "messages": row["chosen"], **scores}


BOTH_WAYS = (
    "preference",
    "preference conversational",
    "preference-implicit conversational",
    "hh-rlhf",
    "ultrafeedback",
    "ultrafeedback-binarized",
)


def read_and_written(row: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A row read as its format and written again."""
    form, _, conversational = name.partition(" ")
    reader = FORMATS[form]
    assert isinstance(reader, Format) and reader.fits(row)
    given = json.loads(json.dumps(row))
    found = reader.read(Line(Path("file"), 1, given), Reading())
    wish = Wish(conversational=bool(conversational))
    return [made for task in found for made in rows_of(SHAPES[form], task, wish, Tally())]


@pytest.mark.parametrize("name", BOTH_WAYS)
@given(data=st.data())
def test_what_was_read_is_written_again(name: str, data: st.DataObject) -> None:
    row = data.draw(rows(name))
    (again,) = read_and_written(row, name)
    again.pop("prompt_id", None)
    assert again == row


@given(prompt=no_turns, chosen=no_turns, rejected=no_turns)
def test_texts_with_the_prompt_inside_keep_their_words(prompt: str, chosen: str, rejected: str) -> None:
    """Where the prompt ends cannot be known, but both texts say what they said, white space between them aside."""
    row = {"chosen": f"{prompt}\n{chosen}", "rejected": f"{prompt}\n{rejected}"}
    try:
        found = read_and_written(row, "preference-implicit")
    except DataError as error:
        assert "no prompt in common" in str(error)
        return
    for again in found:
        for side in ("chosen", "rejected"):
            assert "".join(again[side].split()) == "".join(row[side].split())


def test_the_prompt_inside_texts_is_what_they_share() -> None:
    reader = FORMATS["preference-implicit"]
    assert isinstance(reader, Format)
    row = {"chosen": "The sky is blue today.", "rejected": "The sky is black."}
    (task,) = reader.read(Line(Path("file"), 1, dict(row)), Reading())
    assert task.prompt.text == "The sky is"
    assert {each.text for each in task.completions} == {"blue today.", "black."}


@pytest.mark.parametrize("name", BOTH_WAYS)
@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".parquet", ""])
def test_through_the_store_and_every_container(
    new_store: Callable[[], Store], tmp_path: Path, name: str, ending: str
) -> None:
    rows = hard_rows(name)
    form, _, conversational = name.partition(" ")
    store = new_store()
    bring_in(store, write_rows(tmp_path / "given.jsonl", rows))
    out = tmp_path / f"out{ending}"
    card = take_out(store, out, form, wish=Wish(conversational=bool(conversational)))
    assert card["rows"] == len(rows)
    other = new_store()
    survey, _ = bring_in(other, out)
    take_out(other, tmp_path / "again.jsonl", form, wish=Wish(conversational=bool(conversational)))
    again = read_rows(tmp_path / "again.jsonl")
    for row in again:
        row.pop("prompt_id", None)
    assert again == rows and survey.judgements == len(rows)


def hard_rows(name: str) -> list[dict[str, Any]]:
    found = []
    for i, text in enumerate(HARD_TEXTS):
        pair = {"chosen": f"{text} yes {i}", "rejected": f"no {i} {text}"}
        talk = [message("system", text), message("user", f"{i}?"), message("assistant", text), message("user", text)]
        lists = {side: [message("assistant", each)] for side, each in pair.items()}
        if name == "preference":
            found.append({"prompt": f"{i} {text}", **pair})
        elif name == "preference conversational":
            found.append({"prompt": talk, **lists})
        elif name == "preference-implicit conversational":
            found.append({side: [*talk, *each] for side, each in lists.items()})
        elif name == "hh-rlhf":
            found.append({side: dialogue(text, "so", f"{i}", each) for side, each in pair.items()})
        elif name == "ultrafeedback":
            held = [(f"{text}{k}", [3.0, 1.5, 1.5][k], k + 1) for k in range(3)]
            completions = [
                {
                    "response": response,
                    "model": f"m{k}",
                    "overall_score": score,
                    "annotations": {"honesty": {"Rating": str(k)}},
                }
                for response, score, k in held
            ]
            found.append({"instruction": f"{i} {text}", "completions": completions})
        else:
            row = {side: [message("user", f"{i}"), *each] for side, each in lists.items()}
            scores = {"score_chosen": 2.0, "score_rejected": 1.0}
            found.append({"prompt": f"{i}", **row, "messages": row["chosen"], **scores})
    return found


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_texts_through_the_store(new_store: Callable[[], Store], tmp_path: Path, data: st.DataObject) -> None:
    given_rows = data.draw(st.lists(rows("preference"), min_size=1, max_size=4))
    store = new_store()
    out = tmp_path / "out.jsonl"
    out.unlink(missing_ok=True)
    _, added = bring_in(store, write_rows(tmp_path / "given.jsonl", given_rows))
    take_out(store, out)
    assert read_rows(out) == given_rows and added.judgements == len(given_rows)


def test_the_place_tells_nothing(new_store: Callable[[], Store], tmp_path: Path) -> None:
    store = new_store()
    rows = [{"prompt": f"q{i}", "chosen": f"good {i}", "rejected": f"bad {i}"} for i in range(200)]
    bring_in(store, write_rows(tmp_path / "p.jsonl", rows))
    first = sum(ranking.ranks == (1, 2) for ranking in rankings(store))
    assert 70 < first < 130  # the winner stands first about every other time


def test_ultrafeedback_becomes_rankings_with_marks(new_store: Callable[[], Store], tmp_path: Path) -> None:
    store = new_store()
    completions = [
        {"response": "a", "model": "x", "overall_score": 6.5, "annotations": {"honesty": {"Rating": "5"}}},
        {"response": "b", "model": "y", "overall_score": "8", "annotations": {"honesty": {"Rating": "N/A"}}},
        {"response": "c", "fine-grained_score": 6.5, "annotations": {"honesty": {"Rating": "2", "Rationale": "-"}}},
    ]
    path = write_rows(tmp_path / "uf.jsonl", [{"instruction": "?", "completions": completions}])
    bring_in(store, path)
    (said,) = rankings(store)
    assert said.ranks == (2, 1, 2)
    assert said.marks == ({"honesty": 1.0}, {}, {"honesty": 0.25})
    written = get_completions(store, said.completion_ids)
    assert [each.policy_version for each in written] == ["imported:x", "imported:y", "imported:uf.jsonl"]


def test_equal_scores_and_equal_texts_are_ties(new_store: Callable[[], Store], tmp_path: Path) -> None:
    store = new_store()
    row = hard_rows("ultrafeedback-binarized")[0] | {"score_chosen": 3, "score_rejected": 3}
    bring_in(store, write_rows(tmp_path / "b.jsonl", [row]))
    bring_in(store, write_rows(tmp_path / "p.jsonl", [{"prompt": "?", "chosen": "x", "rejected": "x"}]))
    assert [ranking.ranks for ranking in rankings(store)] == [(1, 1), (1, 1)]


ARGILLA_FIELDS = {"prompt": "Where?", "response_1": "Here.", "response_2": "There.", "response_3": "Nowhere."}


@pytest.mark.parametrize(
    ("responses", "expected"),
    [
        ({"order": [{"user_id": "ada", "value": ["response_2", "response_3", "response_1"]}]}, {"ada": (3, 1, 2)}),
        (
            {
                "order": [
                    {
                        "user_id": "ada",
                        "value": [{"value": f"response_{i}", "rank": r} for i, r in ((1, 2), (2, 1), (3, 2))],
                    },
                    {"user_id": "bob", "value": ["response_1", "response_2", "response_3"], "status": "submitted"},
                    {"user_id": "eve", "value": ["response_3", "response_2", "response_1"], "status": "discarded"},
                ]
            },
            {"ada": (2, 1, 2), "bob": (1, 2, 3)},
        ),
        (
            {f"rate_response_{i}": [{"user_id": "ada", "value": value}] for i, value in ((1, 3), (2, 3), (3, 5))},
            {"ada": (2, 2, 1)},
        ),
        ({"best": [{"user_id": 7, "value": "response_3"}]}, {"7": (2, 2, 1)}),
        (
            [{"user_id": "ada", "values": {"order": {"value": ["response_1", "response_3", "response_2"]}}}],
            {"ada": (1, 3, 2)},
        ),
    ],
)
def test_argilla_records(
    new_store: Callable[[], Store], tmp_path: Path, responses: Any, expected: dict[str, tuple[int, ...]]
) -> None:
    store = new_store()
    records = [
        {"id": "r1", "fields": ARGILLA_FIELDS, "metadata": {}, "suggestions": {}, "responses": responses},
        {
            "id": "r2",
            "fields": {**ARGILLA_FIELDS, "prompt": "When?"},
            "responses": {} if isinstance(responses, dict) else [],
        },
    ]
    path = tmp_path / "records.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    survey, added = bring_in(store, path)
    found = {name_of(store, said.person_id): said.ranks for said in rankings(store)}
    assert found == {f"argilla:{name}": ranks for name, ranks in expected.items()}
    assert (survey.unjudged, added.judgements, sum(added.tasks.values())) == (1, len(expected), 1)
    (prompt,) = get_prompts(store, [rankings(store)[0].prompt_id])
    assert prompt.text == "Where?"


def name_of(store: Store, person_id: int) -> str:
    return str(next(row[1] for row in dump_rows(store)["people"] if row[0] == person_id))


DATA = {"prompt": "Where?", "answer1": "Here.", "answer2": "There."}
ITEMS = {
    "text": "Where?",
    "items": [{"id": "x", "body": "Here."}, {"id": "y", "body": "There."}, {"id": "z", "title": "?"}],
}


@pytest.mark.parametrize(
    ("data", "result", "ranks"),
    [
        (DATA, [{"type": "pairwise", "to_name": "answer1,answer2", "value": {"selected": "right"}}], (2, 1)),
        (DATA, [{"type": "choices", "to_name": "prompt", "value": {"choices": ["answer1"]}}], (1, 2)),
        (DATA, [{"type": "choices", "to_name": "answer1,answer2", "value": {"choices": ["tie"]}}], (1, 1)),
        (
            DATA,
            [{"type": "rating", "to_name": f"answer{i}", "value": {"rating": i + 1}} for i in (1, 2)]
            + [{"type": "textarea", "value": {"text": ["because"]}}],
            (2, 1),
        ),
        (ITEMS, [{"type": "ranker", "to_name": "list", "value": {"ranker": {"rank": ["z", "x", "y"]}}}], (2, 3, 1)),
    ],
)
def test_label_studio_exports(
    new_store: Callable[[], Store], tmp_path: Path, data: Any, result: list[Any], ranks: tuple[int, ...]
) -> None:
    store = new_store()
    annotations = [
        {
            "completed_by": {"id": 3, "email": "ada@example.org"},
            "result": result,
            "lead_time": 12.5,
            "created_at": "2026-01-02T03:04:05Z",
        },
        {"completed_by": 4, "result": [], "was_cancelled": True},
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps([{"id": 1, "data": data, "annotations": annotations, "predictions": []}]))
    bring_in(store, path)
    (said,) = rankings(store)
    assert said.ranks == ranks and name_of(store, said.person_id) == "label-studio:ada@example.org"
    take_out(store, tmp_path / "raw.jsonl", "raw")
    (row,) = read_rows(tmp_path / "raw.jsonl")
    assert row["judgement"]["seconds"] == 12.5
    assert row["judgement"]["submitted_at"] == "2026-01-02T03:04:05+00:00"
    assert row["judgement"]["note"] == ("because" if len(result) == 3 else "")


MALFORMED: list[tuple[str, Any, str]] = [
    ("preference", {"prompt": "q", "chosen": "a"}, "field 'rejected' is missing"),
    ("preference", {"prompt": "q", "chosen": "a", "rejected": 3}, "field 'rejected' must be a text, got a number"),
    ("preference", {"prompt": "q", "chosen": "a", "rejected": " "}, "field 'rejected' is empty"),
    ("preference", {"prompt": "q", "chosen": "a\x00", "rejected": "b"}, "field 'chosen' holds a NUL character"),
    ("preference", {"prompt": "\udc00", "chosen": "a", "rejected": "b"}, "field 'prompt' holds half a character"),
    (
        "preference",
        {"prompt": [message("assistant", "q")], "chosen": "a", "rejected": "b"},
        "the last message of field 'prompt' must be from the user",
    ),
    (
        "preference",
        {"prompt": "q", "chosen": [message("user", "a")], "rejected": "b"},
        "the last message of field 'chosen' must be from the assistant",
    ),
    (
        "preference",
        {"prompt": "q", "chosen": [message("assistant", "a") | {"tool_calls": [1]}], "rejected": "b"},
        "field 'chosen[0]' has 'tool_calls'",
    ),
    (
        "preference",
        {"prompt": [message("robot", "q")], "chosen": "a", "rejected": "b"},
        "unknown role 'robot' in prompt[0]",
    ),
    ("preference", {"prompt": [{"role": "user", "content": 1}], "chosen": "a", "rejected": "b"}, "'prompt[0].content'"),
    ("preference-implicit", {"chosen": "abc", "rejected": "abd"}, "no prompt in common"),
    ("preference-implicit", {"chosen": [message("user", "q")], "rejected": []}, "an answer without a prompt"),
    (
        "preference-implicit",
        {
            "chosen": [message("user", "q"), message("assistant", "a")],
            "rejected": [message("user", "p"), message("assistant", "a")],
        },
        "differ before the last message",
    ),
    ("hh-rlhf", {"chosen": "Hello", "rejected": dialogue("q", "a")}, "field 'chosen' must begin with"),
    ("hh-rlhf", {"chosen": dialogue("q"), "rejected": dialogue("q", "a")}, "field 'chosen' holds no turn"),
    (
        "hh-rlhf",
        {"chosen": dialogue("q", ""), "rejected": dialogue("q", "a")},
        "field 'chosen', turn 2 (Assistant) is empty",
    ),
    (
        "hh-rlhf",
        {"chosen": dialogue("q", "b"), "rejected": dialogue("p", "a")},
        "differ before the assistant's last turn",
    ),
    ("ultrafeedback", {"instruction": "q", "completions": []}, "'completions' must be a list of two or more, got 0"),
    (
        "ultrafeedback",
        {"instruction": "q", "completions": [{"response": "a", "overall_score": 1}, {"response": "b"}]},
        "field 'completions[1].overall_score' is missing",
    ),
    (
        "ultrafeedback",
        {"instruction": "q", "completions": [{"response": "a", "overall_score": "good"}, {"response": "b"}]},
        "field 'completions[0].overall_score' must be a finite number, got 'good'",
    ),
    (
        "ultrafeedback",
        {
            "instruction": "q",
            "completions": [{"response": "a", "overall_score": 1, "annotations": {"honesty": {"Rating": "9"}}}] * 2,
        },
        "field 'completions[0].annotations.honesty.Rating' must lie in 1..5",
    ),
    (
        "ultrafeedback-binarized",
        {
            "chosen": [message("user", "q"), message("assistant", "a")],
            "rejected": [message("user", "q"), message("assistant", "b")],
            "score_chosen": 1,
            "score_rejected": 2,
        },
        "'score_chosen' 1 is below",
    ),
    ("argilla", {"fields": "x", "responses": {}}, "field 'fields' must be an object"),
    (
        "argilla",
        {"fields": ARGILLA_FIELDS, "responses": {"order": [{"user_id": "a", "value": ["response_9"]}]}},
        "field 'responses.order' ranks 'response_9', which is none of its fields",
    ),
    (
        "argilla",
        {"fields": ARGILLA_FIELDS, "responses": {"order": [{"value": ["response_1", "response_2"]}]}},
        "field 'responses.order[0].user_id' must be a text, got null",
    ),
    (
        "argilla",
        {
            "fields": {"a": "q", "b": "r", "response_1": "x", "response_2": "y"},
            "responses": {"order": [{"user_id": "a", "value": ["response_1", "response_2"]}]},
        },
        "which field is the prompt?",
    ),
    (
        "argilla",
        {"fields": ARGILLA_FIELDS, "responses": {"q": [{"user_id": "a", "value": 3}]}},
        "must be two completions",
    ),
    ("label-studio", {"data": DATA, "annotations": 3}, "field 'annotations' must be a list"),
    ("label-studio", {"data": DATA, "annotations": [{"result": []}]}, "'annotations[0].completed_by' is missing"),
    (
        "label-studio",
        {"data": DATA, "annotations": [{"completed_by": 1, "result": [{"type": "labels", "value": {}}]}]},
        "'annotations[0].result' holds none of pairwise",
    ),
    (
        "label-studio",
        {
            "data": DATA,
            "annotations": [
                {"completed_by": 1, "result": [{"type": "pairwise", "to_name": "a,b", "value": {"selected": "left"}}]}
            ],
        },
        "'annotations[0].result[0]' is about 'a', which is none of its fields",
    ),
    (
        "label-studio",
        {
            "data": DATA,
            "annotations": [
                {
                    "completed_by": 1,
                    "result": [{"type": "pairwise", "to_name": "answer1,answer2", "value": {"selected": "up"}}],
                }
            ],
        },
        "'annotations[0].result[0].value.selected' must be 'left' or 'right', got 'up'",
    ),
]


@pytest.mark.parametrize(("name", "row", "said"), MALFORMED)
def test_malformed_rows_are_named(
    new_store: Callable[[], Store], tmp_path: Path, name: str, row: Any, said: str
) -> None:
    store = new_store()
    before = dump_rows(store)
    with pytest.raises(DataError) as error:
        bring_in(store, write_rows(tmp_path / "bad.jsonl", [row]), name)
    assert f"{tmp_path / 'bad.jsonl'}, line 1: " in error.value.message and said in error.value.message
    assert dump_rows(store) == before


def test_bad_rows_can_be_left_out(new_store: Callable[[], Store], tmp_path: Path) -> None:
    store = new_store()
    good = [{"prompt": f"q{i}", "chosen": "a", "rejected": "b"} for i in range(3)]
    bad = [{"prompt": "q", "chosen": "", "rejected": "b"}] * 7
    survey, added = bring_in(store, write_rows(tmp_path / "f.jsonl", [*good, *bad]), "preference", skip_bad=True)
    assert (added.judgements, survey.bad_rows, len(survey.bad)) == (3, 7, 5)
    assert "line 4: field 'chosen' is empty" in survey.bad[0]


def test_named_fields(new_store: Callable[[], Store], tmp_path: Path) -> None:
    store = new_store()
    fields = {"a": "q", "b": "r", "left": "x", "right": "y"}
    record = {"fields": fields, "responses": {"better": [{"user_id": "u", "value": "right"}]}}
    reading = Reading(prompt_field="b", completion_fields=("left", "right"))
    bring_in(store, write_rows(tmp_path / "f.jsonl", [record]), reading=reading)
    (said,) = rankings(store)
    assert said.ranks == (2, 1) and get_prompts(store, [said.prompt_id])[0].text == "r"
