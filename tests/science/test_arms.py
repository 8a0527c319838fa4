"""What choosing the tasks saves, measured: labels that an arm needs for the accuracy that chance reaches."""

from __future__ import annotations

import math

import pytest

from benchmarks.arms import Plan, measure

FULL = pytest.param(Plan(), marks=pytest.mark.slow, id="full")
SHORT = pytest.param(Plan((40, 80, 160), 4, at=80, arms=("random", "uncertainty")), id="short")


@pytest.mark.parametrize("plan", [FULL, SHORT])
def test_labels_saved_by_each_arm(plan: Plan) -> None:
    found = measure(plan)
    print("\n" + "\n".join(found.lines()))
    plain = found.accuracies["random"]
    means = [sum(column) / len(column) for column in zip(*plain, strict=True)]
    assert means[-1] > means[0] + 0.03, "more labels must help, or nothing can be saved"
    for arm, rows in found.accuracies.items():
        assert len(rows) == plan.seeds and all(len(row) == len(plan.sizes) for row in rows)
        if arm != "random":
            saving = found.saving(arm)
            assert math.isfinite(saving.ratio) and saving.low <= saving.ratio <= saving.high
            assert rows != plain, "the arm must have chosen something else"
