"""What judgements depend on but should not: being shown first, being longer, and the day on which one is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from assent.feedback.agreement import TaskKey, strict_preferences, task_key
from assent.feedback.intervals import Interval, bootstrap_mean
from assent.types.feedback import Comparison, JudgedTask


def first_wins(judged: Sequence[JudgedTask], seed: int, resamples: int = 1000) -> Interval | None:
    """How often what was shown first is preferred to another completion; one half if the order does not matter.

    Over all strict pairs that hold the completion shown first; the interval resamples judgements. None if there is
    no such pair.
    """

    def first(each: JudgedTask, pair: Comparison) -> float | None:
        shown = each.ranking.completion_ids[each.order_shown[0]]
        return pair.preference if pair.first_id == shown else 1.0 - pair.preference if pair.second_id == shown else None

    return _share(judged, first, seed, resamples)


def longer_wins(judged: Sequence[JudgedTask], seed: int, resamples: int = 1000) -> Interval | None:
    """How often the completion of more words is preferred, over all strict pairs of different lengths.

    It is a bias only as far as longer completions are no better. The interval resamples judgements; None where nothing
    can be compared, or lengths are not known.
    """

    def longer(each: JudgedTask, pair: Comparison) -> float | None:
        words = dict(zip(each.ranking.completion_ids, each.lengths, strict=False))
        difference = words.get(pair.first_id, 0) - words.get(pair.second_id, 0)
        return None if difference == 0 else pair.preference if difference > 0 else 1.0 - pair.preference

    return _share(judged, longer, seed, resamples)


def self_consistency(judged: Iterable[JudgedTask], seed: int, resamples: int = 1000) -> Interval | None:
    """How often people who judged the same completions twice preferred the same one of two again.

    Over pairs ranked strictly both times; the interval resamples repetitions. None where nobody judged anything twice.
    """
    by_person: dict[tuple[int, TaskKey], list[JudgedTask]] = defaultdict(list)
    for each in judged:
        by_person[each.ranking.person_id, task_key(each.ranking)].append(each)
    same: list[float] = []
    groups: list[int] = []
    repetitions = [pair for held in by_person.values() for pair in pairwise(held)]
    for number, (before, after) in enumerate(repetitions):
        once, again = strict_preferences(before.ranking), strict_preferences(after.ranking)
        for pair in sorted(once.keys() & again.keys()):
            same.append(float(once[pair] == again[pair]))
            groups.append(number)
    return bootstrap_mean(same, groups, seed, resamples) if same else None


def _share(
    judged: Sequence[JudgedTask], wins: Callable[[JudgedTask, Comparison], float | None], seed: int, resamples: int
) -> Interval | None:
    """The mean of what `wins` says of strict pairs, with an interval over judgements."""
    values: list[float] = []
    groups: list[int] = []
    for number, each in enumerate(judged):
        for pair in each.ranking.comparisons():
            if pair.preference != 0.5 and (won := wins(each, pair)) is not None:
                values.append(won)
                groups.append(number)
    return bootstrap_mean(values, groups, seed, resamples) if values else None
