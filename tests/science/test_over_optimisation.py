"""Over-optimisation where it can be computed: a proxy that is gold in one direction and wrong in another.

Samples are two standard normal numbers. gold = x₁ - ¼ x₂², proxy = x₁ + 0.8 x₂. The best policy against the proxy under
a KL penalty is the tilt by e^{t · proxy}: normal again, moved by t (1, 0.8), at a KL of ½ t² · 1.64. Its gold is
t - ¼ (1 + 0.64 t²), highest at t = 3.125, a KL of 8.008; as a gain over the start it is d (α - β d) exactly, with
α = 1/√0.82 and β = 0.16/0.82. In the control gold is x₁: what the proxy has beyond it is normal, light-tailed and
harmless, and gold never turns.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import gammaln

from assent.evaluation import GaoFit, OptimisationPoint, fit_gao, summarise_over_optimisation
from assent.evaluation.best_of_n import best_of_n_kl_bound
from assent.report.charts import Rule
from tests.science.findings import Figure, Findings, Section

WRONG = 0.8  # of x₂ in the proxy
SQUARED = 1.0 + WRONG**2
PEAK_KL = 0.5 * SQUARED * 3.125**2
KLS = np.linspace(0.0, 25.0, 26)
DRAWS = 400_000  # for each KL
POOL = 2_000_000  # samples of which the best n are taken
COUNTS = [2**k for k in range(1, 17)]
SECTION = Section(
    key="over-optimisation",
    order=9,
    title="Over-optimisation in closed form",
    text="""
Samples are two normal numbers, gold = x₁ - ¼ x₂² and proxy = x₁ + 0.8 x₂. Against the proxy under a KL penalty the best
policy is a tilt, and its gold is highest at a KL of 8.008 nats. It is sampled, and fitted with the two forms of Gao,
Schulman and Hilton (2023), d = √KL: R = d (α - β d) and R = d (α - β log d). Best-of-n has the same proxy and gold, and
an n of up to 65,536. In the control gold is x₁, so that what the proxy has beyond it is harmless: gold does not turn.
""",
    source="tests/science/test_over_optimisation.py",
    columns=("what", "form", "α", "β", "R²", "peak of the fit, nats", "must be"),
    figures=(
        Figure(
            "over-optimisation",
            "Gain of gold and proxy against KL: the tilt, best-of-n, and the control",
            "KL, nats",
            "gain",
            root=True,
            rules=(Rule("KL 8.0", PEAK_KL, upright=True),),
        ),
    ),
)


def gold_of(x: np.ndarray) -> np.ndarray:
    return x[..., 0] - 0.25 * x[..., 1] ** 2


def proxy_of(x: np.ndarray) -> np.ndarray:
    return x[..., 0] + WRONG * x[..., 1]


def tilted(control: bool = False) -> list[OptimisationPoint]:
    """Sampled policies of growing KL; the control's gold is x₁ alone."""
    numbers = np.random.default_rng(0)
    points = []
    for kl in KLS:
        t = math.sqrt(2.0 * kl / SQUARED)
        x = numbers.standard_normal((DRAWS, 2)) + t * np.array([1.0, WRONG])
        gold = x[:, 0] if control else gold_of(x)
        points.append(OptimisationPoint(float(kl), float(proxy_of(x).mean()), float(gold.mean())))
    return points


def best_of(counts: list[int]) -> list[OptimisationPoint]:
    """Best-of-n by the proxy, over all ways to take n of a pool (an unbiased estimate for every n at once)."""
    x = np.random.default_rng(1).standard_normal((POOL, 2))
    x = x[np.argsort(proxy_of(x))]
    gold, proxy, below = gold_of(x), proxy_of(x), np.arange(POOL)
    points = [OptimisationPoint(0.0, float(proxy.mean()), float(gold.mean()))]
    for n in counts:
        # the chance that a sample with `below` others under it is the best of n: C(below, n - 1) / C(POOL, n)
        chance = np.zeros(POOL)
        able = below >= n - 1
        log_ways = gammaln(below[able] + 1) - gammaln(n) - gammaln(below[able] - n + 2)
        chance[able] = np.exp(log_ways - (gammaln(POOL + 1) - gammaln(n + 1) - gammaln(POOL - n + 1)))
        points.append(OptimisationPoint(best_of_n_kl_bound(n), float(chance @ proxy), float(chance @ gold)))
    return points


def _row(findings: Findings, what: str, fit: GaoFit, must_be: str) -> None:
    peak = "none" if fit.peak_kl is None else f"{fit.peak_kl:.3f}"
    findings.row(SECTION, what, fit.form, f"{fit.alpha:.4f}", f"{fit.beta:.4f}", f"{fit.r_squared:.5f}", peak, must_be)


def _draw(findings: Findings, name: str, points: list[OptimisationPoint], dashed: bool = False) -> None:
    start = points[0]
    findings.line("over-optimisation", f"gold, {name}", [(p.kl, p.gold - start.gold) for p in points], dashed=dashed)


def test_the_tilt_peaks_where_it_must_and_fits(findings: Findings) -> None:
    points = tilted()
    _draw(findings, "tilt", points)
    findings.line("over-optimisation", "proxy, tilt", [(p.kl, p.proxy - points[0].proxy) for p in points], hue="c-base")
    fit, other = fit_gao(points, "gold", "best-of-n"), fit_gao(points, "gold", "rl")
    assert fit is not None and other is not None
    _row(findings, "tilt", fit, "R² ≥ 0.98, peak 8.0 ± 0.1")
    _row(findings, "tilt", other, "")
    assert fit.r_squared >= 0.98
    assert fit.peak_kl == pytest.approx(8.0, abs=0.1)
    assert (fit.alpha, fit.beta) == pytest.approx((1 / math.sqrt(0.82), 0.16 / 0.82), rel=0.01)
    summary = summarise_over_optimisation(points)
    assert summary.over_optimised
    assert summary.kl_at_peak == pytest.approx(8.0, abs=1.0)  # the points are 1 nat apart
    # the other form turns too, and is the worse one here
    assert other.r_squared < fit.r_squared


def test_best_of_n_turns_as_well(findings: Findings) -> None:
    points = best_of(COUNTS)
    _draw(findings, "best-of-n", points)
    fit, other = fit_gao(points, "gold", "best-of-n"), fit_gao(points, "gold", "rl")
    assert fit is not None and other is not None
    _row(findings, "best-of-n", fit, "R² ≥ 0.98")
    _row(findings, "best-of-n", other, "")
    assert fit.r_squared >= 0.98
    peak = max(points, key=lambda point: point.gold)
    assert points[-1].gold < peak.gold and points[-1].proxy > peak.proxy


def test_a_light_tailed_control_does_not_turn(findings: Findings) -> None:
    points = tilted(control=True)
    _draw(findings, "control", points, dashed=True)
    fit = fit_gao(points, "gold", "best-of-n")
    assert fit is not None
    _row(findings, "control", fit, "peak none, or past the last point")
    assert max(points, key=lambda point: point.gold) is points[-1]
    assert not summarise_over_optimisation(points).over_optimised
    assert fit.peak_kl is None or fit.peak_kl > 10 * KLS[-1]
