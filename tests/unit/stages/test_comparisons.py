"""What a loss can learn of comparisons: what is left out, what is counted, and which completions stand together."""

from __future__ import annotations

import pytest

from assent.config import DPOSettings, KTOSettings, SimPOSettings
from assent.stages.comparisons import Compared, held_out_pairs, lesson_of
from assent.types.errors import DataError

A, B, C = (1, 2), (3, 4), (5,)
GIVEN = [
    Compared(A, (10, 0), (11, 0)),
    Compared(A, (10, 0), (12, 0), tie=True),
    Compared(B, (20, 0), (20, 0)),  # twice the same
    Compared(B, (20, 0), (21, 0)),
    Compared(C, (30, 0), (31, 0), tie=True),
    Compared(C, (30, 0), (30, 0), tie=True),  # twice the same, and a tie
]


def test_ties_and_identical_pairs_are_counted() -> None:
    lesson = lesson_of(GIVEN, SimPOSettings(), seed=0)
    assert [example.completions for example in lesson.examples] == [((10, 0), (11, 0)), ((20, 0), (21, 0))]
    assert lesson.card() == {
        "comparisons": 2,
        "prompts": 2,
        "ties": 2,
        "ties_left_out": 2,
        "identical": 2,
        "prompts_without": 1,
    }
    assert "2 ties are left out" in lesson.words() and "1 prompts are left without any" in lesson.words()


def test_ties_are_learnt_where_they_teach() -> None:
    lesson = lesson_of(GIVEN, DPOSettings(ties="learn"), seed=0)
    assert [example.label for example in lesson.examples] == [1.0, 0.5, 1.0, 0.5]
    assert (lesson.ties, lesson.ties_left_out, lesson.prompts_without) == (2, 0, 0)
    assert "2 of them ties" in lesson.words()
    assert len(held_out_pairs(GIVEN)) == 2


def test_kto_judges_each_and_lays_one_of_another_prompt_beside_it() -> None:
    many = [Compared((prompt,), (100 + prompt, 0), (200 + prompt, 0)) for prompt in range(9)]
    many += [Compared((0,), (300, 0), None), Compared((1,), None, (301, 0))]
    lesson = lesson_of(many, KTOSettings(), seed=0)
    assert (lesson.comparisons, lesson.desirable, len(lesson.examples)) == (11, 10, 20)
    prompt_of = {tokens: each.prompt for each in many for tokens in (each.chosen, each.rejected) if tokens}
    for example in lesson.examples:
        judged, mismatched = example.completions
        assert prompt_of[tuple(judged)] == example.prompt != prompt_of[tuple(mismatched)]
    assert len({example.completions[1] for example in lesson.examples}) > 10  # by lot, not one for all
    again, other = (lesson_of(many, KTOSettings(), seed=seed).examples for seed in (0, 1))
    assert again == lesson.examples != other


@pytest.mark.parametrize(
    ("given", "settings", "said"),
    [
        (GIVEN[4:], DPOSettings(ties="learn"), "of 2, 1 are of twice the same completion and 1 are ties"),
        (GIVEN[2:3], KTOSettings(), "of 1, 1 are of twice the same completion and 0 are ties"),
        ([], DPOSettings(), "no comparison has a winner"),
        ([Compared(A, (1,), None), Compared(B, (2,), None)], KTOSettings(), "all 2 completions are desirable"),
        ([Compared(A, None, (1,)), Compared(B, None, (2,))], KTOSettings(), "all 2 completions are undesirable"),
        (GIVEN[:1], KTOSettings(), "all completions are of one prompt"),
    ],
)
def test_nothing_to_learn_is_refused_with_the_reason(
    given: list[Compared], settings: DPOSettings | KTOSettings, said: str
) -> None:
    with pytest.raises(DataError, match=said) as caught:
        lesson_of(given, settings, seed=0)
    assert caught.value.hint
