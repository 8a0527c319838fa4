"""Labels needed for the same accuracy, on learning curves that are known."""

from __future__ import annotations

import math

import pytest

from assent.evaluation import label_saving, labels_needed

SIZES = (16, 32, 64, 128)


def curve(shift: float) -> list[float]:
    """0.1 of accuracy per doubling; a shift of 1 is a doubling of the labels."""
    return [0.5 + 0.1 * (math.log2(size / 16) + shift) for size in SIZES]


def test_labels_needed_are_read_off_the_curve() -> None:
    assert labels_needed(SIZES, curve(0), 0.7) == (64.0, True)
    assert labels_needed(SIZES, curve(0), 0.65) == (pytest.approx(32 * 2**0.5), True)
    assert labels_needed(SIZES, curve(0), 0.5) == (16.0, True)
    # below the curve, and above it
    assert labels_needed(SIZES, curve(0), 0.4) == (16.0, False)
    assert labels_needed(SIZES, curve(0), 0.9) == (128.0, False)
    # a fall is noise: the curve is read at its running maximum
    assert labels_needed(SIZES, [0.5, 0.7, 0.6, 0.8], 0.65)[0] == pytest.approx(2 ** (4 + 0.75))
    with pytest.raises(ValueError, match="rising sizes"):
        labels_needed((32, 16), [0.5, 0.6], 0.55)


def test_half_the_labels_are_a_ratio_of_one_half() -> None:
    noise = [0.004, -0.003, 0.001, -0.002]
    plain = [[value + each for value in curve(0)] for each in noise]
    better = [[value + each for value in curve(1)] for each in noise]
    found = label_saving(SIZES, {"plain": plain, "way": better, "same": plain}, "plain", "way", 64, seed=0)
    assert found.ratio == pytest.approx(0.5)
    assert found.low == pytest.approx(0.5) and found.high == pytest.approx(0.5), "the noise is common to both"
    assert (found.target, found.clipped) == (pytest.approx(0.7), 0.0)
    assert str(found).startswith("0.50 [0.50, 0.50] of the labels for accuracy 0.700")
    nil = label_saving(SIZES, {"plain": plain, "same": plain}, "plain", "same", 64, seed=0)
    assert (nil.ratio, nil.low, nil.high) == (1.0, 1.0, 1.0)


def test_an_uncertain_saving_has_a_wide_interval() -> None:
    plain = [curve(0)] * 6
    way = [curve(shift) for shift in (-0.9, -0.5, -0.1, 0.1, 0.5, 0.9)]
    found = label_saving(SIZES, {"plain": plain, "way": way}, "plain", "way", 64, seed=0)
    assert found.low < 0.8 < 1.0 < 1.2 < found.high
    worse = label_saving(SIZES, {"plain": plain, "way": [curve(-2)] * 6}, "plain", "way", 64, seed=0)
    assert (worse.ratio, worse.clipped) == (2.0, 1.0), "it never gets there: two is a bound"
    with pytest.raises(ValueError, match="same seeds"):
        label_saving(SIZES, {"plain": plain, "way": way[:3]}, "plain", "way", 64, seed=0)
