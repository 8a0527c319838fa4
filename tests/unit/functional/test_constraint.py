"""The multiplier of a bound on the mean cost."""

from __future__ import annotations

import math

import pytest

from assent.functional import updated_log_multiplier


def test_it_moves_towards_the_limit() -> None:
    # λ = 2, cost 0.5 above its limit, step 0.1: log 2 + 0.1 · 2 · 0.5
    assert updated_log_multiplier(math.log(2), 1.5, 1.0, 0.1, 5.0) == pytest.approx(math.log(2) + 0.1)
    assert updated_log_multiplier(math.log(2), 0.5, 1.0, 0.1, 5.0) == pytest.approx(math.log(2) - 0.1)


def test_it_rests_at_the_limit_or_without_a_step() -> None:
    assert updated_log_multiplier(0.3, 1.0, 1.0, 0.1, 5.0) == 0.3
    assert updated_log_multiplier(0.3, 9.0, 1.0, 0.0, 5.0) == 0.3


def test_it_goes_no_higher_than_told() -> None:
    assert updated_log_multiplier(0.0, 1e6, 1.0, 0.1, 5.0) == math.log(5.0)


@pytest.mark.parametrize(("cost", "rate", "maximum"), [(math.nan, 0.1, 5.0), (1.0, -0.1, 5.0), (1.0, 0.1, 0.0)])
def test_nonsense_is_refused(cost: float, rate: float, maximum: float) -> None:
    with pytest.raises(ValueError, match="mean cost"):
        updated_log_multiplier(0.0, cost, 1.0, rate, maximum)
