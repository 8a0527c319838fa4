"""What a reward model must show on held-out pairs before any RL optimises it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from assent.config.settings import HealthSettings
from assent.feedback.intervals import Floats, Interval, bootstrap_mean
from assent.types.seeds import derive_seed

BINS = 10
RESAMPLES = 2000


@dataclass(frozen=True)
class CalibrationBin:
    """Held-out pairs to which the model gave about the same chance."""

    low: float
    high: float
    predicted: float  # mean P(first preferred)
    observed: float  # share in which the first was preferred
    pairs: float  # a pair stands half in its own bin and half, read the other way round, in the mirrored one


@dataclass(frozen=True)
class HealthReport:
    """The figures, and in words what is wrong."""

    healthy: bool
    reasons: tuple[str, ...]  # each names the figure, the limit and the setting
    notes: tuple[str, ...]  # what could not be measured
    accuracy: Interval | None  # held-out strict pairs ranked as people did; over prompts
    ceiling: Interval | None  # how often people agree with one another
    pairs: int  # strict held-out pairs
    calibration: tuple[CalibrationBin, ...]  # bins that hold pairs
    calibration_error: float | None  # expected calibration error
    length_correlation: float | None  # Spearman of score and length; None if either is constant
    length_correlation_before: float | None  # of the score with what length explained of the labels; None: the same
    score_differences: Mapping[str, float]  # largest difference of one text's score, per check

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            **asdict(self),
            "reasons": list(self.reasons),
            "notes": list(self.notes),
            "accuracy": self.accuracy.as_dict() if self.accuracy else None,
            "ceiling": self.ceiling.as_dict() if self.ceiling else None,
            "calibration": [asdict(each) for each in self.calibration],
            "score_differences": dict(self.score_differences),
        }


def check_reward_health(
    scores_first: Sequence[float],
    scores_second: Sequence[float],
    preference: Sequence[float],
    prompt_ids: Sequence[int],
    lengths: Sequence[float],
    scores: Sequence[float],
    ceiling: Interval | None,
    score_differences: Mapping[str, float],
    settings: HealthSettings,
    seed: int,
    logit_scale: float | None = 1.0,
    length_slope: float = 0.0,
) -> HealthReport:
    """Measure a reward model on held-out pairs and say whether RL may use it.

    Args:
        scores_first: [N] scores of the pairs' first completions.
        scores_second: [N] of the second.
        preference: [N] 1 first preferred, 0 second, 0.5 tie (left out).
        prompt_ids: [N] the pairs' prompts; the interval resamples them.
        lengths: [M] lengths in tokens of the completions in `scores`.
        scores: [M] scores of samples of the policy that will be optimised.
        ceiling: people's agreement on the same kind of pairs; None if nobody overlapped.
        score_differences: largest |difference| of one text's scores per check, e.g. "batch size", "padding side".
        settings: the limits.
        seed: of the bootstrap.
        logit_scale: score differences times this are the logits that were trained; the standard deviation by which the
            scores were divided if they were normalised afterwards. None: they are no logits, as where several
            criteria are added up, and calibration is not measured.
        length_slope: score a token of length that explained the labels in training and was left out of the score.

    Raises:
        ValueError: lengths of the lists that differ.
    """
    _same_length(scores_first=scores_first, scores_second=scores_second, preference=preference, prompt_ids=prompt_ids)
    _same_length(lengths=lengths, scores=scores)
    reasons = _unusable_scores([*scores_first, *scores_second], scores)
    pairs, correlation, before = _NOTHING_MEASURED, None, None
    if np.isfinite([*scores_first, *scores_second, *scores]).all():
        pairs = _measure_pairs(scores_first, scores_second, preference, prompt_ids, logit_scale, seed)
        correlation = spearman(scores, lengths)
        if length_slope:
            before = spearman([s + length_slope * n for s, n in zip(scores, lengths, strict=True)], lengths)
        reasons += _pair_reasons(pairs, ceiling, settings) + length_reasons(correlation, settings)
    reasons += difference_reasons(score_differences, settings)
    return HealthReport(
        healthy=not reasons,
        reasons=tuple(reasons),
        notes=() if ceiling else (_NO_CEILING,),
        accuracy=pairs.accuracy,
        ceiling=ceiling,
        pairs=sum(each != 0.5 for each in preference),
        calibration=pairs.calibration,
        calibration_error=pairs.calibration_error,
        length_correlation=correlation,
        length_correlation_before=before,
        score_differences=dict(score_differences),
    )


@dataclass(frozen=True)
class _PairFigures:
    accuracy: Interval | None
    calibration: tuple[CalibrationBin, ...]
    calibration_error: float | None


_NOTHING_MEASURED = _PairFigures(None, (), None)
_NO_CEILING = "no people judged the same tasks: the human ceiling is unknown (people.overlap, people.overlap_share)"


def _measure_pairs(
    scores_first: Sequence[float],
    scores_second: Sequence[float],
    preference: Sequence[float],
    prompt_ids: Sequence[int],
    logit_scale: float | None,
    seed: int,
) -> _PairFigures:
    """Accuracy and calibration on the strict pairs; an equal score is half right."""
    outcome = np.asarray(preference, dtype=np.float64)
    strict = outcome != 0.5
    if not strict.any():
        return _NOTHING_MEASURED
    outcome = outcome[strict]
    difference = (np.asarray(scores_first, dtype=np.float64) - np.asarray(scores_second, dtype=np.float64))[strict]
    right = np.where(difference == 0, 0.5, ((difference > 0) == (outcome == 1.0)).astype(np.float64))
    prompts = [prompt for prompt, kept in zip(prompt_ids, strict, strict=True) if kept]
    accuracy = bootstrap_mean(right, prompts, derive_seed(seed, "accuracy"), RESAMPLES)
    if logit_scale is None:
        return _PairFigures(accuracy, (), None)
    bins = calibration_bins(difference * logit_scale, outcome)
    error = sum(each.pairs * abs(each.predicted - each.observed) for each in bins) / len(difference)
    return _PairFigures(accuracy, bins, error)


def calibration_bins(logits: Floats, outcome: Floats) -> tuple[CalibrationBin, ...]:
    """Predicted against observed P(first preferred) in ten bins; empty ones are left out.

    Which completion comes first in a pair is arbitrary, so each pair is read both ways, with half the weight.
    """
    predicted = 0.5 * (1.0 + np.tanh(0.5 * np.concatenate([logits, -logits])))
    observed = np.concatenate([outcome, 1.0 - outcome])
    index = np.minimum((predicted * BINS).astype(int), BINS - 1)
    return tuple(
        CalibrationBin(
            low=number / BINS,
            high=(number + 1) / BINS,
            predicted=float(predicted[index == number].mean()),
            observed=float(observed[index == number].mean()),
            pairs=float((index == number).sum()) / 2,
        )
        for number in sorted({int(each) for each in index})
    )


def _same_length(**columns: Sequence[float]) -> None:
    if len({len(column) for column in columns.values()}) > 1:
        raise ValueError("lengths differ: " + ", ".join(f"{name} {len(column)}" for name, column in columns.items()))


def _unusable_scores(of_pairs: Sequence[float], of_samples: Sequence[float]) -> list[str]:
    reasons = []
    bad = sum(not np.isfinite(score) for score in (*of_pairs, *of_samples))
    if bad:
        reasons.append(f"{bad} of {len(of_pairs) + len(of_samples)} scores are not finite numbers")
    for name, scores in (("held-out completions", of_pairs), ("the policy's samples", of_samples)):
        if len(scores) > 1 and len(set(scores)) == 1:
            reasons.append(
                f"all {len(scores)} scores of {name} are the same ({scores[0]:g}): there is nothing to optimise"
            )
    return reasons


def _pair_reasons(pairs: _PairFigures, ceiling: Interval | None, settings: HealthSettings) -> list[str]:
    accuracy, error, reasons = pairs.accuracy, pairs.calibration_error, []
    if accuracy is None:
        return [
            "there are no held-out pairs with a strict preference (people.rankings_per_round, people.holdout_share)"
        ]
    value = accuracy.value
    if ceiling is not None and value < ceiling.value - settings.max_below_ceiling:
        reasons.append(
            f"held-out pair accuracy {value:.3f} lies {ceiling.value - value:.3f} below people's own agreement of "
            f"{ceiling.value:.3f}; health.max_below_ceiling allows {settings.max_below_ceiling:g}"
        )
    if value < settings.min_accuracy:
        reasons.append(f"held-out pair accuracy {value:.3f} is below health.min_accuracy = {settings.min_accuracy:g}")
    if accuracy.low <= 0.5:
        reasons.append(
            f"held-out pair accuracy {accuracy} may be chance: its lower 95 % bound must be above 0.5 "
            f"({accuracy.count} prompts; more come with people.rankings_per_round or people.holdout_share)"
        )
    if error is not None and error > settings.max_calibration_error:
        reasons.append(
            f"calibration error {error:.3f} is above health.max_calibration_error = {settings.max_calibration_error:g}"
        )
    return reasons


def length_reasons(correlation: float | None, settings: HealthSettings) -> list[str]:
    """Why RL may not use a score that goes with length so far; empty if it may."""
    limit = settings.max_length_correlation
    if correlation is None or abs(correlation) <= limit:
        return []
    return [
        f"the score follows length: Spearman correlation {correlation:+.3f}; "
        f"health.max_length_correlation allows {limit:g}"
    ]


def difference_reasons(differences: Mapping[str, float], settings: HealthSettings) -> list[str]:
    """Why RL may not use a score that depends on how texts are batched; empty if it may."""
    limit = settings.max_score_difference
    return [
        f"the same text scores differently: {name} changes the score by {value:.2g}, "
        f"health.max_score_difference allows {limit:g}"
        for name, value in differences.items()
        if not value <= limit
    ]


def spearman(scores: Sequence[float], lengths: Sequence[float]) -> float | None:
    """The rank correlation of score and length; None where either is constant."""
    if len(set(scores)) < 2 or len(set(lengths)) < 2:
        return None
    return float(stats.spearmanr(scores, lengths).statistic)
