"""Agreement by hand, and the reason where there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assent.feedback import agreement_by_person, mark_agreements, pairwise_agreement, side_bias
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


def test_agreement_needs_two_people() -> None:
    assert pairwise_agreement([ranking(1, (1, 2)), ranking(1, (1, 2))], seed=0).reason == "fewer than two people judged"
    tied = pairwise_agreement([ranking(1, (1, 1)), ranking(2, (1, 2))], seed=0)
    assert tied.reason == "two people never both ranked a pair strictly"


def test_agreement_per_criterion() -> None:
    marks = ({"kind": 0.9, "short": 0.1}, {"kind": 0.2, "short": 0.5})
    turned = ({"kind": 0.7, "short": 0.5}, {"kind": 0.3, "short": 0.1})
    said = [replace(ranking(1, (1, 2)), marks=marks), replace(ranking(2, (1, 2)), marks=turned), ranking(3, (2, 1))]
    found = mark_agreements(said, seed=0)
    assert {name: each.interval.value for name, each in found.items() if each.interval} == {"kind": 1.0, "short": 0.0}
    assert {name: each.pairs for name, each in found.items()} == {"kind": 1, "short": 1}
