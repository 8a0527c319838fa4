"""Agreement by hand, and Krippendorff's alpha against the reference library."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.feedback import (
    agreement_by_person,
    krippendorff_alpha_ordinal,
    pairwise_agreement,
    ranking_alpha,
    side_bias,
)
from assent.types.feedback import Judgement, LabelKind, Ranking


def ranking(person: int, ranks: tuple[int, ...], prompt: int = 1, label: LabelKind = LabelKind.RANKING) -> Ranking:
    ids = tuple(100 * prompt + index for index in range(len(ranks)))
    return Ranking(1000 * prompt + person, person, prompt, ids, ranks, label)


def test_pairwise_agreement_golden_value() -> None:
    said = [
        ranking(1, (1, 2, 3)),  # pairs 01 02 12: first, first, first
        ranking(2, (1, 3, 2)),  # first, first, second: agrees with person 1 on 2 of 3
        ranking(3, (2, 1, 2)),  # second, tie, first: with 1 on 1 of 2 strict pairs, with 2 on 0 of 2
        ranking(4, (1, 2), prompt=2),  # alone on its task
    ]
    agreement = pairwise_agreement(said, seed=0)
    assert agreement.interval is not None
    assert agreement.interval.value == pytest.approx(3 / 7)
    assert (agreement.pairs, agreement.tasks, agreement.reason) == (7, 1, "")
    assert {person: each.value for person, each in agreement_by_person(said, 0).items()} == pytest.approx(
        {1: 3 / 5, 2: 2 / 5, 3: 1 / 4}
    )


def test_completions_in_another_order_are_the_same_task() -> None:
    mirrored = Ranking(9, 2, 1, (101, 100), (2, 1))
    agreement = pairwise_agreement([ranking(1, (1, 2)), mirrored], seed=0)
    assert agreement.interval is not None
    assert agreement.interval.value == 1.0


def test_best_of_k_compares_only_with_the_best() -> None:
    said = [ranking(1, (1, 2, 2), label=LabelKind.BEST_OF_K), ranking(2, (2, 1, 2), label=LabelKind.BEST_OF_K)]
    agreement = pairwise_agreement(said, seed=0)
    # Both speak of the pair 01 alone, and disagree.
    assert agreement.interval is not None
    assert (agreement.interval.value, agreement.pairs) == (0.0, 1)


def test_agreement_is_undefined_without_overlap() -> None:
    alone = pairwise_agreement([ranking(1, (1, 2)), ranking(2, (1, 2), prompt=2)], seed=0)
    assert alone.interval is None
    assert alone.reason == "no task was judged by two people"
    same_person = pairwise_agreement([ranking(1, (1, 2)), ranking(1, (1, 2))], seed=0)
    assert same_person.interval is None
    ties = pairwise_agreement([ranking(1, (1, 1)), ranking(2, (1, 2))], seed=0)
    assert ties.interval is None
    assert ties.reason == "two people never both ranked a pair strictly"
    assert pairwise_agreement([], seed=0).as_dict()["interval"] is None


def test_interval_resamples_tasks() -> None:
    said = [
        ranking(person, (1, 2) if prompt % 4 or person == 1 else (2, 1), prompt)
        for prompt in range(80)
        for person in (1, 2)
    ]
    interval = pairwise_agreement(said, seed=0, resamples=4000).interval
    assert interval is not None
    assert (interval.value, interval.count) == (0.75, 80)
    # sqrt(0.75 * 0.25 / 80) = 0.0484, times 1.96 = 0.095
    assert interval.low == pytest.approx(0.655, abs=0.02)
    assert interval.high == pytest.approx(0.845, abs=0.02)


def test_side_bias_golden_value() -> None:
    said = [
        Judgement((1, 2, 3), (0, 1, 2)),  # first shown beats both: 2 of 2
        Judgement((1, 2, 2), (1, 0, 2)),  # loses to 0, ties with 2: 0 of 1
    ]
    interval = side_bias(said, seed=0)
    assert interval is not None
    assert interval.value == pytest.approx(2 / 3)
    assert side_bias([Judgement((1, 1), (0, 1))], seed=0) is None
    assert side_bias([], seed=0) is None


def test_side_bias_of_best_of_k_is_one_half_if_the_order_does_not_matter() -> None:
    said = [
        Judgement(tuple(1 if index == best else 2 for index in range(4)), (0, 1, 2, 3), LabelKind.BEST_OF_K)
        for best in range(4)
    ]
    interval = side_bias(said, seed=0)
    # Shown first is best once, winning 3 pairs, and loses one pair in each of the 3 others.
    assert interval is not None
    assert interval.value == 0.5


def test_alpha_golden_value() -> None:
    # Krippendorff's own example of four observers and twelve units (2011, section C): ordinal alpha 0.815.
    nan = float("nan")
    table = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
        [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ]
    assert krippendorff_alpha_ordinal(table) == pytest.approx(0.815, abs=5e-4)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 12), st.integers(2, 6), st.floats(0.0, 0.6))
def test_alpha_equals_the_krippendorff_library(seed: int, people: int, units: int, values: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    table = rng.integers(1, values + 1, (people, units)).astype(float) ** 2  # unequal steps: only the order may matter
    table[rng.random(table.shape) < missing] = np.nan
    alpha = krippendorff_alpha_ordinal(table)
    if alpha is None:
        pairable = table[:, (~np.isnan(table)).sum(axis=0) >= 2]
        assert len(np.unique(pairable[~np.isnan(pairable)])) < 2
    else:
        assert alpha == pytest.approx(krippendorff.alpha(table, level_of_measurement="ordinal"), abs=1e-9)


def test_ranking_alpha() -> None:
    assert ranking_alpha([ranking(1, (1, 2, 3)), ranking(2, (1, 2, 3))]) == pytest.approx(1.0)
    opposed = ranking_alpha([ranking(1, (1, 2, 3)), ranking(2, (3, 2, 1))])
    assert opposed is not None
    assert opposed < 0
    assert ranking_alpha([ranking(1, (1, 2, 3))]) is None
    assert ranking_alpha([]) is None
