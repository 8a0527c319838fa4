"""How often a new policy is preferred to an old one: ties count half, intervals resample prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assent.feedback.intervals import (
    Floats,
    Interval,
    bootstrap_mean,
    bootstrap_statistic,
    group_sums,
    ratio_of_totals,
    widen_if_flat,
)
from assent.types.seeds import derive_seed


def gold_win_rate(
    new: Sequence[float], old: Sequence[float], prompt_index: Sequence[int], seed: int, resamples: int = 2000
) -> Interval:
    """The share of pairs in which the gold judge marks the new policy's completion higher.

    Args:
        new: [N] marks of the new policy's completions.
        old: [N] marks of the old one's on the same prompts.
        prompt_index: [N] which prompt; pairs of one prompt are resampled together.
        seed: of the bootstrap.
        resamples: of the bootstrap.

    Raises:
        ValueError: no pairs, lengths that differ, or non-finite marks.
    """
    if not len(new) == len(old) == len(prompt_index):
        raise ValueError(f"gold_win_rate got {len(new)} new, {len(old)} old marks and {len(prompt_index)} prompts")
    ours, theirs = np.asarray(new, dtype=np.float64), np.asarray(old, dtype=np.float64)
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError("gold_win_rate needs finite marks")
    wins = np.where(ours == theirs, 0.5, (ours > theirs).astype(np.float64))
    return bootstrap_mean(wins, prompt_index, seed, resamples)


@dataclass(frozen=True)
class PairVote:
    """One person's judgement of a pair, read from the new policy's side."""

    prompt_id: int
    pair_id: int  # the task
    new_won: float  # 1.0, or 0.5 for a tie, or 0.0
    new_first: bool  # the new policy's completion was the one shown first

    @property
    def first_won(self) -> float:
        """1.0 if what was shown first won, 0.5 for a tie."""
        return self.new_won if self.new_first else 1.0 - self.new_won


def pair_vote(
    prompt_id: int, pair_id: int, ranks: Sequence[int], order_shown: Sequence[int], new_index: int
) -> PairVote:
    """Read a judgement of two completions.

    Args:
        prompt_id: of the pair.
        pair_id: the task's id.
        ranks: [2] in the task's own order, 1 is best, equal numbers tie.
        order_shown: [2] indices into the task's completions, first shown first.
        new_index: which of the two the new policy wrote.

    Raises:
        ValueError: not a pair.
    """
    if len(ranks) != 2 or sorted(order_shown) != [0, 1] or new_index not in (0, 1):
        raise ValueError(f"pair {pair_id}: not a pair: ranks {ranks}, order {order_shown}, new {new_index}")
    ours, theirs = ranks[new_index], ranks[1 - new_index]
    return PairVote(prompt_id, pair_id, 0.5 if ours == theirs else float(ours < theirs), order_shown[0] == new_index)


@dataclass(frozen=True)
class PeopleWinRate:
    """What people say of new against old, with what is needed to trust it."""

    interval: Interval  # the share of pairs won by the new policy, order balanced, over prompts
    first_shown: Interval | None  # how often what was shown first won; one half if order does not matter
    new_first_share: float  # of votes: how often the new policy's completion was shown first
    votes: int
    pairs: int
    ties: int

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "interval": self.interval.as_dict(),
            "first_shown": self.first_shown.as_dict() if self.first_shown else None,
            "new_first_share": self.new_first_share,
            "votes": self.votes,
            "pairs": self.pairs,
            "ties": self.ties,
        }


def people_win_rate(votes: Sequence[PairVote], seed: int, resamples: int = 2000) -> PeopleWinRate:
    """The share of pairs in which people prefer the new policy; every pair weighs the same, however many judged it.

    The win rate when the new completion came first and the one when it came second are averaged with equal weight,
    so a liking for either side cancels even where chance showed one policy first more often.

    Raises:
        ValueError: no votes.
    """
    if not votes:
        raise ValueError("people_win_rate needs at least one vote")
    per_pair = Counter(vote.pair_id for vote in votes)
    rows = np.zeros((len(votes), 4))
    for row, vote in zip(rows, votes, strict=True):
        side = 0 if vote.new_first else 2
        row[side], row[side + 1] = vote.new_won / per_pair[vote.pair_id], 1.0 / per_pair[vote.pair_id]
    prompts = [vote.prompt_id for vote in votes]
    sums, _ = group_sums(rows, prompts)
    value, low, high = bootstrap_statistic(sums, _order_balanced, derive_seed(seed, "people"), resamples)
    strict = [vote for vote in votes if vote.new_won != 0.5]
    return PeopleWinRate(
        interval=widen_if_flat(value, low, high, len(sums)),
        first_shown=bootstrap_mean(
            [vote.first_won for vote in strict],
            [vote.prompt_id for vote in strict],
            derive_seed(seed, "first shown"),
            resamples,
        )
        if strict
        else None,
        new_first_share=sum(vote.new_first for vote in votes) / len(votes),
        votes=len(votes),
        pairs=len(per_pair),
        ties=len(votes) - len(strict),
    )


def _order_balanced(totals: Floats) -> Floats:
    """[R, 4] (won, weight) with new first, then with new second -> [R]; a side nobody saw is left out."""
    sides = np.stack([ratio_of_totals(totals[:, :2]), ratio_of_totals(totals[:, 2:])])
    seen = ~np.isnan(sides)
    result: Floats = np.where(seen, sides, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return result
