"""Health of a reward model that learnt rewards or labels, on made-up predictions whose figures are known."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from assent.config.settings import HealthSettings
from assent.evaluation import HeldOut, SampleHealth, area_under_curve, check_sample_health

COUNT = 400


def checked(predictions: Sequence[float], labels: Sequence[float], binary: bool, **more: Any) -> SampleHealth:
    held = HeldOut(
        predictions,
        labels,
        [str(i // 2) for i in range(len(labels))],
        more.pop("lengths", [float(i % 7) for i in range(len(labels))]),
        more.pop("slope", 0.0),
    )
    return check_sample_health(held, binary, more.pop("differences", {}), HealthSettings(**more), seed=0)


def drawn(sharpness: float) -> tuple[list[float], list[float]]:
    """Logits of which the labels are drawn, so that they are calibrated at sharpness 1."""
    rng = random.Random(0)
    logits = [3 * rng.gauss(0, 1) for _ in range(COUNT)]
    return [sharpness * x for x in logits], [float(rng.random() < 1 / (1 + math.exp(-x))) for x in logits]


def test_auc_by_hand() -> None:
    # of the six pairs of a 1 and a 0: 3 > 1, 3 > 2, 3 > 3 half, 2 > 1, 2 = 2 half, 2 < 3
    scores, labels = np.array([3.0, 2.0, 1.0, 2.0, 3.0]), np.array([1.0, 1.0, 0.0, 0.0, 0.0])
    assert area_under_curve(scores, labels) == pytest.approx((1 + 1 + 0.5 + 1 + 0.5 + 0) / 6)
    assert math.isnan(area_under_curve(scores, np.ones(5)))


def test_a_calibrated_classifier_is_healthy() -> None:
    found = checked(*drawn(1.0), binary=True)
    assert found.healthy and found.reasons == ()
    assert found.auc is not None and found.accuracy is not None and found.calibration_error is not None
    assert found.auc.low < found.auc.value < found.auc.high
    assert 0.85 < found.auc.value < 0.97 and 0.75 < found.accuracy.value < 0.92
    assert found.calibration_error < 0.05
    assert sum(each.pairs for each in found.calibration) == COUNT
    assert found.as_dict()["auc"]["value"] == found.auc.value


def test_a_classifier_too_sure_of_itself_is_not() -> None:
    found = checked(*drawn(30.0), binary=True, max_calibration_error=0.08)
    assert not found.healthy
    assert "calibration error" in found.reasons[0] and "max_calibration_error = 0.08" in found.reasons[0]


def test_chance_is_not_enough() -> None:
    _, labels = drawn(1.0)
    rng = random.Random(5)
    found = checked([rng.gauss(0, 0.1) for _ in labels], labels, binary=True)
    assert any("may be chance" in reason for reason in found.reasons)


def test_regression_figures_by_hand() -> None:
    rng = random.Random(0)
    labels = [rng.gauss(10, 2) for _ in range(COUNT)]
    predictions = [label + (1.0 if i % 2 else -1.0) for i, label in enumerate(labels)]
    found = checked(predictions, labels, binary=False)
    assert found.healthy and found.rmse is not None and found.explained is not None
    assert found.rmse.value == pytest.approx(1.0) and found.rmse.low == pytest.approx(1.0)
    assert found.explained.value == pytest.approx(1 - 1 / np.var(labels))
    assert found.accuracy is None and found.auc is None
    assert found.calibration_slope is not None and 0.7 < found.calibration_slope < 0.9


def test_predictions_worse_than_the_mean_are_named() -> None:
    labels = [float(i % 5) for i in range(COUNT)]
    found = checked([4 - label for label in labels], labels, binary=False)
    assert not found.healthy
    assert "R²" in found.reasons[0] and "min_explained" in found.reasons[1]


@pytest.mark.parametrize(
    ("predictions", "labels", "said"),
    [
        ([1.0, math.nan, 2.0, math.inf], [0.0, 1.0, 0.0, 1.0], "2 of 4 scores are not finite"),
        ([0.5] * 4, [0.0, 1.0, 0.0, 1.0], r"all 4 scores are the same \(0.5\)"),
        ([0.1, 0.2, 0.3, 0.4], [1.0] * 4, "labels are all the same"),
    ],
)
@pytest.mark.parametrize("binary", [True, False])
def test_what_cannot_be_used_is_refused_in_words(
    predictions: list[float], labels: list[float], said: str, binary: bool
) -> None:
    found = checked(predictions, labels, binary)
    assert not found.healthy
    with pytest.raises(AssertionError, match=said):
        assert not found.reasons, found.reasons


def test_length_before_and_after() -> None:
    predictions, labels = drawn(1.0)
    lengths = [10.0 + abs(label) + i % 50 for i, label in enumerate(labels)]
    found = checked(predictions, labels, binary=True, lengths=lengths, slope=10.0)
    assert found.length_correlation is not None and abs(found.length_correlation) < 0.2
    assert found.length_correlation_before is not None and found.length_correlation_before > 0.9
    limited = checked(lengths, labels, binary=True, lengths=lengths, max_length_correlation=0.5)
    assert any("follows length" in reason for reason in limited.reasons)


def test_batching_that_changes_scores_is_named() -> None:
    found = checked(*drawn(1.0), binary=True, differences={"packing": 0.1})
    assert any("packing changes the score" in reason for reason in found.reasons)


def test_lists_of_other_lengths_are_the_programmers_mistake() -> None:
    with pytest.raises(ValueError, match="one length"):
        check_sample_health(HeldOut([1.0], [1.0, 0.0], ["a"], [1.0]), True, {}, HealthSettings(), 0)
