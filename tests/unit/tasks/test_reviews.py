"""The world of reviews: prompts, texts, and how the gold judge reads sentiment."""

from __future__ import annotations

import random
from statistics import mean

import pytest

from assent.tasks.reviews import Reviews
from assent.tasks.reviews.corpus import STANCES, continuation
from assent.tasks.reviews.gold import sentiment
from assent.tasks.reviews.sentences import BAD, GOOD, NEUTRAL, grammar
from assent.tasks.reviews.sentiment import sentence_valence
from assent.tasks.reviews.words import OCCASIONS, SUBJECTS
from assent.types.errors import SettingsError
from assent.types.messages import Prompt


@pytest.fixture(scope="module")
def world() -> Reviews:
    return Reviews(documents=1500)


def combination(prompt: Prompt) -> tuple[str, str]:
    return prompt.meta["subject"], prompt.meta["occasion"]


def valence(text: str) -> float | None:
    (sentence,) = grammar().read(text)
    return sentence_valence(sentence.tokens)


def test_splits_are_disjoint_and_cover_everything(world: Reviews) -> None:
    train, test = world.prompts("train"), world.prompts("test")
    train_pairs, test_pairs = {combination(p) for p in train}, {combination(p) for p in test}
    assert not train_pairs & test_pairs
    subjects = [subject for each in SUBJECTS.values() for subject in each]
    assert train_pairs | test_pairs == {(subject, occasion) for subject in subjects for occasion in OCCASIONS}
    assert (len(train), len(test)) == (800, 200)
    assert len({p.text for p in train + test}) == 1000
    assert {p.split for p in train} == {"train"}
    assert {p.split for p in test} == {"test"}


def test_every_subject_and_occasion_is_in_both_splits(world: Reviews) -> None:
    for split in ("train", "test"):
        pairs = {combination(p) for p in world.prompts(split)}
        assert {occasion for _, occasion in pairs} == set(OCCASIONS)
        assert len({subject for subject, _ in pairs}) == 20


def test_no_test_combination_stands_in_a_text(world: Reviews) -> None:
    beginnings = {text.partition(".")[0] for text in world.pretraining_texts(3)}
    assert len(beginnings) > 100
    assert not beginnings & {p.text.partition(".")[0] for p in world.prompts("test")}


def test_unknown_split_is_a_settings_error(world: Reviews) -> None:
    with pytest.raises(SettingsError, match="validation"):
        world.prompts("validation")


def test_sizes_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        Reviews(documents=0)


def test_texts_are_a_function_of_the_seed(world: Reviews) -> None:
    assert world.pretraining_texts(1) == Reviews(documents=1500).pretraining_texts(1)
    assert world.pretraining_texts(1) != world.pretraining_texts(2)


def test_there_are_no_demonstrations(world: Reviews) -> None:
    assert world.demonstrations(0) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The room was good.", 0.55),
        ("The room was very good.", 0.55 * 1.25),
        ("The room was truly superb.", 1.0),  # 1.4, at most 1
        ("The room was not good.", -0.275),  # half, turned
        ("The room was not very good.", -0.275),  # the degree no longer counts
        ("The room was hardly good.", -0.33),
        ("The room was not bad.", 0.3),  # faint praise
        ("I never hated the room.", 0.45),  # no more than that, whatever the negation
        ("I will come back.", 0.7),
        ("I will never come back.", -0.7),
        ("The room was bad, but the view was superb.", 0.25 * -0.6 + 0.75 * 1.0),
        ("The view was superb, but the room was bad.", 0.25 * 1.0 + 0.75 * -0.6),
        ("Although the room was bad, the view was superb.", 0.25 * -0.6 + 0.75 * 1.0),
        ("But the room was good.", 0.55),  # nothing stands before it
        ("There were many people.", None),
        ("", None),
    ],
)
def test_valence_by_hand(text: str, expected: float | None) -> None:
    if not text:
        assert sentence_valence(()) is None
        return
    found = valence(text)
    assert found is None if expected is None else found == pytest.approx(expected)


def test_sentiment_is_the_mean_over_different_sentences() -> None:
    assert sentiment("") == 0.5
    assert sentiment("The room was superb. There were many people.") == pytest.approx(0.75)  # (1 + 0) / 2
    assert sentiment("The room was good. The room was good.") == pytest.approx(sentiment("The room was good."))


def test_good_sentences_are_good_and_bad_ones_bad() -> None:
    rng = random.Random(0)
    for templates, sign in ((GOOD, 1), (BAD, -1)):
        for template in templates:
            found = [valence(grammar().fill(template, rng)) for _ in range(40)]
            assert sign * mean(each for each in found if each is not None) > 0.1
    assert {valence(grammar().fill(template, rng)) for template in NEUTRAL} == {None}


def test_words_alone_do_not_tell(world: Reviews) -> None:
    prompt = world.prompts("test")[0]
    one = world.marks(prompt, "The room was superb, but the view was awful.").overall
    other = world.marks(prompt, "The room was awful, but the view was superb.").overall
    assert one < 0.4 < 0.6 < other


def test_stuffing_and_repeating_do_not_pay(world: Reviews) -> None:
    prompt = world.prompts("test")[0]
    good = "The room was truly superb. I adored the view."
    best = world.marks(prompt, good).overall
    assert best > 0.95
    assert world.marks(prompt, f"{good} {good}").overall < 0.6
    assert world.marks(prompt, " ".join([good] * 20)).overall < 0.1
    assert world.marks(prompt, "Superb superb superb superb.").overall < 0.2
    assert world.marks(prompt, "superb truly view adored").overall < 0.2


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "...", "\x00\x00", "é" * 9000, "never " * 3000, "but", "although", "。"]
)
def test_any_text_is_judged(world: Reviews, text: str) -> None:
    found = world.marks(world.prompts("test")[0], text)
    assert found.overall < 0.1
    assert all(0.0 <= mark <= 1.0 for mark in (*found.criteria().values(), found.fluency))


def test_fond_reviews_are_warmer_than_cross_ones(world: Reviews) -> None:
    rng, prompt = random.Random(0), world.prompts("train")[0]
    means = [
        mean(world.marks(prompt, continuation(stance, "hotel", rng)).overall for _ in range(300)) for stance in STANCES
    ]
    assert means == sorted(means, reverse=True)
    assert means[0] - means[-1] > 0.2
