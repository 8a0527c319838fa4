"""Arms choose what they say they choose, a share stays random, and the same seed chooses alike."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.config.settings import PeopleSettings
from assent.feedback.selection import ARMS, Arm, Candidate, choose, shares_of_arms, worth


def pair(place: int, one: tuple[float, float], other: tuple[float, float], authors: tuple[str, ...] = ()) -> Candidate:
    return Candidate(place, (2 * place, 2 * place + 1), (one, other), authors)


def test_what_an_arm_wants_by_hand() -> None:
    # Two members see the second completion 1 and 3 above the first: they differ by 2 (deviation 1), on average 2.
    candidate = pair(0, (0.0, 1.0), (0.0, 3.0), ("new", "old"))
    assert [worth(candidate, arm) for arm in ARMS] == [0.0, 1.0, -2.0, 1.0]
    triple = Candidate(0, (1, 2, 3), ((0.0, 1.0, 1.0),), ("new", "new", "old"))
    assert worth(triple, "uncertainty") is None, "one member cannot disagree"
    assert worth(triple, "near-ties") == pytest.approx(-2 / 3)
    assert worth(triple, "new-against-old") == pytest.approx(2 / 3)
    assert worth(Candidate(0, (1, 2)), "near-ties") is worth(Candidate(0, (1, 2)), "new-against-old") is None


def test_each_arm_takes_what_it_wants_most() -> None:
    spread = [pair(place, (0.0, place / 10), (0.0, -place / 10)) for place in range(40)]
    found = choose(spread, 20, {"random": 0.5, "uncertainty": 0.5}, seed=1)
    by_arm = {arm: {each.candidate.place for each in found if each.arm == arm} for arm in ("random", "uncertainty")}
    assert {arm: len(places) for arm, places in by_arm.items()} == {"random": 10, "uncertainty": 10}
    left = sorted(set(range(40)) - by_arm["random"])
    assert sorted(by_arm["uncertainty"]) == left[-10:], "of what chance has left, the ten that members differ on most"
    close = [pair(place, (0.0, place / 10), (0.0, place / 10)) for place in range(40)]
    near = [c.candidate.place for c in choose(close, 20, {"random": 0.5, "near-ties": 0.5}, 1) if c.arm == "near-ties"]
    assert near == left[:10]


def test_of_a_place_the_mixed_set_is_taken_for_new_against_old() -> None:
    sets = [
        candidate
        for place in range(6)
        for candidate in (Candidate(place, (1, 2), (), ("new", "new")), Candidate(place, (1, 3), (), ("new", "old")))
    ]
    found = choose(sets, 4, {"random": 1.0, "new-against-old": 1.0}, seed=0)
    assert {(each.arm, each.candidate.completion_ids) for each in found} == {
        ("random", (1, 2)),
        ("new-against-old", (1, 3)),
    }


def test_what_no_arm_can_tell_is_random_and_recorded_so() -> None:
    unscored = [Candidate(place, (1, 2)) for place in range(10)]
    found = choose(unscored, 6, {"random": 0.2, "uncertainty": 0.4, "near-ties": 0.4}, seed=0)
    assert Counter(each.arm for each in found) == {"random": 6}


@given(
    st.integers(1, 40),
    st.dictionaries(st.sampled_from(ARMS), st.floats(0.0, 5.0), max_size=4),
    st.floats(0.05, 3.0),
    st.integers(0, 99),
)
def test_every_place_once_as_many_as_asked_and_alike_again(
    count: int, shares: dict[Arm, float], random: float, seed: int
) -> None:
    given_shares: dict[Arm, float] = {**shares, "random": random}
    quota = shares_of_arms(count, given_shares)
    assert sum(quota.values()) == count
    total = sum(given_shares.values())
    assert all(abs(quota[arm] - count * given_shares.get(arm, 0.0) / total) < 1.0 for arm in ARMS)
    candidates = [pair(place, (0.0, place % 7), (0.0, place % 3), ("new", "old")) for place in range(count + 5)]
    found = choose(candidates, count, given_shares, seed)
    assert len({each.candidate.place for each in found}) == count
    assert Counter(each.arm for each in found) == {arm: n for arm, n in quota.items() if n}
    assert choose(list(reversed(candidates)), count, given_shares, seed) == found


def test_the_random_arm_draws_from_all_alike() -> None:
    candidates = [pair(place, (0.0, place), (0.0, -place)) for place in range(20)]
    drawn = Counter(
        each.candidate.place
        for seed in range(600)
        for each in choose(candidates, 10, {"random": 1.0, "uncertainty": 1.0}, seed)
        if each.arm == "random"
    )
    assert min(drawn.values()) > 100 and max(drawn.values()) < 200  # 150 each, deviation 10.6


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match="above 0 for random"):
        shares_of_arms(4, {"uncertainty": 1.0})
    with pytest.raises(ValueError, match="2 places to choose from"):
        choose([Candidate(0, (1, 2)), Candidate(1, (1, 2))], 3, {"random": 1.0}, 0)


def test_the_settings_name_the_same_arms() -> None:
    annotation = PeopleSettings.model_fields["arms"].annotation
    assert get_args(get_args(annotation)[0]) == ARMS
