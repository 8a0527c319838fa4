"""What best-of-n costs and wins, by hand and by counting."""

from __future__ import annotations

import itertools
import math

import pytest

from assent.evaluation import best_of_n_kl, best_of_n_win_rate


def test_golden_values() -> None:
    assert (best_of_n_kl(1), best_of_n_win_rate(1)) == (0.0, 0.5)
    assert best_of_n_kl(4) == pytest.approx(math.log(4) - 0.75)
    assert best_of_n_win_rate(4) == pytest.approx(0.8)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_wins_counted_over_all_orders(n: int) -> None:
    # the fresh sample is the last of n + 1; it loses unless it is the best of them all
    orders = list(itertools.permutations(range(n + 1)))
    assert sum(max(order) != order[-1] for order in orders) / len(orders) == pytest.approx(best_of_n_win_rate(n))


@pytest.mark.parametrize("function", [best_of_n_kl, best_of_n_win_rate])
def test_no_samples_are_refused(function: object) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        function(0)  # type: ignore[operator]
