"""Environments as users write them, good and bad."""

from __future__ import annotations

import math
from typing import Any

from assent.types.messages import Message
from assent.types.protocols import StepResult


class Counting:
    """Three turns; a turn is paid by the number of letters e in it, and the answer names the turn."""

    def reset(self, seed: int) -> tuple[Message, ...]:
        self.turn = 0
        return (Message("system", "Be brief."), Message("user", f"Seed {seed % 3}."))

    def step(self, completion: str) -> StepResult:
        self.turn += 1
        return StepResult((Message("user", f"Turn {self.turn}."),), float(completion.count("e")), self.turn == 3)


class Lengths(Counting):
    """A game is over after as many turns as its seed says."""

    def reset(self, seed: int) -> tuple[Message, ...]:
        self.last = 1 + seed % 4
        return super().reset(seed)

    def step(self, completion: str) -> StepResult:
        result = super().step(completion)
        return StepResult(result.messages, 1.0, self.turn == self.last)


class Duel:
    """Two turns of either side, the other's first; the policy is paid for how long the other's answer is."""

    def reset(self, seed: int) -> tuple[Message, ...]:
        self.turns = 0
        self.other = True
        return ()

    def asked(self) -> tuple[Message, ...]:
        return (Message("user", "Your turn, other."),) if self.other else ()

    def answered(self, completion: str) -> StepResult:
        self.other = False
        paid = float(len(completion)) if self.turns else 0.0
        return StepResult((Message("user", f"It said {completion}."),), paid, self.turns == 2)

    def step(self, completion: str) -> StepResult:
        self.turns += 1
        self.other = True
        return StepResult((), 0.5, False)


class Answering(Counting):
    """Gives something else than it should."""

    answer: Any = None

    def step(self, completion: str) -> Any:
        return self.answer


class GivesNothing(Answering):
    pass


class GivesNan(Answering):
    answer = StepResult((Message("user", "Go on."),), math.nan, False)


class GivesWords(Answering):
    answer = StepResult((Message("user", "Go on."),), "much", False)  # type: ignore[arg-type]


class GivesText(Answering):
    answer = StepResult("Go on.", 0.0, False)  # type: ignore[arg-type]


class SaysNothing(Answering):
    answer = StepResult((), 0.0, False)


class NeverEnds(Answering):
    answer = StepResult((Message("user", "Go on."),), 0.0, False)


class Raises(Counting):
    def step(self, completion: str) -> StepResult:
        raise KeyError("no such room")


class RaisesAtReset(Counting):
    def reset(self, seed: int) -> tuple[Message, ...]:
        raise RuntimeError("no network")


class CannotBeMade:
    def __init__(self) -> None:
        raise OSError("no such map")


class HasNoStep:
    def reset(self, seed: int) -> tuple[Message, ...]:
        return ()


class PaysTooEarly(Duel):
    def answered(self, completion: str) -> StepResult:
        return StepResult((Message("user", "Your turn."),), 1.0, False)


class AsksForEver(Duel):
    def answered(self, completion: str) -> StepResult:
        return StepResult((), 0.0, False)
