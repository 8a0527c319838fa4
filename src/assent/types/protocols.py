"""The seams: what each room may expect of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from assent.types.feedback import AnyMarks, Assignment, Judgement
from assent.types.messages import Message, Prompt
from assent.types.rollout import Generation, GenerationRequest


@dataclass(frozen=True)
class SamplingParams:
    """How tokens are drawn. RL uses temperature alone: top-p and top-k would need a correction."""

    temperature: float = 1.0
    max_new_tokens: int = 64
    greedy: bool = False  # always the likeliest token, as when a policy is examined; never in RL


class Generator(Protocol):
    """Writes completions. The local one shares the trainer's weights; a served one is told of new weights."""

    @property
    def policy_version(self) -> str:
        """Artifact and step whose weights are in use, e.g. `policy-1a2b3c+40`."""
        ...

    def generate(self, requests: Sequence[GenerationRequest], sampling: SamplingParams, seed: int) -> list[Generation]:
        """All continuations, ordered by request, then by sample; the same seed gives the same tokens."""
        ...

    def hold(self) -> None:
        """Take over the weights as they are now, and write with these until `release`, whatever is learnt meanwhile."""
        ...

    def release(self) -> None:
        """Write with the weights as they are at each call again."""
        ...

    def memory(self, rows: int, tokens: int, held: bool) -> int:
        """Bytes that it takes, beside the trainer's weights, for so many sequences of so many tokens.

        Args:
            held: weights are to be held.
        """
        ...


@runtime_checkable
class RewardFn(Protocol):
    """Scores completions. Any callable will do; it need not be a torch module."""

    def __call__(self, prompts: Sequence[str], completions: Sequence[str]) -> Sequence[float]:
        """One finite score per completion, higher is better."""
        ...


class MarksFn(Protocol):
    """A gold judge: marks for a completion. Must cope with any text."""

    def __call__(self, prompt: Prompt, completion: str) -> AnyMarks:
        """Marks in [0, 1] per criterion; the criteria are the same for every completion."""
        ...


class World(Protocol):
    """A bundled task: texts to learn from, prompts to answer, and a gold judge to measure by."""

    name: str
    guidelines: str
    """Markdown, for people who judge: what is better here."""

    def pretraining_texts(self, seed: int) -> list[str]:
        """Documents for the base model."""
        ...

    def demonstrations(self, seed: int) -> list[tuple[Prompt, str]]:
        """(prompt, answer) pairs for supervised fine-tuning; train prompts only. Empty: the base goes first."""
        ...

    def prompts(self, split: str) -> list[Prompt]:
        """All prompts of `train` or `test`."""
        ...

    def marks(self, prompt: Prompt, completion: str) -> AnyMarks:
        """The gold judge."""
        ...


class FeedbackStore(Protocol):
    """What a judge needs of the store; the web page and simulated people use the same calls."""

    def lease(self, task_ids: Sequence[int], person_id: int, seed: int) -> list[Assignment]:
        """This person's assignments on these tasks, made if there is room, else returned if already held."""
        ...

    def submit(self, assignment_id: int, judgement: Judgement, idempotency_key: str) -> int:
        """Record a judgement and return its id; the same key again returns the same id and records nothing."""
        ...

    def submit_all(self, submissions: Sequence[tuple[int, Judgement, str]]) -> list[int]:
        """Record (assignment id, judgement, key) each as `submit` does, all or none; returns their ids in order."""
        ...


class Progress(Protocol):
    """Where long work tells how far it is; the command line draws it with rate and time left."""

    def start(self, name: str, total: int, done: int = 0) -> None:
        """Work begins, or goes on."""
        ...

    def advance(self, done: int, headline: str = "") -> None:
        """So many are done; `headline` is the figure that matters."""
        ...

    def finish(self) -> None:
        """The work is done."""
        ...

    def say(self, line: str) -> None:
        """A sentence for the reader."""
        ...


class Silent:
    """A Progress that shows nothing."""

    def start(self, name: str, total: int, done: int = 0) -> None:
        """Nothing is shown."""

    def advance(self, done: int, headline: str = "") -> None:
        """Nothing is shown."""

    def finish(self) -> None:
        """Nothing is shown."""

    def say(self, line: str) -> None:
        """Nothing is shown."""


@dataclass(frozen=True)
class StepResult:
    """What an environment answers: the next observation, the reward in reward units, and whether it is over."""

    messages: tuple[Message, ...]
    reward: float
    done: bool


class Environment(Protocol):
    """A world that answers with messages. Two methods are enough.

    An object is made for every game. All chance must come from the seed: the same seed and the same completions give
    the same answers, or a run that was stopped could not go on to the same bits.
    """

    def reset(self, seed: int) -> tuple[Message, ...]:
        """The first messages."""
        ...

    def step(self, completion: str) -> StepResult:
        """The answer to the policy's completion."""
        ...


@runtime_checkable
class TwoPlayerEnvironment(Protocol):
    """An environment in which the policy plays the other side too (self-play).

    Where it is the other side's turn, `reset` and `step` give no messages, and `asked` says what that side is asked.
    """

    def asked(self) -> tuple[Message, ...]:
        """The conversation that the other side is to continue; empty where it is not its turn."""
        ...

    def answered(self, completion: str) -> StepResult:
        """The answer, for the policy, to what the other side wrote; the reward counts for the policy's last turn."""
        ...


@runtime_checkable
class SpokenEnvironment(Protocol):
    """An environment that can show how it is spoken to, so that a model can be pretrained for it from scratch."""

    def conversations(self, seed: int) -> list[tuple[Message, ...]]:
        """Games as conversations: the environment's messages, and as the assistant's what a beginner answers."""
        ...


@runtime_checkable
class ExaminedEnvironment(Protocol):
    """An environment that brings an examination: games that the policy plays greedily."""

    def examinations(self) -> Mapping[str, Sequence[Environment]]:
        """By the name of the part, the games; the i-th of a part is reset with seed i."""
        ...
