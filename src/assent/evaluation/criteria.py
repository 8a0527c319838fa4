"""The gold judge's marks of a set of completions, per criterion."""

from __future__ import annotations

from collections.abc import Sequence

from assent.types.feedback import CRITERIA, Marks


def mean_marks(marks: Sequence[Marks]) -> dict[str, float]:
    """Means in [0, 1] of helpful, honest, harmless, fluency and overall.

    Raises:
        ValueError: no marks.
    """
    if not marks:
        raise ValueError("mean_marks needs at least one mark")
    names = (*CRITERIA, "fluency", "overall")
    return {name: sum(getattr(mark, name) for mark in marks) / len(marks) for name in names}
