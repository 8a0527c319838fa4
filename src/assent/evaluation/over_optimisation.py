"""Proxy against gold as KL grows: where the reward model stops meaning what it is taken to mean.

Gao, Schulman and Hilton 2022: with d = √KL, RL against a proxy follows R(d) = d (α - β log d).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np


@dataclass(frozen=True)
class OptimisationPoint:
    """A policy measured during RL."""

    kl: float  # nats per sequence from the reference; estimates a little below 0 count as 0
    proxy: float  # mean score of the reward model
    gold: float  # mean overall mark of the gold judge


@dataclass(frozen=True)
class GaoFit:
    """R(d) = d (α - β log d), least squares on the gain over the first point."""

    alpha: float
    beta: float
    r_squared: float

    @property
    def peak_kl(self) -> float | None:
        """KL in nats at which the fitted curve is highest; None if it never turns (β <= 0)."""
        if self.beta <= 0:
            return None
        # dR/dd = α - β log d - β = 0; a shallow curve may put its peak beyond all numbers.
        exponent = 2 * (self.alpha / self.beta - 1)
        return math.exp(exponent) if exponent < 700 else None


@dataclass(frozen=True)
class OverOptimisation:
    """What a run's points say, in the order of training."""

    points: tuple[OptimisationPoint, ...]
    gold_peak: float
    kl_at_peak: float
    gold_end: float
    kl_end: float
    proxy_at_peak: float
    proxy_end: float
    over_optimised: bool  # since gold's peak the proxy rose and gold fell
    gold_fit: GaoFit | None  # None with fewer than three points off the reference
    proxy_fit: GaoFit | None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def fit_gao(points: Sequence[OptimisationPoint], which: Literal["proxy", "gold"]) -> GaoFit | None:
    """Fit R(d) = d (α - β log d) to the gain of `which` over the first point, by least squares.

    R² is 1 - residual / total sum of squares about the mean, and may be negative for a poor fit. None with fewer than
    three points of positive KL, with points whose KL is all the same, or if nothing changes.
    """
    if not points:
        return None
    start = getattr(points[0], which)
    off = [(math.sqrt(point.kl), getattr(point, which) - start) for point in points if point.kl > 0]
    if len(off) < 3:
        return None
    d, gain = (np.asarray(column, dtype=np.float64) for column in zip(*off, strict=True))
    design = np.column_stack([d, -d * np.log(d)])
    (alpha, beta), _, rank, _ = np.linalg.lstsq(design, gain, rcond=None)
    total = float(((gain - gain.mean()) ** 2).sum())
    if rank < 2 or total == 0.0:
        return None
    residual = float(((gain - design @ np.array([alpha, beta])) ** 2).sum())
    return GaoFit(float(alpha), float(beta), 1.0 - residual / total)


def summarise_over_optimisation(points: Sequence[OptimisationPoint], min_drop: float = 0.0) -> OverOptimisation:
    """Where gold peaked, where it ended, and whether the proxy rose meanwhile.

    Args:
        points: in the order of training; the first is the policy before RL.
        min_drop: a fall of gold from its peak smaller than this is taken for noise, in gold's units.

    Raises:
        ValueError: no points, or non-finite ones.
    """
    if not points:
        raise ValueError("summarise_over_optimisation needs at least one point")
    if not all(math.isfinite(x) for point in points for x in (point.kl, point.proxy, point.gold)):
        raise ValueError("summarise_over_optimisation needs finite points")
    peak, end = max(points, key=lambda point: point.gold), points[-1]
    return OverOptimisation(
        points=tuple(points),
        gold_peak=peak.gold,
        kl_at_peak=peak.kl,
        gold_end=end.gold,
        kl_end=end.kl,
        proxy_at_peak=peak.proxy,
        proxy_end=end.proxy,
        over_optimised=end.proxy > peak.proxy and peak.gold - end.gold > min_drop,
        gold_fit=fit_gao(points, "gold"),
        proxy_fit=fit_gao(points, "proxy"),
    )
