"""The alarm and the fit, on curves whose answer is known."""

from __future__ import annotations

import math

import pytest

from assent.evaluation import OptimisationPoint, fit_gao, summarise_over_optimisation
from assent.evaluation.over_optimisation import best_of_n_form, rl_form

KLS = (0.0, 0.25, 1.0, 4.0, 9.0, 16.0, 36.0, 64.0)


def gao(kl: float, alpha: float, beta: float) -> float:
    d = math.sqrt(kl)
    return d * (alpha - beta * math.log(d)) if d > 0 else 0.0


CURVE = [OptimisationPoint(kl, 2.0 + gao(kl, 1.0, 0.1), 0.5 + gao(kl, 0.6, 0.4)) for kl in KLS]


def test_fit_recovers_the_coefficients() -> None:
    gold, proxy = fit_gao(CURVE, "gold"), fit_gao(CURVE, "proxy")
    assert gold is not None
    assert proxy is not None
    assert (gold.alpha, gold.beta, gold.r_squared) == pytest.approx((0.6, 0.4, 1.0))
    assert (proxy.alpha, proxy.beta, proxy.r_squared) == pytest.approx((1.0, 0.1, 1.0))
    # dR/dd = 0 at d = exp(alpha / beta - 1) = exp(0.5); KL = d² = e.
    assert gold.peak_kl == pytest.approx(math.e)


def test_r_squared_golden_value() -> None:
    # At d = 1 the form is alpha whatever beta, so two points at KL 1 keep a residual that no fit can take away:
    # gains 0.4 and 0.6 -> alpha 0.5, residual 2 * 0.01; at d = 2 the fit is exact (1.0). Mean 2/3, total
    # 0.2667² + 0.0667² + 0.3333² = 0.186667; R² = 1 - 0.02 / 0.186667 = 0.892857.
    points = [OptimisationPoint(kl, 0.0, gold) for kl, gold in ((0.0, 0.0), (1.0, 0.4), (1.0, 0.6), (4.0, 1.0))]
    fit = fit_gao(points, "gold")
    assert fit is not None
    assert fit.alpha == pytest.approx(0.5)
    assert fit.r_squared == pytest.approx(0.892857, abs=1e-6)


def test_over_optimisation_is_seen() -> None:
    summary = summarise_over_optimisation(CURVE)
    assert summary.over_optimised
    assert (summary.kl_at_peak, summary.gold_peak) == pytest.approx((4.0, 0.5 + gao(4.0, 0.6, 0.4)))
    assert (summary.kl_end, summary.gold_end) == (64.0, CURVE[-1].gold)
    assert summary.proxy_end > summary.proxy_at_peak
    assert summary.as_dict()["gold_fit"]["beta"] == pytest.approx(0.4)


def test_no_alarm_while_gold_rises_or_when_both_fall() -> None:
    assert not summarise_over_optimisation(CURVE[:4]).over_optimised
    collapse = [*CURVE[:4], OptimisationPoint(80.0, 0.0, 0.0)]
    assert not summarise_over_optimisation(collapse).over_optimised


def test_a_small_drop_may_be_noise() -> None:
    points = [OptimisationPoint(0, 0, 0.5), OptimisationPoint(4, 1, 0.8), OptimisationPoint(9, 2, 0.79)]
    assert summarise_over_optimisation(points).over_optimised
    assert not summarise_over_optimisation(points, min_drop=0.02).over_optimised


def test_what_can_not_be_fitted() -> None:
    assert fit_gao([], "gold") is None
    assert fit_gao(CURVE[:3], "gold") is None
    assert fit_gao([CURVE[0], CURVE[3], CURVE[3], CURVE[3]], "gold") is None
    assert fit_gao([OptimisationPoint(kl, 1.0, 1.0) for kl in KLS], "gold") is None
    noisy_start = [OptimisationPoint(-0.01, 2.0, 0.5), *CURVE[1:]]  # an estimate of KL may be a little below 0
    assert fit_gao(noisy_start, "gold") is not None
    rising = fit_gao([OptimisationPoint(kl, 0.0, gao(kl, 0.2, -0.1)) for kl in KLS], "gold")
    assert rising is not None
    assert rising.peak_kl is None


def test_refuses_no_points_and_nonfinite_points() -> None:
    with pytest.raises(ValueError, match="at least one"):
        summarise_over_optimisation([])
    with pytest.raises(ValueError, match="finite"):
        summarise_over_optimisation([OptimisationPoint(1.0, float("nan"), 0.0)])


def test_the_form_of_best_of_n_is_recovered_and_peaks_where_its_slope_is_nil() -> None:
    points = [OptimisationPoint(kl, 0.0, 0.5 + best_of_n_form(kl, 0.8, 0.1)) for kl in KLS]
    fit, other = fit_gao(points, "gold", "best-of-n"), fit_gao(points, "gold")
    assert fit is not None and other is not None
    assert (fit.alpha, fit.beta, fit.r_squared) == pytest.approx((0.8, 0.1, 1.0))
    # dR/dd = 0.8 - 0.2 d = 0 at d = 4, KL 16, where R = 4 (0.8 - 0.4) = 1.6
    assert fit.peak_kl == pytest.approx(16.0)
    assert fit.gain(16.0) == pytest.approx(1.6)
    assert other.form == "rl"
    assert other.r_squared < 1.0
    assert other.gain(4.0) == pytest.approx(rl_form(4.0, other.alpha, other.beta))


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, -0.1), (1.0, 0.0), (-1.0, 0.1)])
def test_best_of_n_that_only_rises_or_only_falls_has_no_peak(alpha: float, beta: float) -> None:
    fit = fit_gao([OptimisationPoint(kl, 0.0, best_of_n_form(kl, alpha, beta)) for kl in KLS], "gold", "best-of-n")
    assert fit is not None
    assert fit.peak_kl is None or fit.peak_kl > 1e6


def test_the_forms_are_nil_at_no_kl() -> None:
    assert best_of_n_form(0.0, 2.0, 1.0) == rl_form(0.0, 2.0, 1.0) == 0.0
