"""The chain: a walk whose only reward lies at its far end, the smallest problem of exploration and delayed reward."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from assent.types.messages import Message
from assent.types.protocols import Environment, StepResult
from assent.types.seeds import derive_seed

CONVERSATIONS = 400


class Chain:
    """States in a row. The policy starts at the left end and writes `right` or `left`; anything else leaves it there.

    The reward is 1 when it reaches the right end, which ends the game, and 0 everywhere else. A step is lost with
    every step to the left, and the game is over, unpaid, when the steps are used up.

    Args:
        length: states, both ends included.
        steps: in a game; at least length - 1, or the end cannot be reached.
    """

    name = "chain"

    def __init__(self, length: int = 10, steps: int = 16) -> None:
        if not 2 <= length <= steps + 1:
            raise ValueError(f"a chain of {length} states cannot be walked in {steps} steps")
        self.length, self.steps = length, steps

    def reset(self, seed: int) -> tuple[Message, ...]:
        """The left end. Nothing is left to chance, so that the seed changes nothing."""
        self.place, self.taken = 1, 0
        return (self._shown(),)

    def step(self, completion: str) -> StepResult:
        """One step, and where it led."""
        word = completion.strip()
        self.taken += 1
        self.place += (word == "right") - (word == "left" and self.place > 1)
        if self.place == self.length:
            return StepResult((), 1.0, True)
        return StepResult((self._shown(),), 0.0, self.taken == self.steps)

    def conversations(self, seed: int) -> list[tuple[Message, ...]]:
        """Walks that go right and left by chance: which words there are, not where to go."""
        return [self._walk(random.Random(derive_seed(seed, number))) for number in range(CONVERSATIONS)]

    def examinations(self) -> Mapping[str, Sequence[Environment]]:
        """One greedy walk: all are alike."""
        return {"greedy": [Chain(self.length, self.steps)]}

    def _shown(self) -> Message:
        return Message("user", f"state {self.place}")

    def _walk(self, chance: random.Random) -> tuple[Message, ...]:
        walk = Chain(self.length, self.steps)
        messages, done = list(walk.reset(0)), False
        while not done:
            word = chance.choice(("left", "right"))
            result = walk.step(word)
            messages += [Message("assistant", word), *([] if result.done else result.messages)]
            done = result.done
        return tuple(messages)
