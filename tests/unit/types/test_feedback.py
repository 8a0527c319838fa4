from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.types.feedback import (
    Comparison,
    Judgement,
    LabelKind,
    Marks,
    Ranking,
    WorldMarks,
    all_marks,
    marks_in_order,
    ranks_from_utilities,
)


def ranking(ranks: tuple[int, ...], label: LabelKind = LabelKind.RANKING) -> Ranking:
    return Ranking(5, 7, 3, tuple(100 + index for index in range(len(ranks))), ranks, label)


def test_a_ranking_gives_all_pairs_with_ties() -> None:
    # ranks 2, 1, 2: the first loses to the second, ties with the third; the second beats the third.
    pairs = ranking((2, 1, 2)).comparisons()
    assert [(pair.first_id, pair.second_id, pair.preference) for pair in pairs] == [
        (100, 101, 0.0),
        (100, 102, 0.5),
        (101, 102, 1.0),
    ]
    assert all((pair.prompt_id, pair.person_id, pair.judgement_id, pair.weight) == (3, 7, 5, 1.0) for pair in pairs)


def test_best_of_k_says_nothing_of_the_others() -> None:
    pairs = ranking((2, 2, 1), LabelKind.BEST_OF_K).comparisons()
    assert [(pair.first_id, pair.second_id, pair.preference) for pair in pairs] == [(100, 102, 0.0), (101, 102, 0.0)]


@given(st.floats(0, 1), st.floats(0, 10))
def test_swapping_twice_changes_nothing(preference: float, weight: float) -> None:
    pair = Comparison(1, 2, 3, preference, 4, 5, weight)
    assert (pair.swapped().first_id, pair.swapped().second_id) == (3, 2)
    assert pair.swapped().preference == 1.0 - preference
    back = pair.swapped().swapped()
    assert back.preference == pytest.approx(preference)
    assert (back.first_id, back.second_id, back.weight) == (2, 3, weight)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ranks": (1,), "order_shown": (0,)}, "at least 2"),
        ({"ranks": (1, 2), "order_shown": (0, 0)}, "permutation of 0..1"),
        ({"ranks": (1, 2, 3), "order_shown": (0, 1)}, "permutation of 0..2"),
        ({"ranks": (0, 1), "order_shown": (0, 1)}, "ranks must lie in 1..2"),
        ({"ranks": (1, 3), "order_shown": (0, 1)}, "ranks must lie in 1..2"),
        ({"ranks": (1, 1), "order_shown": (0, 1), "label": LabelKind.BEST_OF_K}, "exactly one best"),
        ({"ranks": (2, 2), "order_shown": (0, 1), "label": LabelKind.BEST_OF_K}, "exactly one best"),
    ],
)
def test_an_impossible_judgement_cannot_be_made(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Judgement(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("utilities", "margin", "ranks"),
    [
        ([0.1, 0.9, 0.5], 0.0, (3, 1, 2)),
        ([0.5, 0.5, 0.1], 0.0, (1, 1, 3)),  # competition ranks: after a tie of two comes 3
        ([1.0, 0.95, 0.91, 0.0], 0.1, (1, 1, 1, 4)),
        ([1.0, 0.95, 0.85], 0.1, (1, 1, 3)),  # measured from the group's best, so ties do not chain
    ],
)
def test_ranks_from_utilities(utilities: list[float], margin: float, ranks: tuple[int, ...]) -> None:
    assert ranks_from_utilities(utilities, margin) == ranks


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6), st.floats(0, 1))
def test_ranks_always_make_a_valid_judgement(utilities: list[float], margin: float) -> None:
    ranks = ranks_from_utilities(utilities, margin)
    Judgement(ranks, tuple(range(len(ranks))))
    assert ranks[max(range(len(utilities)), key=utilities.__getitem__)] == 1


def test_no_utilities_are_a_programming_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ranks_from_utilities([])


def test_marks_are_scaled_by_fluency() -> None:
    assert Marks(helpful=0.9, honest=0.6, harmless=0.3, fluency=0.5).overall == pytest.approx(0.3)  # 0.6 * 0.5
    assert list(Marks(1, 1, 1, 0).criteria()) == ["helpful", "honest", "harmless"]


def test_marks_of_a_world_with_criteria_of_its_own() -> None:
    marks = WorldMarks((("coverage", 0.5), ("brevity", 1.0)), fluency=0.8)
    assert all_marks(marks) == pytest.approx({"coverage": 0.5, "brevity": 1.0, "fluency": 0.8, "overall": 0.6})
    with pytest.raises(ValueError, match="at least one"):
        WorldMarks((), 1.0)


def test_marks_are_shown_in_one_order_whatever_the_order_of_names() -> None:
    assert marks_in_order(["overall", "harmless", "helpful", "fluency"]) == [
        "helpful",
        "harmless",
        "fluency",
        "overall",
    ]
    assert marks_in_order({"fluency": 0, "coverage": 0, "brevity": 0}) == ["brevity", "coverage", "fluency"]
