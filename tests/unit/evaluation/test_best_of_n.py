"""Best-of-n: the bound of its KL, and means over all choices of k."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from assent.evaluation import best_of_k_mean, best_of_n_kl_bound, pass_at_k


def test_the_bound() -> None:
    assert best_of_n_kl_bound(1) == 0.0
    assert best_of_n_kl_bound(16) == pytest.approx(math.log(16) - 15 / 16)
    with pytest.raises(ValueError, match="at least 1"):
        best_of_n_kl_bound(0)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_the_mean_is_that_over_all_choices(k: int) -> None:
    draw = random.Random(k)
    scores = [draw.random() for _ in range(5)]
    values = [draw.random() for _ in range(5)]
    chosen = [values[max(which, key=scores.__getitem__)] for which in itertools.combinations(range(5), k)]
    assert best_of_k_mean(scores, values, k) == pytest.approx(sum(chosen) / len(chosen), rel=1e-12)


def test_equal_scores_stand_in_for_one_another() -> None:
    # of {0, 0, 1} two are taken: {0, 0} has the mean of its values, the other two choices the value of the 1
    assert best_of_k_mean([0.0, 0.0, 1.0], [2.0, 4.0, 10.0], 2) == pytest.approx((3.0 + 10.0 + 10.0) / 3)
    assert best_of_k_mean([7.0, 7.0], [2.0, 4.0], 2) == 3.0


@pytest.mark.parametrize("k", [0, 3])
def test_k_lies_within_the_samples(k: int) -> None:
    with pytest.raises(ValueError, match="best_of_k_mean"):
        best_of_k_mean([1.0, 2.0], [1.0, 2.0], k)


def test_pass_at_k() -> None:
    # one of four passes: a draw of two holds it in 3 of 6; the second prompt has none
    groups = [[True, False, False, False], [False] * 4]
    assert pass_at_k(groups, 1) == pytest.approx(1 / 8)
    assert pass_at_k(groups, 2) == pytest.approx(1 / 4)
    assert pass_at_k(groups, 4) == 0.5
    for bad in (([], 1), (groups, 5), (groups, 0)):
        with pytest.raises(ValueError, match="pass_at_k"):
            pass_at_k(*bad)
