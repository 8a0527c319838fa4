"""What a reward model that learnt from labelled samples must show on held-out ones before any RL optimises it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from assent.config.settings import HealthSettings
from assent.evaluation.reward_health import BINS, CalibrationBin, difference_reasons, length_reasons, spearman
from assent.feedback.intervals import Floats, Interval, bootstrap_mean, widen_if_flat
from assent.types.seeds import derive_seed

RESAMPLES = 1000


@dataclass(frozen=True)
class SampleHealth:
    """The figures, and in words what is wrong. What a kind of label does not have is None."""

    healthy: bool
    reasons: tuple[str, ...]
    samples: int  # held out
    accuracy: Interval | None  # binary: labels that P >= 1/2 gets right
    auc: Interval | None  # binary: chance that a 1 scores above a 0
    calibration: tuple[CalibrationBin, ...]  # binary: P(1) predicted and observed
    calibration_error: float | None
    rmse: Interval | None  # regression: in units of the labels
    explained: Interval | None  # regression: R², share of the labels' variance; below 0 is worse than their mean
    calibration_slope: float | None  # regression: of labels on predictions; 1 is calibrated
    length_correlation: float | None  # Spearman of score and length
    length_correlation_before: float | None  # of the score with what length explained of the labels
    score_differences: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON, with the fields that `HealthReport` has."""
        found = asdict(self)
        for name in ("accuracy", "auc", "rmse", "explained"):
            found[name] = None if (interval := getattr(self, name)) is None else interval.as_dict()
        found["reasons"] = list(self.reasons)
        found["calibration"] = [asdict(each) for each in self.calibration]
        return {**found, "notes": self._notes(), "ceiling": None, "pairs": self.samples}

    def _notes(self) -> list[str]:
        """The figures that a report on pairs has no place for."""
        named = (("AUC", self.auc), ("RMSE", self.rmse), ("R²", self.explained))
        return [f"held-out {name} {interval}" for name, interval in named if interval is not None]


@dataclass(frozen=True)
class HeldOut:
    """Held-out samples as the model sees them, [N] each."""

    predictions: Sequence[float]  # binary: logits; regression: in units of the labels
    labels: Sequence[float]
    groups: Sequence[str]  # of one prompt or text; intervals resample them
    lengths: Sequence[float]  # tokens
    length_slope: float = 0.0  # of predictions per token, left out of them


def check_sample_health(
    held: HeldOut, binary: bool, score_differences: Mapping[str, float], settings: HealthSettings, seed: int
) -> SampleHealth:
    """Measure a reward model on held-out samples and say whether RL may use it.

    Raises:
        ValueError: no samples, or lengths of the lists that differ.
    """
    counts = {len(each) for each in (held.predictions, held.labels, held.groups, held.lengths)}
    if len(counts) != 1 or counts == {0}:
        raise ValueError(f"held-out samples need lists of one length, at least 1; got {sorted(counts)}")
    predictions, labels = np.asarray(held.predictions, dtype=np.float64), np.asarray(held.labels, dtype=np.float64)
    bad = int((~np.isfinite(predictions)).sum())
    reasons = [f"{bad} of {len(predictions)} scores are not finite numbers"] if bad else []
    if not bad and len(predictions) > 1 and len(set(held.predictions)) == 1:
        reasons.append(f"all {len(predictions)} scores are the same ({predictions[0]:g}): there is nothing to optimise")
    if len(set(held.labels)) < 2:
        reasons.append("the held-out labels are all the same: nothing can be measured")
    if reasons:
        return _report(reasons, held, score_differences, settings)
    index = _groups(held.groups)
    if binary:
        return _binary(predictions, labels, index, held, score_differences, settings, seed)
    return _regression(predictions, labels, index, held, score_differences, settings, seed)


def _binary(
    logits: Floats,
    labels: Floats,
    groups: Floats,
    held: HeldOut,
    differences: Mapping[str, float],
    settings: HealthSettings,
    seed: int,
) -> SampleHealth:
    predicted = 0.5 * (1.0 + np.tanh(0.5 * logits))
    bins = probability_bins(predicted, labels)
    error = sum(each.pairs * abs(each.predicted - each.observed) for each in bins) / len(labels)
    right = ((logits >= 0) == (labels > 0.5)).astype(np.float64)
    auc = _bootstrap(lambda rows: area_under_curve(logits[rows], labels[rows]), groups, derive_seed(seed, "auc"))
    auc = widen_if_flat(auc.value, auc.low, auc.high, auc.count)
    reasons = []
    if auc.value < settings.min_accuracy:
        reasons.append(f"held-out AUC {auc.value:.3f} is below health.min_accuracy = {settings.min_accuracy:g}")
    if auc.low <= 0.5:
        reasons.append(f"held-out AUC {auc} may be chance: its lower 95 % bound must be above 0.5")
    if error > settings.max_calibration_error:
        reasons.append(
            f"calibration error {error:.3f} is above health.max_calibration_error = {settings.max_calibration_error:g}"
        )
    accuracy = bootstrap_mean(right, [int(g) for g in groups], derive_seed(seed, "accuracy"), RESAMPLES)
    return _report(
        reasons, held, differences, settings, accuracy=accuracy, auc=auc, calibration=bins, calibration_error=error
    )


def _regression(
    predictions: Floats,
    labels: Floats,
    groups: Floats,
    held: HeldOut,
    differences: Mapping[str, float],
    settings: HealthSettings,
    seed: int,
) -> SampleHealth:
    def rmse(rows: Floats) -> float:
        return float(np.sqrt(np.mean((predictions[rows] - labels[rows]) ** 2)))

    def explained(rows: Floats) -> float:
        spread = float(np.var(labels[rows]))
        return 1.0 - rmse(rows) ** 2 / spread if spread > 0 else float("nan")

    share = _bootstrap(explained, groups, derive_seed(seed, "explained"))
    reasons = []
    if share.low <= 0:
        reasons.append(f"held-out R² {share} may be chance: its lower 95 % bound must be above 0")
    if share.value < settings.min_explained:
        reasons.append(f"held-out R² {share.value:.3f} is below health.min_explained = {settings.min_explained:g}")
    return _report(
        reasons,
        held,
        differences,
        settings,
        rmse=_bootstrap(rmse, groups, derive_seed(seed, "rmse")),
        explained=share,
        calibration_slope=float(stats.linregress(predictions, labels).slope),
    )


def area_under_curve(scores: Floats, labels: Floats) -> float:
    """The chance that a sample of label 1 scores above one of label 0, ties half (Mann & Whitney 1947).

    NaN where a label is missing.
    """
    ones = labels > 0.5
    count, others = int(ones.sum()), int((~ones).sum())
    if not count or not others:
        return float("nan")
    ranks = stats.rankdata(scores)
    return float((ranks[ones].sum() - count * (count + 1) / 2) / (count * others))


def probability_bins(predicted: Floats, observed: Floats) -> tuple[CalibrationBin, ...]:
    """Predicted against observed P(1) in ten bins; empty ones are left out."""
    index = np.minimum((predicted * BINS).astype(int), BINS - 1)
    return tuple(
        CalibrationBin(
            low=number / BINS,
            high=(number + 1) / BINS,
            predicted=float(predicted[index == number].mean()),
            observed=float(observed[index == number].mean()),
            pairs=float((index == number).sum()),
        )
        for number in sorted({int(each) for each in index})
    )


def _report(
    reasons: list[str],
    held: HeldOut,
    differences: Mapping[str, float],
    settings: HealthSettings,
    accuracy: Interval | None = None,
    auc: Interval | None = None,
    calibration: tuple[CalibrationBin, ...] = (),
    calibration_error: float | None = None,
    rmse: Interval | None = None,
    explained: Interval | None = None,
    calibration_slope: float | None = None,
) -> SampleHealth:
    finite = bool(np.isfinite(held.predictions).all())
    correlation = spearman(held.predictions, held.lengths) if finite else None
    slanted = [p + held.length_slope * n for p, n in zip(held.predictions, held.lengths, strict=True)]
    before = spearman(slanted, held.lengths) if finite and held.length_slope else None
    reasons = [*reasons, *length_reasons(correlation, settings), *difference_reasons(differences, settings)]
    return SampleHealth(
        healthy=not reasons,
        reasons=tuple(reasons),
        samples=len(held.labels),
        accuracy=accuracy,
        auc=auc,
        calibration=calibration,
        calibration_error=calibration_error,
        rmse=rmse,
        explained=explained,
        calibration_slope=calibration_slope,
        length_correlation=correlation,
        length_correlation_before=before,
        score_differences=dict(differences),
    )


def _groups(groups: Sequence[str]) -> Floats:
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    return index.astype(np.float64)


def _bootstrap(statistic: Callable[[Any], float], groups: Floats, seed: int) -> Interval:
    """A statistic of rows with a percentile interval that resamples whole groups."""
    rows_of = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rng = np.random.default_rng(seed)
    drawn = [
        statistic(np.concatenate([rows_of[i] for i in rng.integers(len(rows_of), size=len(rows_of))]))
        for _ in range(RESAMPLES)
    ]
    value = statistic(np.arange(len(groups)))
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return Interval(value, float(low), float(high), len(rows_of))
