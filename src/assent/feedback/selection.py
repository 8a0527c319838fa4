"""Which completions people are asked about next: some at random, always, and others by what they might teach.

Choosing what the reward model is unsure of can save labels, and often does not (reports range from many times fewer
labels to none saved); so a share stays random, each task records which arm chose it, and the saving is to be measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np

from assent.types.seeds import derive_seed

Arm = Literal["random", "uncertainty", "near-ties", "new-against-old"]
ARMS: tuple[Arm, ...] = get_args(Arm)


@dataclass(frozen=True)
class Candidate:
    """Completions that people might be asked to rank. Of the candidates of one place only one is ever chosen."""

    place: int
    completion_ids: tuple[int, ...]  # [K]
    scores: tuple[tuple[float, ...], ...] = ()  # [M][K] by each member of the reward model; none without one
    authors: tuple[str, ...] = ()  # [K] policies; none where they do not matter


@dataclass(frozen=True)
class Chosen:
    """A candidate and the arm that chose it."""

    candidate: Candidate
    arm: Arm


def worth(candidate: Candidate, arm: Arm) -> float | None:
    """How much this arm wants the candidate; None where the arm cannot say. Means over the pairs of completions.

    Uncertainty: the standard deviation, over the members of the reward model, of the difference of two scores.
    Near-ties: less the distance of the members' mean scores. New-against-old: the share of pairs by two policies.
    """
    pairs = list(combinations(range(len(candidate.completion_ids)), 2))
    scores = np.asarray(candidate.scores, dtype=np.float64)
    if arm == "random":
        return 0.0
    if arm == "new-against-old":
        mixed = [candidate.authors[i] != candidate.authors[j] for i, j in pairs] if candidate.authors else []
        return sum(mixed) / len(pairs) if any(mixed) else None
    if len(scores) < (2 if arm == "uncertainty" else 1):
        return None
    apart = np.stack([scores[:, i] - scores[:, j] for i, j in pairs], axis=1)  # [M, pairs]
    return float(apart.std(axis=0).mean()) if arm == "uncertainty" else -float(np.abs(apart.mean(axis=0)).mean())


def shares_of_arms(count: int, shares: Mapping[Arm, float]) -> dict[Arm, int]:
    """How many of `count` tasks each arm chooses: whole numbers nearest the shares, by largest remainder.

    Raises:
        ValueError: an unknown arm, a negative share, or none for the random one.
    """
    if set(shares) - set(ARMS) or min(shares.values(), default=0.0) < 0 or not shares.get("random", 0.0) > 0:
        raise ValueError(f"shares must be of {', '.join(ARMS)}, at least 0, and above 0 for random, got {dict(shares)}")
    total = sum(shares.values())
    wanted = {arm: count * shares.get(arm, 0.0) / total for arm in ARMS}
    found = {arm: int(amount) for arm, amount in wanted.items()}
    by_rest = sorted(ARMS, key=lambda arm: (found[arm] - wanted[arm], ARMS.index(arm)))
    for arm in by_rest[: count - sum(found.values())]:
        found[arm] += 1
    return found


def choose(candidates: Sequence[Candidate], count: int, shares: Mapping[Arm, float], seed: int) -> list[Chosen]:
    """Choose `count` places, by place. The random arm goes first, so that it draws from all there are, the first
    candidate of a place each; the others take what they want most of the rest, equals in a random order. What an arm
    cannot choose, as nobody could tell it what to want, the random arm does, and it is recorded as random.

    Args:
        candidates: the first of a place is the one that the random arm asks about.
        count: how many tasks.
        shares: of the arms, e.g. {"random": 0.5, "uncertainty": 0.5}.
        seed: of all chance in it; equal arguments choose alike.

    Raises:
        ValueError: fewer places than tasks, or shares that are none.
    """
    quota = shares_of_arms(count, shares)
    by_place: dict[int, list[Candidate]] = {}
    for each in candidates:
        by_place.setdefault(each.place, []).append(each)
    if count > len(by_place):
        raise ValueError(f"{count} tasks are wanted, but there are {len(by_place)} places to choose from")
    rng = np.random.default_rng(derive_seed(seed, "arms"))
    order = [sorted(by_place)[i] for i in rng.permutation(len(by_place))]
    chosen = [Chosen(by_place[place][0], "random") for place in order[: quota["random"]]]
    left = order[quota["random"] :]
    for arm in ARMS[1:]:
        wanted = [found for place in left if (found := _best(by_place[place], arm)) is not None]
        taken = sorted(wanted, key=lambda found: -found[0])[: quota[arm]]
        chosen += [Chosen(candidate, arm) for _, candidate in taken]
        gone = {candidate.place for _, candidate in taken}
        left = [place for place in left if place not in gone]
    chosen += [Chosen(by_place[place][0], "random") for place in left[: count - len(chosen)]]
    return sorted(chosen, key=lambda each: each.candidate.place)


def _best(candidates: Sequence[Candidate], arm: Arm) -> tuple[float, Candidate] | None:
    """The candidate of a place that an arm wants most, and how much."""
    wanted = [(value, each) for each in candidates if (value := worth(each, arm)) is not None]
    return max(wanted, key=lambda found: found[0]) if wanted else None
