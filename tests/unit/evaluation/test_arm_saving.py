"""What an arm saves, in worlds where it is known which tasks teach more."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from assent.evaluation import LabelSaving, arm_savings

Floats = NDArray[np.float64]
FEATURES = 8


def tasks(rng: np.random.Generator, count: int, sharpness: float, spread: float = 1.0) -> list[Floats]:
    """Pairs of completions whose quality is the sum of their features, judged with more or less chance."""
    apart = spread * rng.standard_normal((count, FEATURES))
    better = rng.random(count) < 1.0 / (1.0 + np.exp(-sharpness * apart.sum(axis=1)))
    return [row[None] for row in np.where(better[:, None], apart, -apart)]


def saving(rng: np.random.Generator, plain: list[Floats], chosen: list[Floats]) -> LabelSaving:
    found = arm_savings({"random": plain, "near-ties": chosen}, tasks(rng, 300, 3.0), 0, resamples=60)["near-ties"]
    assert isinstance(found, LabelSaving)
    return found


def test_tasks_that_tell_more_need_fewer_labels() -> None:
    rng = np.random.default_rng(0)
    found = saving(rng, tasks(rng, 160, 0.5), tasks(rng, 160, 4.0))
    assert found.ratio < 0.5 and found.high <= 1.0
    other = saving(rng, tasks(rng, 160, 4.0), tasks(rng, 160, 0.5))
    assert other.ratio > 1.5 and other.low >= 1.0


def test_the_same_kind_of_tasks_saves_nothing_in_nearly_all_worlds() -> None:
    inside = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = saving(rng, tasks(rng, 80, 1.0), tasks(rng, 80, 1.0))
        inside.append(found.low <= 1.0 <= found.high)
    assert sum(inside) >= 17


@pytest.mark.parametrize(("plainly", "chosen"), [(40, 160), (160, 40)])
def test_more_tasks_of_one_kind_make_no_saving(plainly: int, chosen: int) -> None:
    ratios = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        ratios.append(saving(rng, tasks(rng, plainly, 1.0), tasks(rng, chosen, 1.0)).ratio)
    assert 0.85 < float(np.median(ratios)) < 1.18


def test_tasks_that_people_call_alike_cost_labels_and_teach_nothing() -> None:
    ratios = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        half = [task if place % 4 == 0 else task[:0] for place, task in enumerate(tasks(rng, 200, 1.0))]
        ratios.append(saving(rng, tasks(rng, 200, 1.0), half).ratio)
    assert float(np.median(ratios)) > 1.3


def test_units_of_features_change_nothing_and_neither_do_features_that_are_all_the_same() -> None:
    found = []
    for units in (np.ones(FEATURES), np.logspace(-3, 3, FEATURES)):
        rng = np.random.default_rng(1)
        plain, chosen = ([row * units for row in tasks(rng, 40, sharpness)] for sharpness in (0.5, 4.0))
        plain, chosen = ([np.hstack([row, np.zeros((1, 3))]) for row in group] for group in (plain, chosen))
        known = [np.hstack([row * units, np.zeros((1, 3))]) for row in tasks(rng, 100, 3.0)]
        found.append(arm_savings({"random": plain, "uncertainty": chosen}, known, 0, resamples=20)["uncertainty"])
    assert isinstance(found[0], LabelSaving) and isinstance(found[1], LabelSaving)
    assert found[0].ratio == pytest.approx(found[1].ratio, rel=1e-6)


def test_where_it_cannot_be_told_the_reason_is_given() -> None:
    rng = np.random.default_rng(0)
    empty = [np.zeros((0, FEATURES))] * 50  # people called all of them equal
    plain = tasks(rng, 50, 1.0)
    found = arm_savings({"random": plain, "uncertainty": plain[:5] + empty, "near-ties": plain}, plain[:9], 0)
    assert (
        found["uncertainty"] == "too few tasks that people ordered (5 uncertainty, 9 held out; 16 of each are needed)"
    )
    assert found["near-ties"] == "too few tasks that people ordered (9 held out; 16 of each are needed)"
    assert arm_savings({"random": empty, "near-ties": empty}, empty, 0) == {"near-ties": "nobody preferred anything"}
