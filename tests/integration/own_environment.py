"""A user's environment, during which the process is asked to stop, once, if a file says so."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from assent.types.messages import Message
from assent.types.protocols import StepResult

STOP = "stop-once"


class Vowels:
    """Two or three turns, by the seed; each is paid by its share of vowels."""

    def reset(self, seed: int) -> tuple[Message, ...]:
        if (file := Path(STOP)).exists():
            file.unlink()
            os.kill(os.getpid(), signal.SIGTERM)
        self.left = 2 + seed % 2
        return (Message("user", f"Begin, {self.left} to go."),)

    def step(self, completion: str) -> StepResult:
        self.left -= 1
        paid = sum(letter in "aeiou" for letter in completion) / (1 + len(completion))
        return StepResult((Message("user", f"Go on, {self.left} to go."),), paid, self.left == 0)


class Copying(Vowels):
    """The same with another side, which is asked after each of the policy's turns and answers for the environment."""

    waits = False

    def step(self, completion: str) -> StepResult:
        self.said = super().step(completion)
        self.waits = not self.said.done
        return self.said if self.said.done else StepResult((), 0.0, False)

    def asked(self) -> tuple[Message, ...]:
        return (Message("user", "What do you say?"),) if self.waits else ()

    def answered(self, completion: str) -> StepResult:
        self.waits = False
        return StepResult((Message("user", completion or "Nothing."),), self.said.reward, False)


class Echoing(Copying):
    """It pays for what the other side wrote first, by its share of vowels; the policy's own words are worth nothing."""

    def reset(self, seed: int) -> tuple[Message, ...]:
        super().reset(seed)
        self.waits, self.begun = True, False
        return ()

    def step(self, completion: str) -> StepResult:
        return StepResult((), self.worth, True)

    def answered(self, completion: str) -> StepResult:
        self.waits = False
        self.worth = sum(letter in "aeiou" for letter in completion) / (1 + len(completion))
        return StepResult((Message("user", "Go on."),), 0.0, False)


class Silent(Vowels):
    def step(self, completion: str) -> StepResult:
        return StepResult((), 0.0, False)
