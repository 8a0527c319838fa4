"""What a task's judgements say as pairs: each person's, or the majority's; of the whole, or of one criterion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from assent.store.records import TaskRecord, Verdict
from assent.types.feedback import LabelKind, Ranking, ranks_from_utilities

Votes = Literal["each", "majority"]
Ties = Literal["drop", "both"]


@dataclass(frozen=True)
class Said:
    """Preferences over the pairs of a task's completions, by one person or by the majority."""

    preferences: tuple[tuple[int, int, float], ...]  # (first, second, 1 the first is better, 0 the second, 0.5 a tie)
    verdict: Verdict | None  # None: the majority's

    def scores(self, count: int) -> list[float]:
        """For each of `count` completions: one, and one more for each that it beats, half of one for each tie."""
        points = [1.0] * count
        for first, second, preference in self.preferences:
            points[first] += preference
            points[second] += 1.0 - preference
        return points


@dataclass
class Tally:
    """What an export read, and what of it it left out and why."""

    tasks: int = 0
    judgements: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)  # judgements by kind of person
    purposes: Counter[str] = field(default_factory=Counter)  # tasks
    policies: set[str] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    ties: int = 0  # pairs
    left_out: Counter[str] = field(default_factory=Counter)
    agreed: int = 0  # (pair of people) x (pair of completions) that both ranked strictly, and alike
    met: int = 0  # all of them

    def note(self, task: TaskRecord, again: bool = False) -> None:
        """Count a task and its judgements; `again` if the task was counted with other judgements of it."""
        self.judgements += len(task.verdicts)
        self.by_kind.update(verdict.person.kind.value for verdict in task.verdicts)
        if not again:
            self.tasks += 1
            self.purposes[task.purpose] += 1
        self.policies.update(each.policy_version for each in task.completions)
        if task.source is not None:
            self.runs.add(task.source.id)
        for one, other in combinations(task.verdicts, 2):
            self._meet(task.label, one, other)

    def _meet(self, label: LabelKind, one: Verdict, other: Verdict) -> None:
        theirs = {(first, second): preference for first, second, preference in pairs(label, other.judgement.ranks)}
        for first, second, preference in pairs(label, one.judgement.ranks):
            strict = {preference, theirs.get((first, second), 0.5)}
            if 0.5 not in strict:
                self.met += 1
                self.agreed += len(strict) == 1


def pairs(label: LabelKind, ranks: Sequence[int]) -> tuple[tuple[int, int, float], ...]:
    """The pairs that ranks tell apart or tie; of a pick of the best, those with the best in them."""
    ranking = Ranking(0, 0, 0, tuple(range(len(ranks))), tuple(ranks), label)
    return tuple((pair.first_id, pair.second_id, pair.preference) for pair in ranking.comparisons())


def said_of(task: TaskRecord, votes: Votes, criterion: str | None, tally: Tally) -> Iterator[Said]:
    """What is exported of a task: of each judgement, or one thing of all of them.

    Args:
        votes: `majority` counts, for every pair, who prefers the first and who the second; as many are a tie.
        criterion: read the marks for it in place of the ranks; judgements without them are left out.
    """
    found = []
    for verdict in task.verdicts:
        ranks = _ranks(verdict, criterion)
        if ranks is None:
            tally.left_out[f"no mark for '{criterion}'"] += 1
            continue
        found.append(Said(pairs(task.label if criterion is None else LabelKind.RANKING, ranks), verdict))
    if votes == "each":
        yield from found
    elif found:
        yield _majority(found)


def _ranks(verdict: Verdict, criterion: str | None) -> tuple[int, ...] | None:
    if criterion is None:
        return verdict.judgement.ranks
    marks = [each.get(criterion) for each in verdict.judgement.marks]
    known = [mark for mark in marks if mark is not None]
    return ranks_from_utilities(known) if known and len(known) == len(marks) else None


def _majority(found: Sequence[Said]) -> Said:
    lead: dict[tuple[int, int], float] = {}
    for said in found:
        for first, second, preference in said.preferences:
            lead[first, second] = lead.get((first, second), 0.0) + preference - 0.5
    return Said(
        tuple(
            (first, second, 0.5 if ahead == 0 else float(ahead > 0)) for (first, second), ahead in sorted(lead.items())
        ),
        None,
    )


def winners(task: TaskRecord, said: Said, ties: Ties, tally: Tally) -> Iterator[tuple[int, int]]:
    """(better, worse) completions of each pair; of a tie none, or both ways round.

    A pair of equal texts, or with an empty one, is left out: it teaches nothing, or to fall silent.
    """
    for first, second, preference in said.preferences:
        one, other = task.completions[first].text, task.completions[second].text
        tie = preference == 0.5
        tally.ties += tie
        if one == other:
            tally.left_out["pair of the same text twice"] += 1
        elif not one.strip() or not other.strip():
            tally.left_out["pair with an empty completion"] += 1
        elif not tie:
            yield (first, second) if preference == 1.0 else (second, first)
        elif ties == "both":
            yield first, second
            yield second, first
        else:
            tally.left_out["tie"] += 1
