"""Shares and means with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_CHUNK = 4_000_000  # weights drawn at a time: 32 MB, whatever the number of groups


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval.

    `count` is the number of independent units behind it: trials of a share, groups of a bootstrap.
    """

    value: float
    low: float
    high: float
    count: int

    def as_dict(self) -> dict[str, float]:
        """`{value, low, high, count}`, ready for JSON."""
        return {"value": self.value, "low": self.low, "high": self.high, "count": self.count}

    def __str__(self) -> str:
        """Three decimals, for sentences."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def wilson(successes: float, count: int, confidence: float = 0.95) -> Interval:
    """The score interval of a share (Wilson 1927): right also near 0 and 1 and for few trials.

    Args:
        successes: in [0, count]; a tie may count half.
        count: independent trials, at least 1.
        confidence: of the two-sided interval.

    Raises:
        ValueError: no trials, or successes outside [0, count].
    """
    if count < 1 or not 0 <= successes <= count:
        raise ValueError(f"wilson needs 0 <= successes <= count and count >= 1, got {successes} of {count}")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / count
    scale = 1 + z * z / count
    middle = (share + z * z / (2 * count)) / scale
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / scale
    return Interval(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)), count)


def group_sums(values: Floats, groups: Sequence[int] | Sequence[str] | None) -> tuple[Floats, Floats]:
    """Sums [G, C] and numbers of rows [G] of `values` [N, C] per group; each row is a group if none are given."""
    if groups is None:
        return values, np.ones(len(values))
    if len(groups) != len(values):
        raise ValueError(f"{len(values)} values but {len(groups)} groups")
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((int(index.max()) + 1, values.shape[1]))
    np.add.at(sums, index, values)
    return sums, np.bincount(index).astype(np.float64)


def bootstrap_statistic(
    sums: Floats, statistic: Callable[[Floats], Floats], seed: int, resamples: int
) -> tuple[float, float, float]:
    """Value and percentile bounds of a function of column totals, resampling rows (Efron 1979).

    Args:
        sums: [G, C] one row per independent group.
        statistic: [R, C] totals -> [R] values; resamples that give NaN are left out.
        seed: of the resampling.
        resamples: how many.

    Returns:
        (value, low, high); low and high are the 2.5 % and 97.5 % percentiles.

    Raises:
        ValueError: no groups, or the statistic is undefined on every resample.
    """
    count = len(sums)
    if count == 0:
        raise ValueError("a bootstrap needs at least one group")
    rng = np.random.default_rng(seed)
    value = float(statistic(sums.sum(axis=0, keepdims=True))[0])
    drawn: list[Floats] = []
    rows = max(1, _CHUNK // count)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        weights = rng.multinomial(count, np.full(count, 1.0 / count), size=size).astype(np.float64)
        drawn.append(statistic(weights @ sums))
    samples = np.concatenate(drawn)
    samples = samples[~np.isnan(samples)]
    if not len(samples):
        raise ValueError("the statistic is undefined on every resample")
    low, high = np.quantile(samples, (0.025, 0.975))
    return value, float(low), float(high)


def ratio_of_totals(totals: Floats) -> Floats:
    """Column 0 over column 1, NaN where the latter is 0. [R, 2] -> [R]."""
    ratios: Floats = np.divide(totals[:, 0], totals[:, 1], out=np.full(len(totals), np.nan), where=totals[:, 1] > 0)
    return ratios


def widen_if_flat(value: float, low: float, high: float, groups: int) -> Interval:
    """An interval of a share in [0, 1]; where all resamples gave the same, the Wilson interval of as many trials.

    Three wins in three prompts leave the bootstrap nothing to vary, and it would claim certainty.
    """
    if low == high and 0.0 <= value <= 1.0:
        flat = wilson(value * groups, groups)
        return Interval(value, flat.low, flat.high, groups)
    return Interval(value, low, high, groups)


def bootstrap_mean(
    values: ArrayLike, groups: Sequence[int] | Sequence[str] | None, seed: int, resamples: int
) -> Interval:
    """The mean of `values` with a percentile interval that resamples whole groups, e.g. prompts.

    Values of one group (pairs of one prompt) rise and fall together; resampling them singly would claim too much.

    Args:
        values: [N], finite.
        groups: [N] the group of each value; none: each value is its own.
        seed: of the resampling.
        resamples: how many.

    Raises:
        ValueError: no values, non-finite values, or lengths that differ.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0 or not np.isfinite(array).all():
        raise ValueError("bootstrap_mean needs a non-empty list of finite values")
    sums, counts = group_sums(array[:, None], groups)
    totals = np.column_stack([sums[:, 0], counts])
    value, low, high = bootstrap_statistic(totals, ratio_of_totals, seed, resamples)
    if array.min() >= 0.0 and array.max() <= 1.0:
        return widen_if_flat(value, low, high, len(totals))
    return Interval(value, low, high, len(totals))
