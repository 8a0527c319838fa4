"""Where the loop stands, read from its runs: what a single stage starts from, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assent.pipeline import Outcome
from assent.stages.language import has_demonstrations, import_checkpoint
from assent.stages.rounds import rounds_so_far
from assent.store import get_run
from assent.types.errors import DataError

if TYPE_CHECKING:
    from assent.stages.project import Project


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
    """The reward model of a round; None where a callable or an environment gives the scores.

    Raises:
        DataError: it is not there yet.
    """
    if not project.settings.learns_reward:
        return None
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


def last_done(project: Project, work: str) -> int:
    """The last round whose run of this kind is done; the first if none is."""
    return max(1, first_undone(project, work) - 1)
