"""A store with a small chain in it: prompts, a policy's completions, tasks for three people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assent.store import NewTask, Store, add_completions, add_people, add_prompts, add_tasks, start_run
from assent.store.people import NewPerson
from assent.types.feedback import Assignment, Judgement, PersonKind
from assent.types.messages import user_prompt
from assent.types.protocols import SamplingParams
from assent.types.rollout import FinishReason, Rollout


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Chain:
    """Ids of what `chain` put into the store."""

    prompts: list[int]
    completions: list[int]  # 3 of each prompt
    people: list[int]


def rollouts_of(prompts: int, group: int, version: str = "sft-000000000000") -> list[Rollout]:
    """`group` rollouts of each prompt."""
    return [
        Rollout(
            p, [1, 2], [10 + p, g, 2], [-0.5, -0.25, -0.125], FinishReason.STOP, f"answer {p}.{g}", version, group=p
        )
        for p in range(prompts)
        for g in range(group)
    ]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "assent.db"


@pytest.fixture
def store(database: Path, clock: Clock) -> Iterator[Store]:
    with Store.open(database, create=True, now=clock) as opened:
        yield opened


@pytest.fixture
def make_rollouts() -> Callable[..., list[Rollout]]:
    return rollouts_of


@pytest.fixture
def chain(store: Store) -> Chain:
    """Four prompts with three completions each, in the run `sample`; three people."""
    prompts = add_prompts(store, [user_prompt(f"How do I store item {i}?", item=f"item {i}") for i in range(4)])
    start_run(store, "sample", "sample", 1, {"seed": 7})
    completions = add_completions(store, "sample", prompts, rollouts_of(4, 3), SamplingParams(1.0, 8))
    people = add_people(store, [NewPerson(f"person {i}", PersonKind.SIMULATED, {"noise": 0.5}) for i in range(3)])
    return Chain(prompts, completions, people)


@pytest.fixture
def make_tasks(store: Store, chain: Chain) -> Callable[..., list[int]]:
    """Makes a run's tasks: one for each prompt, over its three completions."""

    def make(run_id: str = "tasks", overlap: int = 1, purpose: str = "train") -> list[int]:
        start_run(store, run_id, "collect", 1, {})
        tasks = [
            NewTask(prompt, tuple(chain.completions[3 * i : 3 * i + 3]), overlap=overlap, purpose=purpose)
            for i, prompt in enumerate(chain.prompts)
        ]
        return add_tasks(store, run_id, tasks)

    return make


@pytest.fixture
def judge() -> Callable[..., Judgement]:
    """Judges an assignment in the order of its completions unless told otherwise."""

    def make(assignment: Assignment, ranks: tuple[int, ...] = (1, 2, 3)) -> Judgement:
        return Judgement(ranks, assignment.order_shown, assignment.label, note="it’s right", seconds=4.25)

    return make
