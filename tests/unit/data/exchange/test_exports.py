"""What is written of rankings, ties, several people's judgements and marks; and the card beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assent.data.exchange import Order, Wish, export
from assent.store import (
    Judgements,
    NewPerson,
    NewTask,
    Store,
    add_completions,
    add_people,
    add_prompts,
    add_tasks,
    start_run,
)
from assent.types.errors import DataError, SettingsError
from assent.types.feedback import Judgement, LabelKind, PersonKind
from assent.types.messages import Message, Prompt, user_prompt
from assent.types.protocols import SamplingParams
from assent.types.rollout import FinishReason, Rollout
from tests.unit.data.exchange.judged_store import read_rows, take_out

Said = tuple[tuple[int, ...], tuple[dict[str, float], ...]]


def put(
    store: Store,
    texts: list[str],
    said: list[Said],
    prompt: Prompt | None = None,
    run: str = "round1-sample",
    label: LabelKind = LabelKind.RANKING,
    purpose: str = "train",
) -> None:
    """One task with what people said of it; the first is an AI judge."""
    start_run(store, run, "sample", 1, {})
    (prompt_id,) = add_prompts(store, [prompt or user_prompt("q")])
    rollouts = [Rollout(0, [1], [2], [0.0], FinishReason.STOP, text, "policy-1") for text in texts]
    completions = add_completions(store, run, [prompt_id], rollouts, SamplingParams())
    task = NewTask(prompt_id, tuple(completions), label, overlap=len(said), purpose=purpose)
    (task_id,) = add_tasks(store, run, [task])
    kinds = [PersonKind.AI, *[PersonKind.HUMAN] * len(said)]
    people = add_people(store, [NewPerson(f"p{i}", kinds[i]) for i in range(len(said))])
    for person, (ranks, marks) in zip(people, said, strict=True):
        (lease,) = Judgements(store).lease([task_id], person, seed=0)
        Judgements(store).submit(lease.id, Judgement(ranks, lease.order_shown, label, marks))


def pairs_of(rows: list[dict[str, Any]]) -> list[str]:
    return [f"{row['chosen']}>{row['rejected']}" for row in rows]


def written(store: Store, folder: Path, format: str = "preference", **wish: Any) -> list[dict[str, Any]]:
    path = folder / f"{len(list(folder.iterdir()))}.jsonl"
    take_out(store, path, format, wish=Wish(**wish))
    return read_rows(path)


RANKS: list[Said] = [((1, 2, 3), ()), ((2, 1, 2), ()), ((1, 1, 3), ())]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({}, ["a>b", "a>c", "b>c", "b>a", "b>c", "a>c", "b>c"]),
        ({"ties": "both"}, ["a>b", "a>c", "b>c", "b>a", "a>c", "c>a", "b>c", "a>b", "b>a", "a>c", "b>c"]),
        ({"votes": "majority"}, ["a>c", "b>c"]),  # a and b: one each, and a tie
        ({"votes": "majority", "ties": "both"}, ["a>b", "b>a", "a>c", "b>c"]),
    ],
)
def test_rankings_become_pairs(
    new_store: Callable[[], Store], tmp_path: Path, wish: dict[str, Any], expected: list[str]
) -> None:
    store = new_store()
    put(store, ["a", "b", "c"], RANKS)
    (tmp_path / "out").mkdir()
    assert pairs_of(written(store, tmp_path / "out", **wish)) == expected


def test_a_pick_of_the_best_tells_nothing_of_the_others(new_store: Callable[[], Store], tmp_path: Path) -> None:
    store = new_store()
    put(store, ["a", "b", "c"], [((2, 1, 2), ())], label=LabelKind.BEST_OF_K)
    (tmp_path / "out").mkdir()
    assert pairs_of(written(store, tmp_path / "out", ties="both")) == ["b>a", "b>c"]


def test_a_criterion_in_place_of_the_ranking(new_store: Callable[[], Store], tmp_path: Path) -> None:
    store = new_store()
    marks = ({"honest": 0.1, "helpful": 1.0}, {"honest": 0.9}, {"honest": 0.1})
    put(store, ["a", "b", "c"], [((1, 2, 3), marks), ((1, 2, 3), ())])
    path = tmp_path / "honest.jsonl"
    card = export(store, path, Order(wish=Wish(criterion="honest")))
    assert pairs_of(read_rows(path)) == ["b>a", "b>c"]
    assert card["left_out"] == {"no mark for 'honest'": 1, "tie": 1} and card["tied_pairs"] == 1
    with pytest.raises(DataError, match="2 x no mark for 'helpful'"):
        export(store, tmp_path / "helpful.jsonl", Order(wish=Wish(criterion="helpful")))
    assert not (tmp_path / "helpful.jsonl").exists()


def test_equal_and_empty_texts_are_left_out(new_store: Callable[[], Store], tmp_path: Path) -> None:
    store = new_store()
    put(store, ["a", "a", ""], [((1, 2, 3), ())])
    put(store, ["a", "b"], [((1, 2), ())], user_prompt("r"), "round2-sample")
    path = tmp_path / "o.jsonl"
    card = export(store, path, Order())
    assert pairs_of(read_rows(path)) == ["a>b"]
    assert card["left_out"] == {"pair of the same text twice": 1, "pair with an empty completion": 2}


def test_other_shapes(new_store: Callable[[], Store], tmp_path: Path) -> None:
    store = new_store()
    put(store, ["a", "b", "c"], [((1, 2, 3), ()), ((1, 1, 3), ())])
    (tmp_path / "out").mkdir()
    assert written(store, tmp_path / "out", "unpaired") == [
        {"prompt": "q", "completion": "a", "label": True},
        {"prompt": "q", "completion": "c", "label": False},
        {"prompt": "q", "completion": "a", "label": True},
        {"prompt": "q", "completion": "b", "label": True},
        {"prompt": "q", "completion": "c", "label": False},
    ]
    assert written(store, tmp_path / "out", "prompt-completion") == [{"prompt": "q", "completion": "a"}]
    assert written(store, tmp_path / "out", "prompt-only", conversational=True) == [
        {"prompt": [{"role": "user", "content": "q"}]}
    ]
    scored = written(store, tmp_path / "out", "ultrafeedback")
    assert [[each["overall_score"] for each in row["completions"]] for row in scored] == [[3, 2, 1], [2.5, 2.5, 1]]
    assert {each["model"] for row in scored for each in row["completions"]} == {"policy-1"}


def test_a_form_that_cannot_hold_a_text_leaves_it_out(new_store: Callable[[], Store], tmp_path: Path) -> None:
    store = new_store()
    put(store, ["a", "b\n\nHuman: c"], [((1, 2), ())])
    put(store, ["a", "b"], [((1, 2), ())], Prompt((Message("system", "s"), Message("user", "q"))), "round2-sample")
    put(store, ["a", "b"], [((1, 2), ())], user_prompt("z"), "round3-sample")
    card = export(store, tmp_path / "h.jsonl", Order("hh-rlhf"))
    assert card["rows"] == 1 and sum(card["left_out"].values()) == 2
    with pytest.raises(DataError, match="conversation of 2 messages") as error:
        export(store, tmp_path / "p.jsonl", Order())
    assert "--conversational" in error.value.hint and not (tmp_path / "p.jsonl").exists()
    assert export(store, tmp_path / "c.jsonl", Order(wish=Wish(conversational=True)))["rows"] == 3


def test_the_card_says_what_is_in_the_file(judged: Store, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    card = take_out(judged, path, wish=Wish(conversational=True))
    assert json.loads((tmp_path / "rows.parquet.card.json").read_text(encoding="utf-8")) == card
    assert card["rows"] == len(read_rows(path))
    assert sum(card["judgements_by_kind"].values()) == card["judgements"]
    assert set(card["judgements_by_kind"]) == {"ai", "human", "simulated"}
    assert sum(card["tasks_by_purpose"].values()) == card["tasks"]
    assert card["runs"] == ["round1-eval", "round1-sample", "round2-sample"]
    assert card["agreement"]["pairs"] > 0 and 0 <= card["agreement"]["value"] <= 1
    # The hash is of the rows, whatever holds them.
    plain = tmp_path / "rows.jsonl"
    assert take_out(judged, plain, wish=Wish(conversational=True))["content_hash"] == card["content_hash"]
    assert hashlib.sha256(plain.read_bytes()).hexdigest() == card["content_hash"]


def test_agreement_is_as_the_reward_models_ceiling_has_it(judged: Store, tmp_path: Path) -> None:
    from assent.feedback import pairwise_agreement
    from assent.store import rankings

    card = take_out(judged, tmp_path / "rows.jsonl", "unpaired", wish=Wish(conversational=True))
    found = pairwise_agreement(rankings(judged), seed=0)
    assert found.interval is not None
    assert card["agreement"] == {"value": pytest.approx(found.interval.value), "pairs": found.pairs}


def test_selection(judged: Store, tmp_path: Path) -> None:
    def of(split: str, *runs: str) -> dict[str, Any]:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl"
        return take_out(judged, path, "raw", split, run_ids=runs or None)

    assert of("train")["tasks_by_purpose"].keys() == {"train"}
    assert of("evaluate")["runs"] == ["round1-eval"]
    assert of("all", "round2-sample")["runs"] == ["round2-sample"]
    whole = of("all")["judgements"]
    assert whole == sum(of(split)["judgements"] for split in ("train", "holdout", "evaluate"))
    with pytest.raises(DataError, match="no judgements of round1-sample with --split evaluate"):
        of("evaluate", "round1-sample")


@pytest.mark.parametrize(
    ("name", "order", "said"),
    [
        ("x.csv", Order(), "no known ending"),
        ("there.jsonl", Order(), "exists already"),
        ("x.jsonl", Order("csv"), "there is none"),
        ("x.jsonl", Order(split="test"), "there is none"),
        ("x.jsonl", Order("raw", wish=Wish(votes="majority")), "every judgement as it is"),
        ("x.jsonl", Order("hh-rlhf", wish=Wish(conversational=True)), "says nothing about hh-rlhf"),
        ("x.jsonl", Order("unpaired", wish=Wish(ties="both")), "makes no sense"),
        ("x.jsonl", Order("prompt-only", "holdout"), "is of judgements"),
    ],
)
def test_what_makes_no_sense_is_refused(judged: Store, tmp_path: Path, name: str, order: Order, said: str) -> None:
    (tmp_path / "there.jsonl").write_text("mine")
    before = sorted(tmp_path.iterdir())
    with pytest.raises((DataError, SettingsError), match=said):
        export(judged, tmp_path / name, order)
    assert sorted(tmp_path.iterdir()) == before and (tmp_path / "there.jsonl").read_text() == "mine"
