"""How far people agree: the ceiling that a reward model trained on them can be measured against."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from assent.feedback.intervals import Floats, Interval, bootstrap_mean
from assent.types.feedback import Judgement, Ranking

TaskKey = tuple[int, tuple[int, ...]]


@dataclass(frozen=True)
class Agreement:
    """The share of strict pairs on which two people agree, with its interval; or why there is none."""

    interval: Interval | None  # over tasks; None where nobody overlaps
    pairs: int  # (pair of people) x (pair of completions) that both of them ranked strictly
    tasks: int  # with at least one such pair
    reason: str = ""  # in words, where there is no interval

    def as_dict(self) -> dict[str, object]:
        """Ready for JSON."""
        interval = self.interval.as_dict() if self.interval else None
        return {"interval": interval, "pairs": self.pairs, "tasks": self.tasks, "reason": self.reason}


@dataclass(frozen=True)
class _Meeting:
    """Two people, one pair of completions that both ranked strictly."""

    task: int
    people: tuple[int, int]
    agree: bool


def pairwise_agreement(rankings: Sequence[Ranking], seed: int, resamples: int = 1000) -> Agreement:
    """The share of strict pairs of completions on which two different people who judged the same task agree.

    Pairs that either of the two calls a tie are left out. The interval resamples tasks. Rankings are of the same task
    if they are of the same prompt and the same completions.
    """
    meetings = list(_meetings(rankings))
    if not meetings:
        overlapping = any(len(group) > 1 for group in _by_task(rankings).values())
        reason = "two people never both ranked a pair strictly" if overlapping else "no task was judged by two people"
        return Agreement(None, 0, 0, reason)
    tasks = [meeting.task for meeting in meetings]
    interval = bootstrap_mean([float(meeting.agree) for meeting in meetings], tasks, seed, resamples)
    return Agreement(interval, len(meetings), len(set(tasks)))


def agreement_by_person(rankings: Sequence[Ranking], seed: int, resamples: int = 1000) -> dict[int, Interval]:
    """For each person who met another on a task: how often they agreed with the others; intervals over tasks.

    Careless people lie near one half, adversarial ones below.
    """
    rows: dict[int, list[_Meeting]] = defaultdict(list)
    for meeting in _meetings(rankings):
        for person in meeting.people:
            rows[person].append(meeting)
    return {
        person: bootstrap_mean([float(m.agree) for m in met], [m.task for m in met], seed, resamples)
        for person, met in sorted(rows.items())
    }


def agreement_counts(rankings: Sequence[Ranking]) -> dict[tuple[int, int], tuple[int, int]]:
    """For each two people (smaller id first) who met on a task: (strict pairs on which they agreed, all of them)."""
    counts: dict[tuple[int, int], tuple[int, int]] = {}
    for meeting in _meetings(rankings):
        people = (min(meeting.people), max(meeting.people))
        agreed, met = counts.get(people, (0, 0))
        counts[people] = (agreed + meeting.agree, met + 1)
    return counts


def side_bias(judgements: Sequence[Judgement], seed: int, resamples: int = 1000) -> Interval | None:
    """How often what was shown first is preferred to another completion; one half if the order does not matter.

    Over all strict pairs that hold the completion shown first; the interval resamples judgements. None if there
    are no such pairs.
    """
    wins: list[float] = []
    groups: list[int] = []
    for index, judgement in enumerate(judgements):
        first, *others = judgement.order_shown
        for other in others:
            if judgement.ranks[first] != judgement.ranks[other]:
                wins.append(float(judgement.ranks[first] < judgement.ranks[other]))
                groups.append(index)
    return bootstrap_mean(wins, groups, seed, resamples) if wins else None


def krippendorff_alpha_ordinal(ratings: ArrayLike) -> float | None:
    """Krippendorff's alpha for ordinal ratings (Krippendorff 2011): 1 perfect, 0 chance, below 0 worse than chance.

    Args:
        ratings: [people, units], NaN where a person did not rate a unit; larger is more, by any scale.

    Returns:
        Alpha, or None where it is undefined: no unit was rated twice, or all such ratings are the same.
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"ratings must be [people, units], got shape {table.shape}")
    domain = np.unique(table[~np.isnan(table)])
    counts = (table[:, :, None] == domain).sum(axis=0).astype(np.float64)  # [units, values]
    counts = counts[counts.sum(axis=1) >= 2]
    totals = counts.sum(axis=0)
    if not len(counts) or (totals > 0).sum() < 2:
        return None
    distance = _ordinal_distance(totals)
    raters = counts.sum(axis=1)
    within = np.einsum("uc,ck,uk->u", counts, distance, counts) / (raters - 1)
    observed = within.sum()
    expected = totals @ distance @ totals / (totals.sum() - 1)
    return float(1.0 - observed / expected)


def ranking_alpha(rankings: Sequence[Ranking]) -> float | None:
    """Krippendorff's ordinal alpha of the ranks that people gave; a unit is one completion in one task.

    None where it is undefined (see `krippendorff_alpha_ordinal`).
    """
    people = {person: row for row, person in enumerate(sorted({ranking.person_id for ranking in rankings}))}
    units: dict[tuple[TaskKey, int], int] = {}
    cells: list[tuple[int, int, int]] = []
    for ranking in rankings:
        for completion, rank in zip(ranking.completion_ids, ranking.ranks, strict=True):
            unit = units.setdefault((_task_key(ranking), completion), len(units))
            cells.append((people[ranking.person_id], unit, rank))
    if not cells:
        return None
    table = np.full((len(people), len(units)), np.nan)
    for row, column, rank in cells:
        table[row, column] = rank
    return krippendorff_alpha_ordinal(table)


def _ordinal_distance(totals: Floats) -> Floats:
    """Squared distances [V, V]: values lie apart by the number of ratings between them, the ends counted half."""
    middle = np.cumsum(totals) - totals / 2
    distance: Floats = (middle[:, None] - middle[None, :]) ** 2
    return distance


def _task_key(ranking: Ranking) -> TaskKey:
    return ranking.prompt_id, tuple(sorted(ranking.completion_ids))


def _by_task(rankings: Sequence[Ranking]) -> dict[TaskKey, list[Ranking]]:
    tasks: dict[TaskKey, list[Ranking]] = defaultdict(list)
    for ranking in rankings:
        tasks[_task_key(ranking)].append(ranking)
    return tasks


def _strict(ranking: Ranking) -> Mapping[tuple[int, int], bool]:
    """(smaller completion id, larger) -> whether the former is preferred; pairs left open are not in."""
    preferences: dict[tuple[int, int], bool] = {}
    for pair in ranking.comparisons():
        if pair.preference != 0.5:
            oriented = pair if pair.first_id < pair.second_id else pair.swapped()
            preferences[oriented.first_id, oriented.second_id] = oriented.preference == 1.0
    return preferences


def _meetings(rankings: Sequence[Ranking]) -> Iterator[_Meeting]:
    for task, group in enumerate(_by_task(rankings).values()):
        said = [(ranking.person_id, _strict(ranking)) for ranking in group] if len(group) > 1 else []
        for (one, of_one), (other, of_other) in combinations(said, 2):
            if one != other:
                for pair in of_one.keys() & of_other.keys():
                    yield _Meeting(task, (one, other), of_one[pair] == of_other[pair])
