"""What the loop has done so far, read back from the store: the runs of each round, and which policy is in service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from assent.report.data import Interval
from assent.stages.project import Project
from assent.store import Run, latest, list_runs, promoted


class Standing(Protocol):
    """Where the loop stands: ids of the base, of the initial policy, and of the one in service."""

    @property
    def base(self) -> str:
        """The pretrained model."""
        ...

    @property
    def initial(self) -> str:
        """The first policy, which is the reference of the KL penalty."""
        ...

    @property
    def policy(self) -> str:
        """In service."""
        ...


@dataclass(frozen=True)
class Stood:
    """A Standing read from the store, while a loop is only half done; empty strings for what is not there yet."""

    base: str
    initial: str
    policy: str


@dataclass(frozen=True)
class RoundRuns:
    """The loop's own runs of one round, by kind of work; experiments under other names are left out."""

    number: int
    runs: Mapping[str, Run]  # e.g. "rl" -> the run `round1-rl`

    def result(self, work: str) -> dict[str, Any]:
        """What came of a run; empty while it is not done."""
        run = self.runs.get(work)
        return dict(run.result) if run is not None and run.done else {}

    def input(self, work: str, role: str) -> str | None:
        """The artifact that a run read in this role."""
        run = self.runs.get(work)
        return None if run is None else dict(run.inputs).get(role)

    @property
    def promoted(self) -> bool | None:
        """Whether the round's policy was promoted; None before the verdict."""
        verdict = self.result("eval").get("verdict")
        return None if verdict is None else bool(verdict["promoted"])


def rounds_so_far(project: Project) -> list[RoundRuns]:
    """Every round that was begun, in order."""
    found: dict[int, dict[str, Run]] = {}
    for run in list_runs(project.store):
        if run.round > 0 and run.id.startswith(prefix := f"round{run.round}-"):
            found.setdefault(run.round, {})[run.id.removeprefix(prefix)] = run
    return [RoundRuns(number, found[number]) for number in sorted(found)]


def standing(project: Project, outcome: Standing | None) -> Standing:
    """The outcome itself, or what the store knows of it."""
    if outcome is not None:
        return outcome
    base, sft, policy = latest(project.store, "base"), latest(project.store, "sft"), promoted(project.store)
    first = base.id if base else ""
    initial = sft.id if sft else first
    return Stood(first, initial, policy.id if policy else initial)


def serving_round(rounds: list[RoundRuns], policy: str) -> RoundRuns | None:
    """The round that put this policy into service; None for the initial policy."""
    held = [each for each in rounds if each.promoted and each.input("eval", "new") == policy]
    return held[-1] if held else None


def measured_round(rounds: list[RoundRuns], policy: str) -> RoundRuns | None:
    """The round whose comparison tells of the policy in service; the last compared one while none was promoted."""
    compared = [each for each in rounds if each.promoted is not None]
    return serving_round(rounds, policy) or (compared[-1] if compared else None)


def health_of(project: Project, each: RoundRuns) -> dict[str, Any]:
    """What was measured of the reward model that the round's RL used, read as RL read it; empty if nothing was.

    Before RL it is what was measured of the round's own.
    """
    if (rl := each.runs.get("rl")) is None:
        return each.result("health")
    read = {**rl.settings.get("reward", {}), "model": None, "function": None}
    for run in list_runs(project.store, "health"):
        if run.done and run.settings["reward"] == read and dict(run.inputs).get("reward") == each.input("rl", "reward"):
            return dict(run.result)
    return {}


def unmeasured(project: Project, rounds: list[RoundRuns]) -> list[str]:
    """A sentence on every round whose RL used a reward model of which no health was measured."""
    return [
        f"Round {each.number}: RL used {reward}, and no health of it was measured as RL reads it."
        for each in rounds
        if (reward := each.input("rl", "reward")) is not None and not health_of(project, each)
    ]


def interval(found: Mapping[str, Any] | None) -> Interval | None:
    """An interval as kept in a result, without its count; people's win rates hold theirs one level down."""
    if not found:
        return None
    found = found.get("interval", found)
    return {"value": found["value"], "low": found["low"], "high": found["high"]}
