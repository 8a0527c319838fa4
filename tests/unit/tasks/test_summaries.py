"""The world of summaries: posts, summaries of every sort, and the gold judge."""

from __future__ import annotations

import random
from statistics import mean

import pytest

from assent.tasks.summaries import Summaries
from assent.tasks.summaries.posts import FACTS
from assent.tasks.summaries.writing import SORTS, summary, written_by
from assent.types.errors import SettingsError
from assent.types.messages import Prompt, user_prompt

POST = user_prompt("", name="Anna", person="boss", trouble="tells lies", time="March", deed="stay silent")


@pytest.fixture(scope="module")
def world() -> Summaries:
    return Summaries(documents=1500, demonstrations=600)


def combination(prompt: Prompt) -> tuple[str, str]:
    return prompt.meta["person"], prompt.meta["trouble"]


def test_splits_are_disjoint_and_cover_everything(world: Summaries) -> None:
    train, test = world.prompts("train"), world.prompts("test")
    train_pairs, test_pairs = {combination(p) for p in train}, {combination(p) for p in test}
    assert not train_pairs & test_pairs
    assert train_pairs | test_pairs == {(p, t) for p in FACTS["person"] for t in FACTS["trouble"]}
    assert (len(train), len(test)) == (768, 192)
    assert len({p.text for p in train + test}) == 960
    assert {p.split for p in test} == {"test"}


def test_a_post_states_its_facts(world: Summaries) -> None:
    for prompt in world.prompts("train") + world.prompts("test"):
        assert all(prompt.meta[name] in prompt.text for name in FACTS)


def test_no_test_combination_is_written_about(world: Summaries) -> None:
    held_out = {f"{p.meta['person']} {p.meta['trouble']}." for p in world.prompts("test")}
    assert len(held_out) == 16
    posts = [text.partition("\n")[0] for text in world.pretraining_texts(3)]
    posts += [prompt.text for prompt, _ in world.demonstrations(3)]
    assert not [post for post in posts for pair in held_out if pair in post]


def test_unknown_split_and_sizes_are_refused(world: Summaries) -> None:
    with pytest.raises(SettingsError, match="validation"):
        world.prompts("validation")
    with pytest.raises(ValueError, match="positive"):
        Summaries(demonstrations=0)


def test_texts_are_a_function_of_the_seed(world: Summaries) -> None:
    again = Summaries(documents=1500, demonstrations=600)
    assert world.pretraining_texts(1) == again.pretraining_texts(1)
    assert world.demonstrations(1) == again.demonstrations(1)
    assert world.pretraining_texts(1) != world.pretraining_texts(2)


@pytest.mark.parametrize(
    ("text", "coverage", "faithfulness"),
    [
        ("Anna's boss tells lies since March, and Anna may stay silent.", 1.0, 5.3 / 5.6),  # (0.3 + 5) / (0.6 + 5)
        ("Anna's boss tells lies.", 0.65, 3.3 / 3.6),
        ("Ben's boss tells lies.", 0.5, 2.3 / 3.6),  # the name is false
        ("Anna's boss never tells lies.", 0.0, 0.3 / 3.6),  # denied: none of it is what the post says
        ("Anna's boss or coach tells lies.", 0.55, 3.3 / 4.6),  # two people are named: half the worth of the right one
        ("Someone has trouble at home.", 0.0, 0.5),
    ],
)
def test_coverage_and_faithfulness_by_hand(world: Summaries, text: str, coverage: float, faithfulness: float) -> None:
    found = world.marks(POST, text).criteria()
    assert found["coverage"] == pytest.approx(coverage)
    assert found["faithfulness"] == pytest.approx(faithfulness)


@pytest.mark.parametrize(("words", "expected"), [(5, 1.0), (16, 1.0), (28, 0.5), (40, 0.0), (90, 0.0)])
def test_brevity_by_hand(world: Summaries, words: int, expected: float) -> None:
    assert world.marks(POST, " ".join(["word"] * words)).criteria()["brevity"] == pytest.approx(expected)


def test_several_lines_are_no_line(world: Summaries) -> None:
    assert world.marks(POST, "Anna may stay silent.\nAnna may move out.").criteria()["brevity"] == 0.5


def test_a_whole_summary_is_the_best_and_a_vague_one_the_worst(world: Summaries) -> None:
    rng = random.Random(0)
    means = {
        sort: mean(world.marks(p, summary(sort, p.meta, rng)).overall for p in world.prompts("test")) for sort in SORTS
    }
    assert max(means, key=lambda sort: means[sort]) == "whole"
    assert min(means, key=lambda sort: means[sort]) == "vague"
    assert means["whole"] > 0.95
    with pytest.raises(ValueError, match="splendid"):
        summary("splendid", POST.meta, rng)


def test_contractors_write_better_than_the_internet(world: Summaries) -> None:
    rng = random.Random(0)
    marks = [
        [world.marks(p, written_by(who, p, rng)).overall for p in world.prompts("train")]
        for who in ("internet", "contractor")
    ]
    assert 0.6 < mean(marks[0]) < mean(marks[1]) - 0.05 < 0.85


def test_stuffing_and_repeating_do_not_pay(world: Summaries) -> None:
    good = "Anna's boss tells lies since March, and Anna may stay silent."
    best = world.marks(POST, good).overall
    assert best > 0.95
    assert world.marks(POST, f"{good} {good}").overall < 0.6
    every = ". ".join(f"{name} {filler}" for name, fillers in FACTS.items() for filler in fillers)
    assert world.marks(POST, every).overall < 0.2
    assert world.marks(POST, "Anna boss tells lies March stay silent").overall < 0.4


@pytest.mark.parametrize("text", ["", " ", "\n", "...", "\x00", "é" * 9000, "not " * 3000, "'s", "。"])
def test_any_text_is_judged(world: Summaries, text: str) -> None:
    found = world.marks(world.prompts("test")[0], text)
    assert found.overall < 0.1
    assert all(0.0 <= mark <= 1.0 for mark in (*found.criteria().values(), found.fluency))


def test_a_prompt_of_another_world_is_refused(world: Summaries) -> None:
    with pytest.raises(ValueError, match="deed"):
        world.marks(user_prompt("How do I store bleach?"), "Locked up.")
