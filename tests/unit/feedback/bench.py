"""What the fixtures of this room hand out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from assent.feedback import SimulatedPerson, TaskSpec
from assent.store import Judgements, Store
from assent.types.feedback import LabelKind, Marks
from assent.types.messages import Prompt


@dataclass(frozen=True)
class Questions:
    """Prompts with four answers each, of mixed quality."""

    prompts: list[Prompt]
    answers: list[list[str]]
    marks: list[list[Marks]]

    @property
    def lengths(self) -> list[list[float]]:
        """Words of each answer."""
        return [[float(len(answer.split())) for answer in answers] for answers in self.answers]


@dataclass
class Bench:
    """An open store with the tasks in it, and the people who can judge them."""

    store: Store
    judgements: Judgements
    tasks: list[TaskSpec]
    people: dict[int, SimulatedPerson]


class BuildBench(Protocol):
    """Makes a fresh store with a task for each of the first `count` questions; `overlaps` are dealt out in turn."""

    def __call__(
        self, name: str, overlaps: tuple[int, ...], count: int, label: LabelKind = LabelKind.RANKING
    ) -> Bench: ...
