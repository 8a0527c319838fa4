"""Where the loop stands, read from its runs: what a single stage starts from, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assent.pipeline import Outcome
from assent.stages.language import has_demonstrations, import_checkpoint
from assent.stages.reward import given_reward
from assent.stages.rounds import rounds_so_far
from assent.store import get_run
from assent.types.errors import DataError

if TYPE_CHECKING:
    from assent.stages.project import Project

IMPROVING = {"rl": "rl", "preference": "dpo"}  # the work that makes a policy -> the command that does it


def base_of(project: Project) -> str:
    """The base model's id.

    Raises:
        DataError: it is not there yet.
    """
    if project.settings.model.path is not None:
        return import_checkpoint(project)
    return result_of(project, "pretrain", "base", "assent pretrain")


def initial_of(project: Project) -> str:
    """The first policy's id, which is the reference of the KL penalty.

    Raises:
        DataError: it is not there yet.
    """
    if not has_demonstrations(project):
        return base_of(project)
    return result_of(project, "sft", "sft", "assent sft")


def policy_before(project: Project, round: int) -> str:
    """The policy in service when a round begins.

    Raises:
        DataError: the round before has no verdict yet.
    """
    if round > 1:
        result_of(project, f"round{round - 1}-eval", "verdict", f"assent eval --round {round - 1}")
    promoted = [each for each in rounds_so_far(project) if each.number < round and each.promoted]
    return (promoted[-1].input("eval", "new") if promoted else None) or initial_of(project)


def reward_of(project: Project, round: int) -> str | None:
    """The reward model that is given, or the round's own; None where a callable gives the scores.

    Raises:
        DataError: it is not there yet.
    """
    settings = project.settings
    if settings.reward.function is not None:
        return None
    if settings.reward.model is not None:
        return given_reward(project, settings.reward.model)
    if settings.reward_model.of_samples:
        round = 1
    return result_of(project, f"round{round}-reward", "reward", f"assent reward --round {round}")


def result_of(project: Project, run_id: str, key: str, command: str) -> str:
    """What a finished run made.

    Raises:
        DataError: it was not run, or not to its end; the command that does it is named.
    """
    run = get_run(project.store, run_id)
    if run is None or not run.done:
        state = "was not finished" if run is not None else "has not been done"
        raise DataError(f"{run_id} {state}, and this needs what comes of it", f"run `{command}` first")
    return str(run.result[key])


def improved(project: Project, round: int, run: str | None) -> tuple[str, str]:
    """The policy that a round (or an experiment) made, and by which work: `rl` or `preference`.

    Where a round was done both ways, the loop's own counts.

    Raises:
        DataError: it is not there yet, and the command that makes it is named; or the run makes no policy.
    """
    own = project.settings.loop.improve
    works = [own, *(work for work in IMPROVING if work != own)]
    names = [run] if run is not None else [f"round{round}-{work}" for work in works]
    for name in names:
        found = get_run(project.store, name)
        if found is not None and found.kind not in IMPROVING:
            raise DataError(f"{name} is a run of kind {found.kind}, which makes no policy", "name one of rl or dpo")
        if found is not None and found.done:
            return str(found.result["policy"]), found.kind
    command = f"assent {IMPROVING[own]} --round {round}" + (f" --run {run}" if run else "")
    return result_of(project, names[0], "policy", command), own


def outcome_so_far(project: Project) -> Outcome | None:
    """Where the loop stands, as `run_loop` would say it; None before there is a policy."""
    rounds = rounds_so_far(project)
    last = max((each.number for each in rounds if each.promoted is not None), default=0)
    try:
        return Outcome(base_of(project), initial_of(project), policy_before(project, last + 1))
    except DataError:
        return None


def first_undone(project: Project, work: str) -> int:
    """The first round whose run of this kind, e.g. `rl`, is not done."""
    done = {each.number for each in rounds_so_far(project) if work in each.runs and each.runs[work].done}
    return next(number for number in range(1, len(done) + 2) if number not in done)


def first_unimproved(project: Project) -> int:
    """The first round that has made no new policy yet, by RL or from the rankings."""
    done = {each.number for each in rounds_so_far(project) if any(each.result(work) for work in IMPROVING)}
    return next(number for number in range(1, len(done) + 2) if number not in done)


def last_done(project: Project, work: str) -> int:
    """The last round whose run of this kind is done; the first if none is."""
    return max(1, first_undone(project, work) - 1)
