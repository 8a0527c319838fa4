"""The gold judge's marks of a set of completions, per criterion."""

from __future__ import annotations

from collections.abc import Sequence

from assent.types.feedback import AnyMarks, all_marks


def mean_marks(marks: Sequence[AnyMarks]) -> dict[str, float]:
    """Means in [0, 1] of each criterion, of fluency and of overall.

    Raises:
        ValueError: no marks.
    """
    if not marks:
        raise ValueError("mean_marks needs at least one mark")
    named = [all_marks(mark) for mark in marks]
    return {name: sum(each[name] for each in named) / len(named) for name in named[0]}
