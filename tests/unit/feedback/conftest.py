"""Tasks of the bundled world in a real store, and a crowd calibrated on them."""

from __future__ import annotations

import random

import pytest

from assent.config.settings import PeopleSettings
from assent.feedback import SimulatedPerson, TaskSpec, calibrate_noise, judge_tasks, make_crowd
from assent.store import (
    Judgements,
    NewPerson,
    NewTask,
    Store,
    add_completions,
    add_people,
    add_prompts,
    add_tasks,
    start_run,
)
from assent.tasks.household import ALL_QUALITIES, Household, reference_answer
from assent.types.feedback import LabelKind, PersonKind
from assent.types.protocols import SamplingParams
from assent.types.rollout import FinishReason, Rollout
from tests.unit.feedback.bench import Bench, BuildBench, Questions

COMPLETIONS = 4


@pytest.fixture(scope="session")
def questions() -> Questions:
    world, rng = Household(), random.Random(5)
    prompts = world.prompts("train")[:150]
    answers = [
        [reference_answer(prompt, rng.choice(ALL_QUALITIES), rng) for _ in range(COMPLETIONS)] for prompt in prompts
    ]
    marks = [[world.marks(p, text) for text in texts] for p, texts in zip(prompts, answers, strict=True)]
    return Questions(prompts, answers, marks)


@pytest.fixture(scope="session")
def crowd(questions: Questions) -> list[SimulatedPerson]:
    return calibrate_noise(make_crowd(16, PeopleSettings(), seed=1), questions.marks, 0.73, 1, questions.lengths)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, questions: Questions, crowd: list[SimulatedPerson]) -> BuildBench:

    def build(name: str, overlaps: tuple[int, ...], count: int, label: LabelKind = LabelKind.RANKING) -> Bench:
        store = Store.open(tmp_path_factory.mktemp(name) / "assent.db", create=True)
        start_run(store, "sample", "sample", 1, {})
        prompts, answers = questions.prompts[:count], questions.answers[:count]
        prompt_ids = add_prompts(store, prompts)
        rollouts = [
            Rollout(index, (1,), (2,), (0.0,), FinishReason.STOP, text, "sft", index)
            for index, texts in enumerate(answers)
            for text in texts
        ]
        ids = add_completions(store, "sample", prompt_ids, rollouts, SamplingParams())
        new = [
            NewTask(
                prompt_id,
                tuple(ids[index * COMPLETIONS : (index + 1) * COMPLETIONS]),
                label,
                overlaps[index % len(overlaps)],
            )
            for index, prompt_id in enumerate(prompt_ids)
        ]
        task_ids = add_tasks(store, "sample", new)
        specs = [
            TaskSpec(task_id, task.overlap, prompt)
            for task_id, task, prompt in zip(task_ids, new, prompts, strict=True)
        ]
        entered = [NewPerson(person.name, PersonKind.SIMULATED, person.profile()) for person in crowd]
        people = dict(zip(add_people(store, entered), crowd, strict=True))
        return Bench(store, Judgements(store), specs, people)

    return build


@pytest.fixture(scope="session")
def judged(bench: BuildBench) -> Bench:
    """A campaign that has run: 150 tasks, each judged by 8 of the 16 people."""
    ready = bench("judged", (8,), 150)
    judge_tasks(ready.judgements, ready.tasks, ready.people, Household().marks, seed=1)
    return ready
