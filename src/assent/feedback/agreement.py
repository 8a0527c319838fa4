"""How far people agree: the ceiling that a reward model trained on them can be measured against."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from assent.feedback.intervals import Interval, bootstrap_mean
from assent.types.feedback import Judgement, LabelKind, Ranking, marks_in_order, ranks_from_utilities

TaskKey = tuple[int, tuple[int, ...]]

TOO_FEW_PEOPLE = "fewer than two people judged"
NOBODY_MET = "no task was judged by two people"


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
        return Agreement(None, 0, 0, _why_nobody_met(rankings))
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


def mark_agreements(rankings: Sequence[Ranking], seed: int, resamples: int = 1000) -> dict[str, Agreement]:
    """Pairwise agreement by each criterion that people marked: whom of two they gave the higher mark."""
    return {name: pairwise_agreement(found, seed, resamples) for name, found in rankings_by_criterion(rankings).items()}


def rankings_by_criterion(rankings: Sequence[Ranking]) -> dict[str, list[Ranking]]:
    """What the marks for each criterion say as rankings: a higher mark ranks higher, equal ones tie.

    Judgements that did not mark all completions by a criterion are left out there.
    """
    names = marks_in_order({name for ranking in rankings for marks in ranking.marks for name in marks})
    found: dict[str, list[Ranking]] = {}
    for name in names:
        marked = (each for each in rankings if each.marks and all(name in marks for marks in each.marks))
        found[name] = [
            replace(each, ranks=ranks_from_utilities([marks[name] for marks in each.marks]), label=LabelKind.RANKING)
            for each in marked
        ]
    return found


def task_key(ranking: Ranking) -> TaskKey:
    """What makes two rankings one task: the prompt and the completions, in whatever order."""
    return ranking.prompt_id, tuple(sorted(ranking.completion_ids))


def _why_nobody_met(rankings: Sequence[Ranking]) -> str:
    if len({ranking.person_id for ranking in rankings}) < 2:
        return TOO_FEW_PEOPLE
    overlapping = any(len({each.person_id for each in group}) > 1 for group in _by_task(rankings).values())
    return "two people never both ranked a pair strictly" if overlapping else NOBODY_MET


def _by_task(rankings: Sequence[Ranking]) -> dict[TaskKey, list[Ranking]]:
    tasks: dict[TaskKey, list[Ranking]] = defaultdict(list)
    for ranking in rankings:
        tasks[task_key(ranking)].append(ranking)
    return tasks


def strict_preferences(ranking: Ranking) -> Mapping[tuple[int, int], bool]:
    """(smaller completion id, larger) -> whether the former is preferred; pairs left open are not in."""
    preferences: dict[tuple[int, int], bool] = {}
    for pair in ranking.comparisons():
        if pair.preference != 0.5:
            oriented = pair if pair.first_id < pair.second_id else pair.swapped()
            preferences[oriented.first_id, oriented.second_id] = oriented.preference == 1.0
    return preferences


def _meetings(rankings: Sequence[Ranking]) -> Iterator[_Meeting]:
    for task, group in enumerate(_by_task(rankings).values()):
        said = [(ranking.person_id, strict_preferences(ranking)) for ranking in group] if len(group) > 1 else []
        for (one, of_one), (other, of_other) in combinations(said, 2):
            if one != other:
                for pair in of_one.keys() & of_other.keys():
                    yield _Meeting(task, (one, other), of_one[pair] == of_other[pair])
