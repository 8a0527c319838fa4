"""What a reward model learns from, judgement by judgement: rankings, marks per criterion, and samples with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import torch

from assent.config.reward_model import RewardModelSettings
from assent.types.feedback import LabelKind, Ranking

Tokens = tuple[Sequence[int], Sequence[int]]  # of the prompt, of the completion


class Pair(NamedTuple):
    """Two completions of one example, by their places in it."""

    head: int  # which of the model's heads it teaches
    first: int
    second: int
    preference: float  # 1 the first is preferred, 0 the second, 0.5 a tie
    weight: float
    margin: float = 0.0  # in units of score


@dataclass(frozen=True)
class Example:
    """One judgement, or one sample. Its sequences are scored once, in one microbatch."""

    sequences: tuple[Tokens, ...]  # [K]
    pairs: tuple[Pair, ...] = ()
    ranks: tuple[int, ...] = ()  # [K] 1 is best, equal numbers tie
    marks: tuple[tuple[float | None, ...], ...] = ()  # [K][H] rewards, labels or marks; None where there is none
    weight: float = 1.0  # how much the judgement counts; pairs have it in theirs already

    @property
    def padded_tokens(self) -> int:
        """What it takes in a batch of its own."""
        return len(self.sequences) * max(len(prompt) + len(completion) for prompt, completion in self.sequences)


def example_of_ranking(
    ranking: Ranking, sequences: Mapping[int, Tokens], settings: RewardModelSettings, weight: float = 1.0
) -> Example | None:
    """What a ranking says in the terms of this loss; None if it says nothing that the loss has a notion of.

    Such are: a ranking that is one tie where ties are dropped; one that names no single best for best-of-k; one without
    a mark for any of the criteria that are to be learnt.

    Args:
        sequences: completion id -> its tokens.
        weight: how much the person's judgements count.
    """
    found = tuple(sequences[i] for i in ranking.completion_ids)
    if settings.loss == "regression":
        marks = tuple(tuple(mark.get(name) for name in settings.criteria) for mark in ranking.marks)
        return Example(found, marks=marks, weight=weight) if _any_mark(marks) else None
    if settings.loss == "best-of-k":
        return Example(found, ranks=ranking.ranks) if ranking.ranks.count(1) == 1 else None
    if settings.loss == "plackett-luce":
        return Example(found, ranks=ranking.ranks, weight=weight)
    pairs = _pairs_of_marks(ranking, settings) if settings.criteria else _pairs_of_ranks(ranking, settings)
    if settings.ties == "drop":
        pairs = [pair for pair in pairs if pair.preference != 0.5]
    heads = max(1, len(settings.criteria))
    count = {head: sum(pair.head == head for pair in pairs) for head in range(heads)}
    # Every ranking has the same say, however many pairs it makes (Ouyang et al. 2022, eq. 1).
    weighed = tuple(pair._replace(weight=weight / count[pair.head] / heads) for pair in pairs)
    return Example(found, pairs=weighed, ranks=ranking.ranks, weight=weight) if weighed else None


def examples_of_confidence(
    groups: Sequence[Sequence[Tokens]], scores: Sequence[Sequence[float]], confidence: float
) -> list[Example]:
    """Groups whose pairs the model itself has labelled where it is sure: P(first preferred) or its opposite.

    Args:
        groups: the completions of one prompt each.
        scores: the model's logits of them.
        confidence: from which on a pair is taken; groups without such a pair are left out.
    """
    found = []
    for sequences, logits in zip(groups, scores, strict=True):
        chances = [
            (i, j, float(torch.sigmoid(torch.tensor(logits[i] - logits[j], dtype=torch.float64))))
            for i, j in combinations(range(len(logits)), 2)
        ]
        sure = [(i, j, p > 0.5) for i, j, p in chances if max(p, 1.0 - p) >= confidence]
        if sure:
            pairs = tuple(Pair(0, i, j, float(first), 1.0 / len(sure)) for i, j, first in sure)
            found.append(Example(tuple(sequences), pairs=pairs))
    return found


def standardised(examples: Sequence[Example]) -> tuple[list[Example], list[float], list[float]]:
    """Examples whose marks have mean 0 and variance 1 per head, with the means and deviations that they had.

    A head begins near 0, so rewards in the hundreds would first be a loss in the ten thousands.

    Raises:
        ValueError: a head has no mark at all.
    """
    columns = list(zip(*(row for example in examples for row in example.marks), strict=True))
    means, stds = [], []
    for column in columns:
        given = torch.tensor([value for value in column if value is not None], dtype=torch.float64)
        if not len(given):
            raise ValueError("a head without a single mark cannot be fitted")
        means.append(float(given.mean()))
        stds.append(max(float(given.std(correction=0)), 1e-8))
    scaled = [
        Example(
            example.sequences,
            marks=tuple(
                tuple(
                    None if value is None else (value - mean) / std
                    for value, mean, std in zip(row, means, stds, strict=True)
                )
                for row in example.marks
            ),
            weight=example.weight,
        )
        for example in examples
    ]
    return scaled, means, stds


def tie_share(examples: Sequence[Example]) -> float:
    """The share of all pairs that are ties."""
    pairs = [pair for example in examples for pair in example.pairs]
    return sum(pair.preference == 0.5 for pair in pairs) / max(1, len(pairs))


def is_order_unknown(ranking: Ranking) -> bool:
    """True for a pick of the best, whose others are unordered: no order, and no tie either."""
    return ranking.label is LabelKind.BEST_OF_K


def _pairs_of_ranks(ranking: Ranking, settings: RewardModelSettings) -> list[Pair]:
    place = {completion: index for index, completion in enumerate(ranking.completion_ids)}
    pairs = []
    for pair in ranking.comparisons():
        first, second = place[pair.first_id], place[pair.second_id]
        apart = abs(ranking.ranks[first] - ranking.ranks[second])
        pairs.append(Pair(0, first, second, pair.preference, 1.0, settings.margin * apart))
    return pairs


def _pairs_of_marks(ranking: Ranking, settings: RewardModelSettings) -> list[Pair]:
    """For each criterion the pairs of completions that this person marked, which cancels how mild they are."""
    pairs = []
    for head, name in enumerate(settings.criteria):
        marked = [(index, mark[name]) for index, mark in enumerate(ranking.marks) if name in mark]
        for (i, first), (j, second) in combinations(marked, 2):
            preference = 0.5 if first == second else float(first > second)
            pairs.append(Pair(head, i, j, preference, 1.0, settings.margin * (first != second)))
    return pairs


def _any_mark(marks: Sequence[Sequence[float | None]]) -> bool:
    return any(value is not None for row in marks for value in row)
