"""Proxy against gold as KL grows: where the reward model stops meaning what it is taken to mean.

Gao, Schulman and Hilton 2023 ("Scaling Laws for Reward Model Overoptimization"), with d = √KL: best-of-n against a
proxy follows R(d) = d (α - β d), RL R(d) = d (α - β log d). R is the gain over the policy before.
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


Form = Literal["best-of-n", "rl"]


def best_of_n_form(kl: float, alpha: float, beta: float) -> float:
    """d (α - β d) with d = √kl, kl in nats: what best-of-n gains, in the units of α."""
    d = math.sqrt(kl)
    return d * (alpha - beta * d)


def rl_form(kl: float, alpha: float, beta: float) -> float:
    """d (α - β log d) with d = √kl, kl in nats: what RL gains, in the units of α; 0 at 0."""
    d = math.sqrt(kl)
    return d * (alpha - beta * math.log(d)) if d > 0 else 0.0


@dataclass(frozen=True)
class GaoFit:
    """One of the two forms, least squares on the gain over the first point."""

    alpha: float
    beta: float
    r_squared: float
    form: Form = "rl"

    def gain(self, kl: float) -> float:
        """What the fitted curve says is gained at this KL in nats."""
        form = rl_form if self.form == "rl" else best_of_n_form
        return form(kl, self.alpha, self.beta)

    @property
    def peak_kl(self) -> float | None:
        """KL in nats at which the fitted curve is highest; None if it never turns (β <= 0), or falls from the start."""
        if self.beta <= 0:
            return None
        if self.form == "best-of-n":  # dR/dd = α - 2βd = 0
            return (self.alpha / (2 * self.beta)) ** 2 if self.alpha > 0 else None
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


def fit_gao(points: Sequence[OptimisationPoint], which: Literal["proxy", "gold"], form: Form = "rl") -> GaoFit | None:
    """Fit one of the two forms to the gain of `which` over the first point, by least squares.

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
    design = np.column_stack([d, -d * (np.log(d) if form == "rl" else d)])
    (alpha, beta), _, rank, _ = np.linalg.lstsq(design, gain, rcond=None)
    total = float(((gain - gain.mean()) ** 2).sum())
    if rank < 2 or total == 0.0:
        return None
    residual = float(((gain - design @ np.array([alpha, beta])) ** 2).sum())
    return GaoFit(float(alpha), float(beta), 1.0 - residual / total, form)


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
