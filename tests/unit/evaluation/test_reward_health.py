"""The health check on a real, if linear, reward model fitted to simulated people's comparisons."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from assent.config.people import PeopleSettings
from assent.config.settings import HealthSettings
from assent.evaluation import HealthReport, calibration_bins, check_reward_health
from assent.feedback import Interval, calibrate_noise, make_crowd, pairwise_agreement
from assent.types.feedback import Assignment, Comparison, LabelKind, Marks, Ranking

Floats = NDArray[np.float64]
COMPLETIONS = 4
AGREE = {"batch size": 2e-6, "padding side": 1e-6, "packing": 0.0}


@dataclass(frozen=True)
class Judged:
    """What people said of completions whose features a reward model sees."""

    features: Floats  # [completions, 4]
    comparisons: list[Comparison]
    ceiling: Interval


@pytest.fixture(scope="module")
def judged() -> Judged:
    rng = random.Random(0)
    marks = [[Marks(rng.random(), rng.random(), rng.random(), 1.0) for _ in range(COMPLETIONS)] for _ in range(250)]
    people = calibrate_noise(make_crowd(16, PeopleSettings(), seed=0), marks, 0.73, 0)
    said: list[Ranking] = []
    for task, set_of_marks in enumerate(marks):
        ids = tuple(range(task * COMPLETIONS, (task + 1) * COMPLETIONS))
        for number in rng.sample(range(16), 3):
            order = tuple(rng.sample(range(COMPLETIONS), COMPLETIONS))
            lease = Assignment(task, task, number, "q", ("a", "b", "c", "d"), order, LabelKind.RANKING, "key")
            said.append(Ranking(len(said), number, task, ids, people[number].judge(lease, set_of_marks).ranks))
    ceiling = pairwise_agreement(said, seed=0).interval
    assert ceiling is not None
    features = [[m.helpful, m.honest, m.harmless, rng.random()] for each in marks for m in each]
    return Judged(np.asarray(features), [pair for ranking in said for pair in ranking.comparisons()], ceiling)


def fit(judged: Judged, comparisons: list[Comparison]) -> Floats:
    """Scores of all completions under Bradley–Terry with a linear utility, by maximum likelihood."""
    strict = [pair for pair in comparisons if pair.preference != 0.5]
    difference = np.array([judged.features[pair.first_id] - judged.features[pair.second_id] for pair in strict])
    signs = np.array([2 * pair.preference - 1 for pair in strict])
    loss = minimize(lambda w: np.logaddexp(0, -signs * (difference @ w)).mean(), np.zeros(4))
    scores: Floats = judged.features @ loss.x
    return scores


def check(judged: Judged, scores: Floats, settings: HealthSettings | None = None, scale: float = 1.0) -> HealthReport:
    held_out = [pair for pair in judged.comparisons if pair.prompt_id >= 200]
    return check_reward_health(
        [float(scores[pair.first_id]) for pair in held_out],
        [float(scores[pair.second_id]) for pair in held_out],
        [pair.preference for pair in held_out],
        [pair.prompt_id for pair in held_out],
        [20 + index % 13 for index in range(len(scores))],
        [float(score) for score in scores],
        judged.ceiling,
        AGREE,
        settings or HealthSettings(),
        seed=0,
        logit_scale=scale,
    )


@pytest.fixture(scope="module")
def scores(judged: Judged) -> Floats:
    return fit(judged, [pair for pair in judged.comparisons if pair.prompt_id < 200])


def test_a_fitted_model_is_healthy_and_reaches_the_ceiling(judged: Judged, scores: Floats) -> None:
    report = check(judged, scores)
    assert report.healthy, report.reasons
    assert report.accuracy is not None
    assert report.accuracy.value > judged.ceiling.value - 0.03
    assert report.accuracy.count == 50
    assert report.calibration_error is not None
    # The careless and the adversarial keep what is observed away from 0 and 1: no logistic curve fits such a crowd.
    assert report.calibration_error < 0.1
    assert json.loads(json.dumps(report.as_dict()))["healthy"] is True


def test_a_model_of_shuffled_labels_is_refused(judged: Judged) -> None:
    train = [pair for pair in judged.comparisons if pair.prompt_id < 200]
    labels = [pair.preference for pair in train]
    for seed in range(5):
        random.Random(seed).shuffle(labels)
        broken = fit(judged, [replace(pair, preference=label) for pair, label in zip(train, labels, strict=True)])
        report = check(judged, broken)
        assert not report.healthy
        assert any("health.max_below_ceiling allows 0.05" in reason for reason in report.reasons)


def test_a_model_of_flipped_labels_is_refused(judged: Judged, scores: Floats) -> None:
    report = check(judged, -scores)
    assert not report.healthy
    assert report.accuracy is not None
    assert report.accuracy.high < 0.5
    assert any("health.min_accuracy" in reason for reason in report.reasons)
    assert any("may be chance" in reason for reason in report.reasons)


def test_overconfidence_is_refused_and_the_scale_undoes_it(judged: Judged, scores: Floats) -> None:
    report = check(judged, scores * 20)
    assert [reason.split(" ")[0] for reason in report.reasons] == ["calibration"]
    assert check(judged, scores * 20, scale=1 / 20).calibration_error == pytest.approx(
        check(judged, scores).calibration_error
    )


def healthy_arguments() -> dict[str, object]:
    rng = random.Random(2)
    first = [float(rng.gauss(0, 2)) for _ in range(300)]
    second = [float(rng.gauss(0, 2)) for _ in range(300)]
    prefer = [float(rng.random() < 1 / (1 + np.exp(b - a))) for a, b in zip(first, second, strict=True)]
    return {
        "scores_first": first,
        "scores_second": second,
        "preference": prefer,
        "prompt_ids": list(range(300)),
        "lengths": [rng.randint(5, 40) for _ in range(100)],
        "scores": [rng.gauss(0, 1) for _ in range(100)],
        "ceiling": Interval(0.75, 0.7, 0.8, 50),
        "score_differences": dict(AGREE),
        "settings": HealthSettings(),
        "seed": 0,
    }


def check_with(**changes: object) -> HealthReport:
    return check_reward_health(**{**healthy_arguments(), **changes})  # type: ignore[arg-type]


def test_the_unchanged_arguments_are_healthy() -> None:
    assert check_with().reasons == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scores": [float(n) for n in range(100)], "lengths": list(range(100))}, "health.max_length_correlation"),
        ({"scores": [float(-n) for n in range(100)], "lengths": list(range(100))}, "correlation -1.000"),
        ({"scores": [0.25] * 100}, "all 100 scores of the policy's samples are the same"),
        ({"scores": [float("nan")] * 2 + [0.1] * 98}, "2 of 700 scores are not finite"),
        ({"scores_first": [float("inf")] * 300}, "300 of 700 scores are not finite"),
        ({"score_differences": {"packing": 0.2}}, "packing changes the score by 0.2"),
        ({"score_differences": {"padding side": float("nan")}}, "padding side changes the score by nan"),
        ({"preference": [0.5] * 300}, "no held-out pairs with a strict preference"),
        ({"ceiling": Interval(0.99, 0.98, 1.0, 50)}, "below people's own agreement of 0.990"),
        ({"scores_first": [1.0] * 300, "scores_second": [1.0] * 300}, "scores of held-out completions are the same"),
    ],
)
def test_each_fault_has_its_reason(changes: dict[str, object], words: str) -> None:
    report = check_with(**changes)
    assert not report.healthy
    assert any(words in reason for reason in report.reasons), report.reasons


def test_few_prompts_may_be_chance() -> None:
    report = check_with(prompt_ids=[index % 2 for index in range(300)], preference=[1.0] * 300)
    assert report.accuracy is not None
    assert report.accuracy.low <= 0.5
    assert any("(2 prompts" in reason for reason in report.reasons)


def test_no_ceiling_is_a_note_not_a_fault() -> None:
    report = check_with(ceiling=None)
    assert report.healthy
    assert "people.overlap" in report.notes[0]


def test_swapping_pairs_changes_nothing() -> None:
    same = healthy_arguments()
    swapped = check_with(
        scores_first=same["scores_second"],
        scores_second=same["scores_first"],
        preference=[1.0 - each for each in same["preference"]],  # type: ignore[attr-defined]
    )
    straight = check_with()
    assert swapped.accuracy == straight.accuracy
    assert swapped.calibration_error == pytest.approx(straight.calibration_error)


def test_calibration_bins_golden_values() -> None:
    # sigmoid(2) = 0.880797 in the bin 0.8-0.9: preferred in 1 of 2; mirrored, 0.119203 in 0.1-0.2.
    low, high = calibration_bins(np.array([2.0, 2.0]), np.array([1.0, 0.0]))
    assert (low.low, low.high, low.pairs) == pytest.approx((0.1, 0.2, 1.0))
    assert (low.predicted, low.observed) == pytest.approx((0.119203, 0.5), abs=1e-6)
    assert (high.predicted, high.observed) == pytest.approx((0.880797, 0.5), abs=1e-6)


def test_lists_must_fit() -> None:
    with pytest.raises(ValueError, match="preference 1"):
        check_with(preference=[1.0])
    with pytest.raises(ValueError, match="lengths 1"):
        check_with(lengths=[1])
