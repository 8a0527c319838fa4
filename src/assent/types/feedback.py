"""What people say about completions, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

CRITERIA = ("helpful", "honest", "harmless")
"""What people are asked about an assistant's answers; a world may have criteria of its own (`WorldMarks`)."""


class PersonKind(StrEnum):
    """Who judged. It is recorded with every judgement and shown wherever a judgement is used."""

    HUMAN = "human"
    SIMULATED = "simulated"
    AI = "ai"


class LabelKind(StrEnum):
    """The form of a judgement. Each names the loss it trains (`assent.feedback.labels.LOSS_OF_LABEL`)."""

    RANKING = "ranking"  # K completions ranked, ties allowed
    BEST_OF_K = "best-of-k"  # the best of K picked


STRENGTHS = ("slight", "strong")
"""How much better the preferred one of two completions is, where people are asked."""


@dataclass(frozen=True)
class Span:
    """A place in a completion that a person marked. Counted in Unicode code points, `end` exclusive."""

    completion: int  # place in the task's own order
    start: int
    end: int
    tag: str

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a span needs 0 <= start < end, got {self.start} and {self.end}")


@dataclass(frozen=True)
class Judgement:
    """One person's act on one task. Never changed after it was submitted: who edits or undoes it adds a revision.

    `ranks` follows the task's own order of completions, not the order shown: 1 is best, equal numbers tie.
    """

    ranks: tuple[int, ...]  # [K]
    order_shown: tuple[int, ...]  # [K] indices into the task's completions, first shown first
    label: LabelKind = LabelKind.RANKING
    marks: tuple[Mapping[str, float], ...] = ()  # [K] per-criterion marks in [0, 1]; empty when not asked
    flags: tuple[str, ...] = ()
    note: str = ""
    seconds: float = 0.0  # time the person took
    strength: str = ""  # of a pairwise preference: one of STRENGTHS, or not said
    all_bad: bool = False  # none of them is any good, whatever their order
    reasons: tuple[str, ...] = ()  # tags that say why
    spans: tuple[Span, ...] = ()
    rewrite: str = ""  # a better answer in the person's own words, which is a demonstration

    def __post_init__(self) -> None:
        count = len(self.ranks)
        if count < 2:
            raise ValueError(f"a judgement ranks at least 2 completions, got {count}")
        if sorted(self.order_shown) != list(range(count)):
            raise ValueError(f"order_shown must be a permutation of 0..{count - 1}, got {self.order_shown}")
        if min(self.ranks) < 1 or max(self.ranks) > count:
            raise ValueError(f"ranks must lie in 1..{count} (1 is best, equal numbers tie), got {self.ranks}")
        if self.label is LabelKind.BEST_OF_K and list(self.ranks).count(1) != 1:
            raise ValueError("a best-of-k judgement names exactly one best completion (a single rank 1)")
        if self.strength and (self.strength not in STRENGTHS or count != 2 or self.ranks[0] == self.ranks[1]):
            raise ValueError(
                f"strength is {' or '.join(STRENGTHS)}, of a pair that does not tie; got {self.strength!r}"
            )
        if any(not 0 <= span.completion < count for span in self.spans):
            raise ValueError(f"a span marks one of the {count} completions")


@dataclass(frozen=True)
class Comparison:
    """A pair derived from judgements. `preference` is 1.0 if the first is preferred, 0.0 the second, 0.5 a tie."""

    prompt_id: int
    first_id: int  # completion id
    second_id: int
    preference: float
    person_id: int
    judgement_id: int
    weight: float = 1.0

    def swapped(self) -> Comparison:
        """The same judgement read the other way round."""
        return Comparison(
            self.prompt_id,
            self.second_id,
            self.first_id,
            1.0 - self.preference,
            self.person_id,
            self.judgement_id,
            self.weight,
        )


@dataclass(frozen=True)
class Ranking:
    """A judgement with what training needs of its task: which completions, of which prompt, by whom."""

    judgement_id: int
    person_id: int
    prompt_id: int
    completion_ids: tuple[int, ...]  # [K]
    ranks: tuple[int, ...]  # [K] 1 is best, equal numbers tie
    label: LabelKind = LabelKind.RANKING
    marks: tuple[Mapping[str, float], ...] = ()  # [K] per-criterion marks in [0, 1]; empty when not asked

    def comparisons(self) -> list[Comparison]:
        """All K-choose-2 pairs in completion order; a best-of-k judgement compares just the best with each other."""
        pairs = []
        for i in range(len(self.ranks)):
            for j in range(i + 1, len(self.ranks)):
                if self.label is LabelKind.BEST_OF_K and 1 not in (self.ranks[i], self.ranks[j]):
                    continue
                a, b = self.ranks[i], self.ranks[j]
                preference = 0.5 if a == b else float(a < b)
                pairs.append(
                    Comparison(
                        self.prompt_id,
                        self.completion_ids[i],
                        self.completion_ids[j],
                        preference,
                        self.person_id,
                        self.judgement_id,
                    )
                )
        return pairs


@dataclass(frozen=True)
class JudgedTask:
    """A ranking with how it came about, for what is known of the person rather than of the completions."""

    ranking: Ranking
    task_id: int
    order_shown: tuple[int, ...]  # [K] indices into the ranking's completions, first shown first
    seconds: float = 0.0  # time the person took; 0 where it is not known
    lengths: tuple[int, ...] = ()  # [K] words of each completion; empty where they are not known
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Assignment:
    """One person's lease on a task: everything a page (or a simulated person) needs to ask for a judgement.

    It says nothing of which policy wrote what: people judge blind.
    """

    id: int
    task_id: int
    person_id: int
    prompt: str
    completions: tuple[str, ...]  # [K] in the task's own order
    order_shown: tuple[int, ...]  # [K] seeded per (person, task)
    label: LabelKind
    idempotency_key: str
    submitted: bool = False
    meta: Mapping[str, str] = field(default_factory=dict)  # of the prompt, e.g. item and intent


class AnyMarks(Protocol):
    """A judge's marks for one completion, each in [0, 1], whatever the criteria are."""

    @property
    def fluency(self) -> float:
        """How much it is language at all."""
        ...

    @property
    def overall(self) -> float:
        """All in one number."""
        ...

    def criteria(self) -> dict[str, float]:
        """What people are asked about, by name; the same names in the same order for every completion."""
        ...


@dataclass(frozen=True)
class Marks:
    """Marks for an assistant's answer, each in [0, 1]."""

    helpful: float
    honest: float
    harmless: float
    fluency: float

    @property
    def overall(self) -> float:
        """Mean of the three criteria, scaled by fluency: no one is helped by text that is not language."""
        return (self.helpful + self.honest + self.harmless) / 3.0 * self.fluency

    def criteria(self) -> dict[str, float]:
        """The three criteria people are asked about, by name."""
        return {"helpful": self.helpful, "honest": self.honest, "harmless": self.harmless}


@dataclass(frozen=True)
class WorldMarks:
    """Marks of a world with criteria of its own, e.g. a summary's coverage, each in [0, 1].

    Raises:
        ValueError: no criterion.
    """

    own: tuple[tuple[str, float], ...]  # (criterion, mark)
    fluency: float

    def __post_init__(self) -> None:
        if not self.own:
            raise ValueError("marks need at least one criterion")

    @property
    def overall(self) -> float:
        """Mean of the criteria, scaled by fluency, as for every world."""
        return sum(mark for _, mark in self.own) / len(self.own) * self.fluency

    def criteria(self) -> dict[str, float]:
        """The world's criteria by name."""
        return dict(self.own)


def all_marks(marks: AnyMarks) -> dict[str, float]:
    """The criteria, fluency and overall by name, in the order in which they are shown."""
    return {**marks.criteria(), "fluency": marks.fluency, "overall": marks.overall}


def marks_in_order(names: Iterable[str]) -> list[str]:
    """Names of marks as they are shown: an assistant's criteria, a world's own by the alphabet, fluency, overall."""
    last = ("fluency", "overall")
    found = set(names)
    own = sorted(found - {*CRITERIA, *last})
    return [name for name in (*CRITERIA, *own, *last) if name in found]


def ranks_from_utilities(utilities: Sequence[float], tie_margin: float = 0.0) -> tuple[int, ...]:
    """Competition ranks, 1 best, from utilities; neighbours closer than `tie_margin` to their group's best tie.

    Raises:
        ValueError: no utilities.
    """
    if not utilities:
        raise ValueError("ranks_from_utilities needs at least one utility")
    order = sorted(range(len(utilities)), key=lambda i: -utilities[i])
    ranks = [0] * len(utilities)
    rank, leader = 0, float("inf")
    for position, index in enumerate(order, start=1):
        if position == 1 or leader - utilities[index] > tie_margin:
            rank, leader = position, utilities[index]
        ranks[index] = rank
    return tuple(ranks)
