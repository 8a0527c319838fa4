"""Krippendorff's alpha: agreement beyond chance, over whatever people happened to rate, with its interval.

Alpha is 1 for perfect agreement, 0 for what chance would give, below 0 for less than that (Krippendorff 2011).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from assent.feedback.agreement import NOBODY_MET, TOO_FEW_PEOPLE, TaskKey, task_key
from assent.feedback.intervals import Floats, Interval
from assent.types.feedback import Ranking, marks_in_order

Level = Literal["nominal", "ordinal", "interval"]
ALL_ALIKE = "everybody gave the same value, so there is nothing to agree on beyond chance"


@dataclass(frozen=True)
class Alpha:
    """Krippendorff's alpha with its interval, or why there is none."""

    interval: Interval | None  # over groups of units, e.g. tasks
    units: int  # rated by two or more people
    people: int  # who rated anything
    level: Level
    reason: str = ""  # in words, where there is no interval

    def as_dict(self) -> dict[str, object]:
        """Ready for JSON."""
        interval = self.interval.as_dict() if self.interval else None
        return {
            "interval": interval,
            "units": self.units,
            "people": self.people,
            "level": self.level,
            "reason": self.reason,
        }


def krippendorff_alpha(
    ratings: ArrayLike,
    level: Level,
    seed: int = 0,
    groups: Sequence[int] | None = None,
    resamples: int = 1000,
) -> Alpha:
    """Alpha of ratings with any number of gaps, and a percentile interval that resamples groups of units.

    Args:
        ratings: [people, units], NaN where a person did not rate a unit.
        level: what differences mean: none but being different (nominal), places among all ratings (ordinal), or their
            squares (interval).
        seed: of the resampling.
        groups: [units] units of one group, e.g. completions of one task, are resampled together; none: each by itself.
        resamples: how many; those in which alpha is undefined are left out.

    Raises:
        ValueError: not [people, units], infinite ratings, or not one group per unit.
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or np.isinf(table).any():
        raise ValueError(f"ratings must be finite or NaN, [people, units], got shape {table.shape}")
    if groups is not None and len(groups) != table.shape[1]:
        raise ValueError(f"{table.shape[1]} units but {len(groups)} groups")
    domain = np.unique(table[~np.isnan(table)])
    counts = np.stack([(table == value).sum(axis=0) for value in domain], axis=1) if len(domain) else np.zeros((0, 0))
    people = int((~np.isnan(table)).any(axis=1).sum())
    pairable = counts.sum(axis=1) >= 2
    held = counts[pairable].astype(np.float64)
    if reason := _undefined(people, held):
        return Alpha(None, len(held), people, level, reason)
    places = np.arange(table.shape[1]) if groups is None else np.asarray(groups)
    _, group_of = np.unique(places[pairable], return_inverse=True)
    interval = _bootstrap(held, group_of, domain, level, seed, resamples)
    return Alpha(interval, len(held), people, level)


def ranking_alpha(rankings: Sequence[Ranking], seed: int = 0, resamples: int = 1000) -> Alpha:
    """Ordinal alpha of the ranks people gave. A unit is one completion in one task; the interval resamples tasks.

    Rankings are of the same task if they are of the same prompt and the same completions.
    """
    cells = [
        (ranking.person_id, task_key(ranking), completion, float(rank))
        for ranking in rankings
        for completion, rank in zip(ranking.completion_ids, ranking.ranks, strict=True)
    ]
    return _of_cells(cells, "ordinal", seed, resamples)


def mark_alphas(
    rankings: Sequence[Ranking], level: Level = "interval", seed: int = 0, resamples: int = 1000
) -> dict[str, Alpha]:
    """Alpha of the marks for each criterion, by its name. A unit is one completion in one task.

    Criteria that nobody was asked about are not in.
    """
    names = marks_in_order({name for ranking in rankings for marks in ranking.marks for name in marks})
    found = {}
    for name in names:
        cells = [
            (ranking.person_id, task_key(ranking), completion, float(marks[name]))
            for ranking in rankings
            for completion, marks in zip(ranking.completion_ids, ranking.marks, strict=False)
            if name in marks
        ]
        found[name] = _of_cells(cells, level, seed, resamples)
    return found


def _of_cells(cells: Sequence[tuple[int, TaskKey, int, float]], level: Level, seed: int, resamples: int) -> Alpha:
    """Alpha of (person, task, completion, value); who judges a task twice counts with the last value."""
    people = {person: row for row, person in enumerate(sorted({person for person, *_ in cells}))}
    tasks: dict[TaskKey, int] = {}
    units: dict[tuple[int, int], int] = {}
    for _, task, completion, _ in cells:
        units.setdefault((tasks.setdefault(task, len(tasks)), completion), len(units))
    table = np.full((len(people), len(units)), np.nan)
    for person, task, completion, value in cells:
        table[people[person], units[tasks[task], completion]] = value
    return krippendorff_alpha(table, level, seed, [task for task, _ in units], resamples)


def _undefined(people: int, counts: Floats) -> str:
    if people < 2:
        return TOO_FEW_PEOPLE
    if not len(counts):
        return NOBODY_MET
    return ALL_ALIKE if (counts.sum(axis=0) > 0).sum() < 2 else ""


def _bootstrap(counts: Floats, groups: ArrayLike, domain: Floats, level: Level, seed: int, resamples: int) -> Interval:
    """The alpha of `counts` [units, values], and its percentiles when groups are drawn again (Efron 1979)."""
    group_of = np.asarray(groups)
    number = int(group_of.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        weights = np.bincount(rng.integers(number, size=number), minlength=number)[group_of]
        value = _alpha(counts, weights.astype(np.float64), domain, level)
        if not np.isnan(value):
            drawn.append(value)
    alpha = _alpha(counts, np.ones(len(counts)), domain, level)
    # One group has nothing to vary with and says nothing of the others that might have been judged.
    low, high = np.quantile(drawn, (0.025, 0.975)) if number > 1 and drawn else (min(alpha, -1.0), 1.0)
    return Interval(alpha, float(low), float(high), number)


def _alpha(counts: Floats, weights: Floats, domain: Floats, level: Level) -> float:
    """1 - observed over expected disagreement (Krippendorff 2011); NaN where only one value was given."""
    raters = counts.sum(axis=1)
    scaled = counts * (weights / (raters - 1.0))[:, None]
    met = counts.T @ scaled - np.diag(scaled.sum(axis=0))  # how often each two values met in a unit
    totals = met.sum(axis=1)
    if (totals > 0).sum() < 2:
        return float("nan")
    distance = _distances(totals, domain, level)
    expected = totals @ distance @ totals / (totals.sum() - 1.0)
    return float(1.0 - (met * distance).sum() / expected)


def _distances(totals: Floats, domain: Floats, level: Level) -> Floats:
    """Squared distances [V, V] between values; ordinal ones lie apart by the ratings between them."""
    if level == "nominal":
        return 1.0 - np.eye(len(domain))
    places = np.cumsum(totals) - totals / 2 if level == "ordinal" else domain
    distance: Floats = (places[:, None] - places[None, :]) ** 2
    return distance
