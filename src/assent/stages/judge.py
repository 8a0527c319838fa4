"""People judge the open tasks: simulated ones at once, human ones when they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from assent.feedback import SimulatedPerson, TaskSpec, calibrate_noise, judge_tasks, make_crowd, with_noise
from assent.stages.project import Project
from assent.stages.sample import sample_run
from assent.store import (
    Judgements,
    NewPerson,
    Task,
    add_people,
    counts,
    get_completions,
    get_prompts,
    get_tasks,
    list_people,
    rankings,
)
from assent.training.interrupt import raise_if_stopped
from assent.types.errors import SettingsError, WaitingForPeople
from assent.types.feedback import PersonKind, marks_in_order
from assent.types.protocols import MarksFn

LABELLERS, EVALUATORS = "labeller", "evaluator"


def collect_judgements(project: Project, run_id: str, crowd: str, purpose: str | None = None) -> int:
    """See that every task of a run is judged; returns the number of judgements.

    Args:
        run_id: whose tasks.
        crowd: `labeller` or `evaluator`; no one is both.

    Raises:
        WaitingForPeople: human judgements are still missing.
    """
    if project.settings.people.kind == "simulated":
        _simulate(project, run_id, crowd, purpose)
    found = counts(project.store, [run_id], purpose)
    if found.submitted < found.wanted:
        raise WaitingForPeople(
            f"{found.wanted - found.submitted} of {found.wanted} judgements are still wanted for {run_id}",
            "judge in the browser (`assent up`) or here (`assent rank`), then run the same command again",
        )
    return found.submitted


class Guest(Protocol):
    """A real person among the simulated ones, who judges some of a round's tasks."""

    @property
    def round(self) -> int:
        """In which round."""
        ...

    @property
    def rankings(self) -> int:
        """How many tasks are left to them, of those that one person judges."""
        ...

    def wait(self, project: Project, run_id: str) -> None:
        """Return once the run's tasks are all judged, or given back by the guest: others judge those."""
        ...


def _simulate(project: Project, run_id: str, crowd: str, purpose: str | None) -> None:
    marks = project.marks
    if marks is None:
        raise SettingsError("simulated people need people.marks or a bundled task")
    guest = project.guest if project.guest is not None and run_id == sample_run(project.guest.round) else None
    tasks = _without_real_people(project, get_tasks(project.store, run_id, purpose))
    if guest is not None:
        alone = [task.id for task in tasks if task.open and task.task.overlap == 1]
        tasks = [task for task in tasks if task.id not in alone[: guest.rankings]]
    _simulate_tasks(project, run_id, crowd, tasks, marks)
    if guest is not None:
        guest.wait(project, run_id)
        if left := [task for task in get_tasks(project.store, run_id, purpose) if task.open]:
            _simulate_tasks(project, run_id, crowd, left, marks)


def _without_real_people(project: Project, tasks: list[Task]) -> list[Task]:
    """The tasks but those that real people have judged."""
    people = [person.id for person in list_people(project.store, PersonKind.HUMAN)]
    if not people:
        return tasks
    judged = {ranking.completion_ids for ranking in rankings(project.store, person_ids=people)}
    return [task for task in tasks if task.task.completion_ids not in judged]


def _simulate_tasks(project: Project, run_id: str, crowd: str, tasks: Sequence[Task], marks: MarksFn) -> None:
    prompts = get_prompts(project.store, [task.task.prompt_id for task in tasks])
    specs = [TaskSpec(task.id, task.task.overlap, prompt) for task, prompt in zip(tasks, prompts, strict=True)]
    people = simulated_people(project, crowd, run_id, marks)
    wanted = sum(task.task.overlap for task in tasks)
    project.progress.start(f"judge ({crowd}s, simulated)", wanted)

    def tell(done: int, total: int) -> None:
        project.progress.advance(done, f"{len(people)} simulated people")
        raise_if_stopped(f"{done} of {total} judgements are saved")

    mark_criteria = project.settings.people.criteria_marks and crowd == LABELLERS
    judge_tasks(Judgements(project.store), specs, people, marks, project.seed("judging", crowd), tell, mark_criteria)
    project.progress.finish()


def simulated_people(project: Project, crowd: str, run_id: str, marks: MarksFn) -> dict[int, SimulatedPerson]:
    """The crowd by person id: as recorded, or made now, with noise set so that labellers agree as asked.

    The noise is found once, on the first tasks ever judged, and kept with each person; evaluators have the same.
    """
    known = list_people(project.store, PersonKind.SIMULATED)
    found = {p.id: SimulatedPerson.from_profile(p.name, p.profile) for p in known if p.name.startswith(crowd)}
    if found:
        return found
    settings = project.settings.people
    criteria = tuple(marks_in_order(marks(project.prompts["train"][0], "").criteria()))
    labellers = make_crowd(settings.count, settings, project.seed("people"), LABELLERS, criteria=criteria)
    labellers = _calibrated(project, labellers, run_id, marks)
    # Who only ever evaluates is of the same mixed sort, careless and adversarial people included.
    evaluators = make_crowd(settings.evaluators, settings, project.seed("evaluators"), EVALUATORS, criteria=criteria)
    evaluators = with_noise(evaluators, labellers[0].noise)
    everyone = [*labellers, *evaluators]
    ids = add_people(project.store, [NewPerson(p.name, PersonKind.SIMULATED, p.profile()) for p in everyone])
    return {i: person for i, person in zip(ids, everyone, strict=True) if person.name.startswith(crowd)}


def _calibrated(
    project: Project, labellers: Sequence[SimulatedPerson], run_id: str, marks: MarksFn
) -> list[SimulatedPerson]:
    tasks = get_tasks(project.store, run_id)
    prompts = get_prompts(project.store, [task.task.prompt_id for task in tasks])
    sets, lengths = [], []
    for task, prompt in zip(tasks, prompts, strict=True):
        texts = [completion.text for completion in get_completions(project.store, task.task.completion_ids)]
        sets.append([marks(prompt, text) for text in texts])
        lengths.append([float(len(text.split())) for text in texts])
    return calibrate_noise(labellers, sets, project.settings.people.agreement, project.seed("noise"), lengths)
