"""Where the time of a step goes: `python -m benchmarks.profile ppo S`. Parts of the step, then its dearest operators.

Runs the work of `benchmarks.work` twice. Parts are medians of the steps past the first; operators are of the second
run, which the profiler slows, over its steps.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from assent.training.language_model import LanguageModelTraining
from assent.training.preference import PreferenceTraining
from assent.training.reward_model import RewardModelTraining
from assent.training.rl import RLTraining
from benchmarks.work import WORKS

PARTS = {
    "_sample": "sample",
    "_scores": "score",
    "_measure": "measure policy, reference, values",
    "_accumulate": "passes forward and backward",
    "_apply": "optimisers",
}
TRAININGS = (RLTraining, LanguageModelTraining, RewardModelTraining, PreferenceTraining)
SHOWN = 14


class Watch:
    """Seconds of each part, step by step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self.whole: list[float] = []

    def part(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """The method, timed."""

        def timed(*arguments: Any, **options: Any) -> Any:
            begun = time.perf_counter()
            try:
                return method(*arguments, **options)
            finally:
                now = self.steps[-1]
                now[name] = now.get(name, 0.0) + time.perf_counter() - begun

        return timed

    def step(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """The method that is a whole step, timed."""

        def timed(*arguments: Any, **options: Any) -> Any:
            self.steps.append({})
            begun = time.perf_counter()
            try:
                return method(*arguments, **options)
            finally:
                self.whole.append(time.perf_counter() - begun)

        return timed

    def table(self) -> list[str]:
        """Medians of the steps past the first, and what is in none of the parts."""
        parts = {name: median(step.get(name, 0.0) for step in self.steps[1:]) for name in self.steps[-1]}
        whole = median(self.whole[1:])
        lines = [f"{name:36} {seconds:7.3f} s" for name, seconds in parts.items()]
        return [*lines, f"{'the rest':36} {whole - sum(parts.values()):7.3f} s", f"{'a step':36} {whole:7.3f} s"]


def main(arguments: Sequence[str]) -> None:
    """Profile one work with one model."""
    work, model = arguments
    watch = Watch()
    for training in TRAININGS:
        for method, name in PARTS.items():
            if hasattr(training, method):
                setattr(training, method, watch.part(name, getattr(training, method)))
        setattr(training, "step", watch.step(training.step))  # noqa: B010 - mypy lets no method be assigned
    WORKS[work](model)
    print("\n".join(watch.table()))
    with profile(activities=[ProfilerActivity.CPU]) as found:
        WORKS[work](model)
    steps = len(watch.whole) // 2
    operators = sorted(found.key_averages(), key=lambda each: -each.self_cpu_time_total)[:SHOWN]
    for each in operators:
        print(f"{each.key[:36]:36} {each.self_cpu_time_total / 1e6 / steps:7.3f} s {each.count // steps:6} calls")


if __name__ == "__main__":
    torch.manual_seed(0)
    main(sys.argv[1:])
