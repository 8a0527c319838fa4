"""Intervals against hand calculations and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from assent.feedback import Interval, bootstrap_mean, wilson


def test_wilson_golden_value() -> None:
    # p = 8/10, z = 1.959964, z² = 3.841459: middle (0.8 + 0.192073) / 1.384146 = 0.716740;
    # half = 1.959964 * sqrt(0.016 + 0.00960365) / 1.384146 = 0.226577.
    interval = wilson(8, 10)
    assert interval.value == 0.8
    assert interval.low == pytest.approx(0.490163, abs=2e-6)
    assert interval.high == pytest.approx(0.943317, abs=2e-6)
    assert interval.count == 10


@pytest.mark.parametrize(("successes", "count"), [(0, 5), (5, 5), (1, 200), (137, 200)])
def test_wilson_equals_scipy(successes: int, count: int) -> None:
    reference = stats.binomtest(successes, count).proportion_ci(method="wilson")
    interval = wilson(successes, count)
    assert interval.low == pytest.approx(reference.low, abs=1e-12)
    assert interval.high == pytest.approx(reference.high, abs=1e-12)


def test_wilson_refuses_impossible_counts() -> None:
    for successes, count in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="successes"):
            wilson(successes, count)


def test_bootstrap_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(2.0, 1.0, 400)
    interval = bootstrap_mean(values, None, seed=1, resamples=4000)
    half = 1.96 * values.std() / math.sqrt(400)
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.012)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.012)
    assert interval.count == 400


def test_groups_that_move_together_widen_the_interval() -> None:
    rng = np.random.default_rng(3)
    per_prompt = rng.normal(size=40)
    values = np.repeat(per_prompt, 10)
    prompts = [int(index) for index in np.repeat(np.arange(40), 10)]
    single = bootstrap_mean(values, None, 0, 2000)
    grouped = bootstrap_mean(values, prompts, 0, 2000)
    # Ten copies of a value say no more than one: the width is sqrt(10) = 3.16 times that of independent values.
    assert (grouped.high - grouped.low) / (single.high - single.low) == pytest.approx(math.sqrt(10), rel=0.1)
    assert grouped.count == 40


def test_groups_of_unequal_size_weigh_by_their_values() -> None:
    assert bootstrap_mean([1.0, 1.0, 1.0, 0.0], [7, 7, 7, 8], 0, 200).value == 0.75


def test_same_seed_same_interval_and_other_seed_another() -> None:
    values = list(np.random.default_rng(1).random(30))
    assert bootstrap_mean(values, None, 5, 300) == bootstrap_mean(values, None, 5, 300)
    assert bootstrap_mean(values, None, 5, 300) != bootstrap_mean(values, None, 6, 300)


def test_a_clean_sweep_of_few_prompts_is_not_certain() -> None:
    interval = bootstrap_mean([1.0] * 9, [1, 1, 1, 2, 2, 2, 3, 3, 3], 0, 500)
    assert interval.high == 1.0
    assert interval.low == pytest.approx(wilson(3, 3).low)
    assert interval.low < 0.5


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_bootstrap_refuses_what_has_no_mean(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        bootstrap_mean(values, None, 0, 100)


def test_interval_as_dict() -> None:
    assert Interval(0.5, 0.4, 0.6, 12).as_dict() == {"value": 0.5, "low": 0.4, "high": 0.6, "count": 12}
