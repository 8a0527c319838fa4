"""The small language of templates with slots."""

from __future__ import annotations

import random

import pytest

from assent.tasks.grammar import Grammar

TEMPLATES = ("The {thing} was {how}.", "I saw the {thing} and the {thing_2}.", "Nobody came.")
SLOTS = {"thing": ("room", "gift shop", "view"), "how": ("good", "bad")}


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar(TEMPLATES, SLOTS)


def test_what_it_writes_is_its_own_language(grammar: Grammar) -> None:
    rng = random.Random(0)
    for template in TEMPLATES:
        for _ in range(20):
            text = grammar.fill(template, rng)
            (sentence,) = grammar.read(text)
            assert (sentence.known, sentence.template) == (1.0, template)


def test_two_slots_of_one_kind_get_different_fillers(grammar: Grammar) -> None:
    rng = random.Random(1)
    for _ in range(50):
        (sentence,) = grammar.read(grammar.fill(TEMPLATES[1], rng))
        assert sentence.tokens[3] != sentence.tokens[-2]


def test_fillers_can_be_restricted(grammar: Grammar) -> None:
    rng = random.Random(2)
    assert {grammar.fill(TEMPLATES[0], rng, thing=("gift shop",), how=("bad",)) for _ in range(9)} == {
        "The gift shop was bad."
    }


def test_a_filler_of_several_words_is_one_token(grammar: Grammar) -> None:
    assert grammar.tokens_of("The Gift Shop was good.") == ("the", "gift shop", "was", "good", ".")


def test_fluency_golden_values(grammar: Grammar) -> None:
    assert grammar.fluency("The view was good.", 20) == 1.0
    assert grammar.fluency("The view was good", 20) < 0.85  # no end: the factor, and unknown pairs on top
    assert grammar.fluency("the view was good.", 20) == pytest.approx(0.95)
    assert grammar.fluency("Nobody came.", 20) == 0.5  # two of the four words that a text should have
    assert grammar.fluency("The view was good. Nobody came.", 3) == 0.5  # six words where three are enough
    # Framed, the sentence has 5 triples and the two together 10, of which 5 differ: 5 / (0.9 * 10), to the power 1.5.
    assert grammar.fluency("The view was good. The view was good.", 20) == pytest.approx((5 / 9) ** 1.5)


@pytest.mark.parametrize(
    "text", ["", "   ", "\n\n", "...", "!?", "\x00", "é" * 5000, "the " * 5000, "。。。", "💥 boom"]
)
def test_any_text_can_be_read(grammar: Grammar, text: str) -> None:
    assert 0.0 <= grammar.fluency(text, 20) < 0.1


def test_shuffled_words_are_hardly_language(grammar: Grammar) -> None:
    assert grammar.fluency("Good view was the.", 20) < 0.3


def test_what_is_wrong_with_a_grammar_is_named() -> None:
    with pytest.raises(ValueError, match="thing"):
        Grammar(("The {thing}.",), {})
    with pytest.raises(ValueError, match="'red' stands in the slots"):
        Grammar(("The {hue} {wine}.",), {"hue": ("red",), "wine": ("red",)})
