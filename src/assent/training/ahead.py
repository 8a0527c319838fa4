"""The next step's rollouts, drawn while this step's are learnt from: by the policy as it was before the update."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import torch

from assent.types.protocols import Generator
from assent.types.rollout import FinishReason, Rollout


class Ahead:
    """One batch of rollouts, which a thread draws, and which a checkpoint holds until it is used.

    Args:
        generator: holds the weights while the thread writes with them.
        draw: the rollouts of a step, by its index and the attempt at it.
    """

    def __init__(self, generator: Generator, draw: Callable[[int, int], list[Rollout]]) -> None:
        self._generator = generator
        self._draw = draw
        self._thread = ThreadPoolExecutor(1, "rollouts")
        self._drawn: dict[tuple[int, int], list[Rollout]] = {}  # by step and attempt
        self._coming: tuple[tuple[int, int], Future[list[Rollout]]] | None = None
        self.waited = 0.0  # seconds, in the last step, in which the trainer had nothing to do

    def begin(self, index: int, attempt: int) -> None:
        """Draw this step's rollouts from the weights as they are now."""
        self._generator.hold()
        self._coming = ((index, attempt), self._thread.submit(self._draw_on, torch.get_num_threads(), index, attempt))

    def finish(self) -> None:
        """Wait for them. What went wrong in the thread is raised here."""
        self.waited = 0.0
        if self._coming is None:
            return
        place, future = self._coming
        self._coming = None
        begun = time.perf_counter()
        try:
            self._drawn = {place: future.result()}
        finally:
            self._generator.release()
            self.waited = time.perf_counter() - begun

    def take(self, index: int, attempt: int) -> list[Rollout] | None:
        """This step's, if they were drawn ahead; they are gone then. After a roll-back others are wanted."""
        return self._drawn.pop((index, attempt), None)

    def values(self) -> list[Any]:
        """What was drawn and not used yet, as JSON."""
        return [[*place, [asdict(rollout) for rollout in rollouts]] for place, rollouts in self._drawn.items()]

    def restore(self, values: Sequence[Any]) -> None:
        """The inverse of `values`."""
        self._drawn = {(index, attempt): [_rollout(each) for each in rollouts] for index, attempt, rollouts in values}

    def _draw_on(self, threads: int, index: int, attempt: int) -> list[Rollout]:
        torch.set_num_threads(threads)  # a thread of Python's begins with torch's own choice
        return self._draw(index, attempt)


def _rollout(fields: Mapping[str, Any]) -> Rollout:
    return Rollout(**{**fields, "finish_reason": FinishReason(fields["finish_reason"])})
