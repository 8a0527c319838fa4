"""What a user's own marks function may give."""

from __future__ import annotations

from typing import Any

import pytest

from assent.stages.project import read_marks
from assent.types.errors import DataError
from assent.types.feedback import Marks


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (0.25, Marks(0.25, 0.25, 0.25, 1.0)),
        ({"helpful": 0.1, "honest": 0.2, "harmless": 0.3}, Marks(0.1, 0.2, 0.3, 1.0)),
        ({"helpful": 0, "honest": 1, "harmless": 0.3, "fluency": 0.4}, Marks(0.0, 1.0, 0.3, 0.4)),
        (Marks(0.1, 0.2, 0.3, 0.4), Marks(0.1, 0.2, 0.3, 0.4)),
    ],
)
def test_a_number_a_mapping_or_marks(given: Any, read: Marks) -> None:
    assert read_marks(given, "own:marks") == read


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"helpful": 0.1, "harmless": 0.3}, "no honest"),
        ({}, "no helpful, honest, harmless"),
        ({"helpful": 0.1, "honest": 0.2, "harmless": 0.3, "fluent": 0.4}, "unknown 'fluent'"),
        ("good", "gave 'good'"),
        (None, "gave None"),
        (1.5, r"gave 1\.5"),
        (float("nan"), "gave nan"),
    ],
)
def test_anything_else_is_refused_by_name(given: Any, message: str) -> None:
    with pytest.raises(DataError, match=rf"people\.marks own:marks .*{message}") as caught:
        read_marks(given, "own:marks")
    assert caught.value.hint
