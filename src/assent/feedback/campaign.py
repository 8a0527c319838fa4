"""Simulated people work through open tasks by the calls that the web page makes: lease, judge, submit.

Which people judge a task, what they say and the order in which rows appear depend on the seed and the tasks' ids alone.
A campaign killed at any moment and started again therefore leaves the rows of one that was never interrupted.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from assent.feedback.simulated import SimulatedPerson
from assent.types.errors import DataError, SettingsError
from assent.types.feedback import Assignment, Judgement
from assent.types.messages import Prompt
from assent.types.protocols import FeedbackStore, MarksFn
from assent.types.seeds import derive_seed

BATCH = 50  # task ids from one multiple of this to the next are leased together, then submitted in one transaction


@dataclass(frozen=True)
class TaskSpec:
    """What a campaign needs to know of a task; its completions come with the lease."""

    id: int
    overlap: int  # how many people judge it
    prompt: Prompt


def people_of_task(task_id: int, overlap: int, person_ids: Sequence[int], seed: int) -> tuple[int, ...]:
    """Who judges this task, in order: a permuted block design.

    Each run of as many task ids as there are people gets its own seeded order of people; a task takes as many as it
    needs from its place on. So work is shared out evenly, who meets whom is random, and no other task is looked at.

    Raises:
        ValueError: more people are wanted than there are.
    """
    if overlap > len(person_ids):
        raise ValueError(f"task {task_id} wants {overlap} people, there are {len(person_ids)}")
    block, place = divmod(task_id, len(person_ids))
    order = sorted(person_ids)
    random.Random(derive_seed(seed, "who", block)).shuffle(order)
    return tuple(order[(place + step) % len(order)] for step in range(overlap))


def judge_tasks(
    store: FeedbackStore,
    tasks: Sequence[TaskSpec],
    people: Mapping[int, SimulatedPerson],
    marks: MarksFn,
    seed: int,
    on_judged: Callable[[int, int], None] | None = None,
    mark_criteria: bool = False,
) -> int:
    """Have every task judged by as many simulated people as it asks for.

    Args:
        store: leases and submissions; what it already holds is left as it is.
        tasks: in any order; finished ones may be among them or left out.
        people: person id in the store -> the person.
        marks: the gold judge behind the people's opinions.
        seed: of the choice of people and of the order in which completions are shown.
        mark_criteria: people give marks per criterion too.
        on_judged: told (judgements so far, judgements in all) after each batch, once it is safe in the store.

    Returns:
        The number of judgements these tasks now have from these people, old ones included.

    Raises:
        SettingsError: a task wants more people than there are.
        DataError: somebody else took the place of one of these people on a task.
        ValueError: a task listed twice.
    """
    ordered = sorted(tasks, key=lambda task: task.id)
    if len({task.id for task in ordered}) != len(ordered):
        raise ValueError("a task is listed twice")
    total = sum(task.overlap for task in ordered)
    widest = max((task.overlap for task in ordered), default=0)
    if widest > len(people):
        raise SettingsError(
            f"a task wants {widest} people, but there are {len(people)} simulated people",
            "lower people.overlap (or evaluation.judges_per_pair), or raise people.count (or people.evaluators)",
        )
    done = 0
    for _, batch in groupby(ordered, key=lambda task: task.id // BATCH):
        leased = _lease_batch(store, list(batch), list(people), seed)
        said: list[tuple[int, Judgement, str]] = []
        for assignment, prompt in leased:
            if not assignment.submitted:
                given = [marks(prompt, completion) for completion in assignment.completions]
                judgement = people[assignment.person_id].judge(assignment, given, mark_criteria)
                said.append((assignment.id, judgement, assignment.idempotency_key))
        if said:
            store.submit_all(said)
        done += len(leased)
        if on_judged is not None:
            on_judged(done, total)
    return done


def _lease_batch(
    store: FeedbackStore, tasks: Sequence[TaskSpec], person_ids: Sequence[int], seed: int
) -> list[tuple[Assignment, Prompt]]:
    """All leases of a batch, person by person, before any submission; returned task by task."""
    wanted = {task.id: people_of_task(task.id, task.overlap, person_ids, seed) for task in tasks}
    held: dict[tuple[int, int], Assignment] = {}
    for person_id in sorted(person_ids):
        own = [task.id for task in tasks if person_id in wanted[task.id]]
        for assignment in store.lease(own, person_id, seed) if own else ():
            held[assignment.task_id, person_id] = assignment
    pairs = [(task, person_id) for task in tasks for person_id in wanted[task.id]]
    for task, person_id in pairs:
        if (task.id, person_id) not in held:
            raise DataError(
                f"task {task.id} has no room left for simulated person {person_id}",
                "others hold or have judged it: let them finish, or judge it with people.kind = 'human'",
            )
    return [(held[task.id, person_id], task.prompt) for task, person_id in pairs]
