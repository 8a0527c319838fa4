"""The calibrated crowd agrees as often as it was told to, by closed form and in a real campaign."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assent.config.settings import PeopleSettings
from assent.feedback import (
    SimulatedPerson,
    Temper,
    calibrate_noise,
    expected_agreement,
    make_crowd,
    pairwise_agreement,
    with_noise,
)
from assent.store import rankings
from assent.types.errors import SettingsError
from assent.types.feedback import Marks
from tests.unit.feedback.bench import Bench, Questions


def test_expected_agreement_golden_value() -> None:
    # Two of a mind on one pair, utilities 0.6 and 0.4 at noise 0.1, ties within 0.1 of the noise:
    # P(first) = sigmoid(1.9) = 0.869892, P(second) = sigmoid(-2.1) = 0.109097, strict 0.978988 each;
    # (0.756711 + 0.011902) / 0.958418 = 0.801960.
    judge = SimulatedPerson("a", (1.0, 0.0, 0.0), 1.0, Temper.ORDINARY, 0.0, 0.1, 1)
    pair = [Marks(0.6, 0, 0, 1.0), Marks(0.4, 0, 0, 1.0)]
    assert expected_agreement([judge, replace(judge, seed=2)], [pair], 0) == pytest.approx(0.801960, abs=2e-6)


def test_all_are_given_one_scale_that_meets_the_target(questions: Questions) -> None:
    people = make_crowd(16, PeopleSettings(), seed=2)
    for target in (0.6, 0.73):
        calibrated = calibrate_noise(people, questions.marks, target, 2)
        assert len({each.noise for each in calibrated}) == 1
        assert with_noise(calibrated, people[0].noise) == people
        assert expected_agreement(calibrated, questions.marks, 2) == pytest.approx(target, abs=1e-6)


def test_a_real_campaign_measures_the_target(judged: Bench) -> None:
    agreement = pairwise_agreement(rankings(judged.store), seed=0)
    assert agreement.interval is not None
    assert agreement.interval.value == pytest.approx(0.73, abs=0.02)
    assert agreement.interval.low < 0.73 < agreement.interval.high


def test_unreachable_agreement_says_so() -> None:
    people = make_crowd(16, PeopleSettings(), seed=0)
    alike = [[Marks(0.5, 0.5, 0.5, 1.0)] * 4] * 10
    with pytest.raises(SettingsError, match=r"people\.agreement = 0\.73 cannot be reached"):
        calibrate_noise(people, alike, 0.73, 0)
    settings = PeopleSettings(careless_share=0.5)
    varied = [[Marks(q / 4, q / 4, q / 4, 1.0) for q in range(4)]]
    with pytest.raises(SettingsError, match="careless_share"):
        calibrate_noise(make_crowd(16, settings, seed=0), varied, 0.73, 0)


def test_calibration_refuses_what_it_can_not_measure() -> None:
    people = make_crowd(2, PeopleSettings(), seed=0)
    with pytest.raises(ValueError, match="two people"):
        calibrate_noise(people[:1], [[Marks(1, 1, 1, 1), Marks(0, 0, 0, 1)]], 0.7, 0)
    with pytest.raises(ValueError, match="two completions"):
        calibrate_noise(people, [[Marks(1, 1, 1, 1)]], 0.7, 0)
