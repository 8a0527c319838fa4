"""Judgements as pairwise answers in arrays, the form in which models of people are fitted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assent.feedback.influence import capped_weights
from assent.feedback.intervals import Floats
from assent.types.feedback import JudgedTask

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """Who preferred which of two items, and which of them was shown first. Items are completions, people are rows.

    Raises:
        ValueError: lengths that differ, an index out of range, an item against itself, a preference other than
            0, 0.5 and 1, or a negative weight.
    """

    people: Ints  # [N] index into person_ids
    first: Ints  # [N] index into item_ids: what was shown first
    second: Ints  # [N]
    preference: Floats  # [N] 1 the first is preferred, 0 the second, 0.5 a tie
    weight: Floats  # [N] how many answers it counts as
    person_ids: tuple[int, ...]  # [P]
    item_ids: tuple[int, ...]  # [I]

    def __post_init__(self) -> None:
        columns = (self.people, self.first, self.second, self.preference, self.weight)
        if len({len(column) for column in columns}) != 1:
            raise ValueError(f"answers need columns of one length, got {[len(column) for column in columns]}")
        for column, known in zip(columns[:3], (self.person_ids, self.item_ids, self.item_ids), strict=True):
            if len(column) and not 0 <= column.min() <= column.max() < len(known):
                raise ValueError(f"an index lies outside 0..{len(known) - 1}")
        if (self.first == self.second).any():
            raise ValueError("an item is compared with itself")
        if not np.isin(self.preference, (0.0, 0.5, 1.0)).all() or (self.weight < 0).any():
            raise ValueError("a preference is 0, 0.5 or 1, and a weight at least 0")

    def __len__(self) -> int:
        return len(self.people)

    @classmethod
    def of(
        cls,
        people: ArrayLike,
        first: ArrayLike,
        second: ArrayLike,
        preference: ArrayLike,
        weight: ArrayLike | None = None,
        person_ids: Sequence[int] | None = None,
        item_ids: Sequence[int] | None = None,
    ) -> Answers:
        """From columns of person ids and item ids; ids listed beyond those that occur are people without answers.

        Raises:
            ValueError: an id that is not among those listed, or what the class refuses.
        """
        given = [np.asarray(column, dtype=np.int64).reshape(-1) for column in (people, first, second)]
        persons = tuple(int(i) for i in (np.unique(given[0]) if person_ids is None else person_ids))
        items = tuple(int(i) for i in (np.unique(np.concatenate(given[1:])) if item_ids is None else item_ids))
        likes = np.asarray(preference, dtype=np.float64).reshape(-1)
        counts = np.ones(len(likes)) if weight is None else np.asarray(weight, dtype=np.float64).reshape(-1)
        return cls(
            _places(given[0], persons),
            _places(given[1], items),
            _places(given[2], items),
            likes,
            counts,
            persons,
            items,
        )

    def swapped(self) -> Answers:
        """The same answers had everything been shown the other way round."""
        return replace(self, first=self.second, second=self.first, preference=1.0 - self.preference)

    def some(self, rows: NDArray[np.bool_] | Ints) -> Answers:
        """These answers only; people and items keep their places."""
        columns = {name: getattr(self, name)[rows] for name in ("people", "first", "second", "preference", "weight")}
        return replace(self, **columns)

    def weight_of_people(self) -> Floats:
        """Answers that each person gave, by weight, [P]."""
        return np.bincount(self.people, self.weight, len(self.person_ids)).astype(np.float64)

    def capped(self, cap: float) -> Answers:
        """With no person's share of the weight over `cap` times an equal share, see `capped_weights`."""
        given = self.weight_of_people()
        ids = range(len(given))
        factors = capped_weights(dict.fromkeys(ids, 1.0), dict(zip(ids, given.tolist(), strict=True)), cap)
        return replace(self, weight=self.weight * np.array([factors[i] for i in ids])[self.people])


def answers_of(judged: Iterable[JudgedTask], person_ids: Sequence[int] | None = None) -> Answers:
    """All pairs that people ranked, each as it was shown.

    The pairs of a ranking of K completions hang together: each counts 2/K, so that a ranking counts as K - 1 answers,
    as many as Plackett and Luce would see choices in it.

    Args:
        judged: in any order.
        person_ids: who is to have a row; none: all who judged.
    """
    columns: list[tuple[int, int, int, float, float]] = []
    for each in judged:
        ranking = each.ranking
        place = {ranking.completion_ids[index]: place for place, index in enumerate(each.order_shown)}
        for pair in ranking.comparisons():
            shown = pair if place[pair.first_id] < place[pair.second_id] else pair.swapped()
            weight = 2.0 / len(ranking.ranks)
            columns.append((ranking.person_id, shown.first_id, shown.second_id, shown.preference, weight))
    people, first, second, preference, weights = zip(*columns, strict=True) if columns else ((),) * 5
    return Answers.of(people, first, second, preference, weights, person_ids)


def _places(ids: Ints, known: tuple[int, ...]) -> Ints:
    order = np.argsort(known, kind="stable") if known else np.empty(0, dtype=np.int64)
    listed = np.asarray(known, dtype=np.int64)[order]
    at = np.minimum(np.searchsorted(listed, ids), max(len(listed) - 1, 0))
    if len(ids) and (not len(listed) or (listed[at] != ids).any()):
        raise ValueError("an id is not among those listed")
    places: Ints = order[at].astype(np.int64) if len(ids) else np.empty(0, dtype=np.int64)
    return places
