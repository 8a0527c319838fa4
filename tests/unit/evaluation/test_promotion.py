"""Who may take the old policy's place."""

from __future__ import annotations

import json

import pytest

from assent.evaluation import PairVote, decide, people_win_rate
from assent.feedback import Interval

BETTER, UNSURE = Interval(0.66, 0.58, 0.74, 100), Interval(0.56, 0.49, 0.63, 100)


def test_promoted_when_people_prefer_it_within_the_budget() -> None:
    criteria = {"helpful": {"old": 0.5, "new": 0.7}, "honest": {"old": 0.6, "new": 0.55}}
    verdict = decide(BETTER, BETTER, kl=9.0, kl_budget=15.0, criteria=criteria)
    assert verdict.promoted
    assert verdict.reasons == (
        "people prefer the new policy in 66.0% [58.0%, 74.0%] of pairs",
        "KL from the reference is 9.00 nats, within the budget of 15",
        "honest fell from 0.600 to 0.550",
    )
    assert json.loads(json.dumps(verdict.as_dict()))["people"]["low"] == 0.58


def test_a_lower_bound_at_one_half_is_not_enough() -> None:
    assert not decide(Interval(0.6, 0.5, 0.7, 50), None, 1.0, 15.0).promoted
    verdict = decide(UNSURE, BETTER, 1.0, 15.0)
    assert not verdict.promoted
    assert "lower bound is not above 50 %" in verdict.reasons[0]


@pytest.mark.parametrize("kl", [15.01, float("nan"), float("inf")])
def test_kl_beyond_the_budget_or_unknown_is_refused(kl: float) -> None:
    verdict = decide(BETTER, BETTER, kl, 15.0)
    assert not verdict.promoted
    assert "loop.kl_budget = 15" in verdict.reasons[0]


def test_kl_at_the_budget_passes() -> None:
    assert decide(BETTER, None, 15.0, 15.0).promoted


def test_people_overrule_the_gold_judge() -> None:
    worse = Interval(0.3, 0.2, 0.4, 100)
    assert not decide(worse, BETTER, 1.0, 15.0).promoted
    verdict = decide(BETTER, worse, 1.0, 15.0)
    assert verdict.promoted
    assert any("gold judge disagrees" in reason for reason in verdict.reasons)


def test_without_people_the_scoring_function_decides_and_it_is_said() -> None:
    verdict = decide(None, BETTER, 1.0, 15.0)
    assert verdict.promoted
    assert "no people were asked" in verdict.reasons[0]
    assert verdict.people is None
    assert not decide(None, UNSURE, 1.0, 15.0).promoted
    nobody = decide(None, None, 1.0, 15.0)
    assert not nobody.promoted
    assert nobody.reasons[0].startswith("nobody compared")


def test_a_people_win_rate_is_taken_as_it_is() -> None:
    rate = people_win_rate([PairVote(index, index, 1.0, index % 2 == 0) for index in range(50)], seed=0)
    verdict = decide(rate, None, 0.0, 15.0)
    assert verdict.promoted
    assert verdict.people == rate.interval
