"""Krippendorff's alpha by his own example and against the reference library; its interval; why there may be none."""

from __future__ import annotations

from dataclasses import replace

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.feedback import krippendorff_alpha, mark_alphas, ranking_alpha
from assent.feedback.alpha import Level
from assent.types.feedback import Ranking

NAN = float("nan")
# Krippendorff's own example of four observers and twelve units (2011, section C).
EXAMPLE = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]


def ranking(person: int, ranks: tuple[int, ...], prompt: int = 1) -> Ranking:
    ids = tuple(100 * prompt + index for index in range(len(ranks)))
    return Ranking(1000 * prompt + person, person, prompt, ids, ranks)


@pytest.mark.parametrize(("level", "value"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_golden_values(level: Level, value: float) -> None:
    found = krippendorff_alpha(EXAMPLE, level)
    assert found.interval is not None
    assert found.interval.value == pytest.approx(value, abs=5e-4)
    assert found.interval.low <= found.interval.value <= found.interval.high <= 1.0
    assert (found.units, found.people, found.reason) == (11, 4, "")


@settings(deadline=None)
@given(
    st.sampled_from(("nominal", "ordinal", "interval")),
    st.integers(0, 2**32 - 1),
    st.integers(2, 6),
    st.integers(2, 12),
    st.integers(2, 6),
    st.floats(0.0, 0.6),
)
def test_equals_the_krippendorff_library(
    level: Level, seed: int, people: int, units: int, values: int, missing: float
) -> None:
    rng = np.random.default_rng(seed)
    table = rng.integers(1, values + 1, (people, units)).astype(float) ** 2  # unequal steps, so that levels differ
    table[rng.random(table.shape) < missing] = np.nan
    found = krippendorff_alpha(table, level, resamples=1)
    if found.interval is None:
        pairable = table[:, (~np.isnan(table)).sum(axis=0) >= 2]
        assert len(np.unique(pairable[~np.isnan(pairable)])) < 2
    else:
        expected = krippendorff.alpha(table, level_of_measurement=level)
        assert found.interval.value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ([[1.0, 2.0, NAN], [NAN, NAN, 2.0]], "no task was judged by two people"),
        ([[1.0, 2.0, 3.0], [NAN, NAN, NAN]], "fewer than two people judged"),
        ([[4.0, 4.0, 1.0], [4.0, 4.0, NAN]], "everybody gave the same value"),
        (np.empty((0, 0)), "fewer than two people judged"),
    ],
)
def test_the_reason_where_it_is_undefined(table: list[list[float]], reason: str) -> None:
    found = krippendorff_alpha(table, "nominal")
    assert found.interval is None
    assert reason in found.reason
    assert found.as_dict()["interval"] is None


def test_refuses_what_is_no_table() -> None:
    with pytest.raises(ValueError, match="people, units"):
        krippendorff_alpha([1.0, 2.0], "nominal")
    with pytest.raises(ValueError, match="1 groups"):
        krippendorff_alpha([[1.0, 2.0], [1.0, 1.0]], "nominal", groups=[0])


def test_intervals_hold_the_truth_and_narrow_as_units_grow() -> None:
    # Two people copy a fair coin with chance 0.8 each: they agree with chance 0.68 by 0.5 of chance, alpha is 0.36.
    rng = np.random.default_rng(3)
    covered, widths = 0, {40: 0.0, 640: 0.0}
    for units in widths:
        for _ in range(60):
            coin = rng.integers(0, 2, units)
            table = np.where(rng.random((2, units)) < 0.8, coin, 1 - coin).astype(float)
            found = krippendorff_alpha(table, "nominal", seed=1, resamples=150).interval
            assert found is not None
            covered += found.low <= 0.36 <= found.high
            widths[units] += (found.high - found.low) / 60
    assert 0.88 <= covered / 120 <= 0.99
    assert widths[40] / widths[640] == pytest.approx(4.0, rel=0.15)  # as the square root of the units


def test_units_of_a_group_hang_together() -> None:
    rng = np.random.default_rng(0)
    once = rng.integers(1, 5, (3, 30)).astype(float)
    repeated = np.repeat(once, 8, axis=1)  # says no more than `once`
    alone = krippendorff_alpha(once, "ordinal").interval
    grouped = krippendorff_alpha(repeated, "ordinal", groups=[int(i) for i in np.repeat(np.arange(30), 8)]).interval
    claimed = krippendorff_alpha(repeated, "ordinal").interval
    assert alone is not None and grouped is not None and claimed is not None
    assert grouped.high - grouped.low == pytest.approx(alone.high - alone.low, rel=0.15)
    assert claimed.high - claimed.low < 0.6 * (alone.high - alone.low)


def test_rankings() -> None:
    same = ranking_alpha([ranking(1, (1, 2, 3)), ranking(2, (1, 2, 3))])
    opposed = ranking_alpha([ranking(1, (1, 2, 3)), ranking(2, (3, 2, 1))])
    assert same.interval is not None and opposed.interval is not None
    assert same.interval.value == pytest.approx(1.0)
    assert same.interval.low <= -1.0, "one task says nothing of other tasks"
    assert opposed.interval.value < 0
    assert ranking_alpha([ranking(1, (1, 2, 3))]).reason == "fewer than two people judged"
    assert ranking_alpha([]).people == 0


def test_marks_per_criterion() -> None:
    table = {"kind": [[0.9, 0.1], [0.8, 0.3]], "short": [[0.2, 0.2], [0.7, 0.1]]}
    said = [
        replace(ranking(p, (1, 2)), marks=tuple({name: table[name][p][i] for name in table} for i in range(2)))
        for p in range(2)
    ]
    found = mark_alphas(said)
    assert list(found) == ["kind", "short"]
    for name, each in found.items():
        assert each.interval is not None
        expected = krippendorff.alpha(np.array(table[name]), level_of_measurement="interval")
        assert each.interval.value == pytest.approx(expected, abs=1e-9)
