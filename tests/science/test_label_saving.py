"""Self-supervised help for the reward model, measured: how many labels it saves, which may well be none.

The full version is the benchmark with its own plan; it prints the figures that `docs/reward-models.md` gives. What is
checked is that the measurement means something: more labels help, and every saving has an interval.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.labels import PLAIN, Measured, Plan, measure


def check(found: Measured) -> None:
    print("\n" + "\n".join(found.lines()))
    plain = found.accuracies[PLAIN]
    means = [sum(column) / len(column) for column in zip(*plain, strict=True)]
    assert means[-1] > means[0] + 0.03, "the plain way must learn from more labels, or nothing can be saved"
    assert means[-1] > 0.55
    for way, rows in found.accuracies.items():
        assert len(rows) == found.plan.seeds and all(len(row) == len(found.plan.sizes) for row in rows)
        if way != PLAIN:
            saving = found.saving(way)
            assert math.isfinite(saving.ratio) and saving.low <= saving.ratio <= saving.high
            assert rows != plain, "the help must have changed the training"


@pytest.mark.slow
def test_labels_saved(tmp_path: Path) -> None:
    check(measure(Plan(), tmp_path))
