"""Win rates by hand, and that the order shown cancels."""

from __future__ import annotations

import random

import pytest

from assent.evaluation import PairVote, gold_win_rate, pair_vote, people_win_rate


def test_gold_win_rate_golden_value() -> None:
    # A win, a tie and a loss of three, and a win: (1 + 0.5 + 0 + 1) / 4.
    rate = gold_win_rate([0.9, 0.5, 0.1, 0.6], [0.2, 0.5, 0.3, 0.59], [0, 0, 1, 2], seed=0)
    assert rate.value == 0.625
    assert rate.count == 3
    assert rate.low <= 0.625 <= rate.high


def test_gold_win_rate_swapped_is_the_complement() -> None:
    rng = random.Random(0)
    new, old = [rng.random() for _ in range(80)], [rng.random() for _ in range(80)]
    prompts = [index // 2 for index in range(80)]
    ahead, behind = gold_win_rate(new, old, prompts, 3), gold_win_rate(old, new, prompts, 3)
    assert behind.value == pytest.approx(1 - ahead.value)
    assert behind.low == pytest.approx(1 - ahead.high)
    assert behind.high == pytest.approx(1 - ahead.low)


@pytest.mark.parametrize(
    ("new", "old", "prompts", "message"),
    [([1.0], [0.0, 1.0], [0], "1 new, 2 old"), ([float("nan")], [0.0], [0], "finite"), ([], [], [], "non-empty")],
)
def test_gold_win_rate_refuses(new: list[float], old: list[float], prompts: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gold_win_rate(new, old, prompts, 0)


def test_pair_vote_reads_ranks_in_the_tasks_order() -> None:
    assert pair_vote(1, 5, (2, 1), (1, 0), new_index=1) == PairVote(1, 5, 1.0, True)
    assert pair_vote(1, 5, (2, 1), (0, 1), new_index=1) == PairVote(1, 5, 1.0, False)
    assert pair_vote(1, 5, (2, 1), (1, 0), new_index=0) == PairVote(1, 5, 0.0, False)
    assert pair_vote(1, 5, (1, 1), (0, 1), new_index=0) == PairVote(1, 5, 0.5, True)
    for ranks, order, new in (((1, 2, 3), (0, 1), 0), ((1, 2), (0, 2), 0), ((1, 2), (0, 1), 2)):
        with pytest.raises(ValueError, match="not a pair"):
            pair_vote(1, 5, ranks, order, new)


def test_people_win_rate_golden_value() -> None:
    votes = [
        PairVote(1, 1, 1.0, True),
        PairVote(1, 1, 0.0, False),
        PairVote(2, 2, 1.0, True),
        PairVote(2, 2, 0.5, False),
    ]
    rate = people_win_rate(votes, seed=0)
    # New first: 2 of 2; new second: 0.5 of 2; averaged 0.625. Strict votes: first shown won 1, 1 (0.0 from second), 1.
    assert rate.interval.value == 0.625
    assert rate.first_shown is not None
    assert rate.first_shown.value == 1.0
    assert (rate.votes, rate.pairs, rate.ties, rate.new_first_share) == (4, 2, 1, 0.5)
    assert rate.as_dict()["interval"]["value"] == 0.625


def test_a_pair_judged_by_many_weighs_as_one() -> None:
    won = [PairVote(1, 1, 1.0, first) for first in (True, False) for _ in range(10)]
    lost = [PairVote(2, 2, 0.0, first) for first in (True, False)]
    assert people_win_rate(won + lost, 0).interval.value == pytest.approx(0.5)


def test_people_who_only_look_at_the_order_decide_nothing() -> None:
    # Everyone takes what is shown first, and chance showed the new policy first three times in four.
    votes = [PairVote(index, index, float(index % 4 != 0), index % 4 != 0) for index in range(80)]
    rate = people_win_rate(votes, seed=0)
    assert rate.interval.value == 0.5
    assert rate.new_first_share == 0.75
    assert rate.first_shown is not None
    assert rate.first_shown.value == 1.0


def test_interval_covers_the_true_rate() -> None:
    covered = 0
    for trial in range(60):
        rng = random.Random(trial)
        votes = [
            PairVote(prompt, prompt, float(rng.random() < 0.7), rng.random() < 0.5)
            for prompt in range(60)
            for _ in "ab"
        ]
        interval = people_win_rate(votes, seed=trial, resamples=400).interval
        covered += interval.low <= 0.7 <= interval.high
    assert covered >= 52  # 57 expected, standard deviation 1.7


def test_one_side_only_and_ties_only() -> None:
    rate = people_win_rate([PairVote(1, 1, 0.5, True), PairVote(2, 2, 0.5, True)], seed=0)
    assert rate.interval.value == 0.5
    assert rate.first_shown is None
    with pytest.raises(ValueError, match="at least one vote"):
        people_win_rate([], 0)
