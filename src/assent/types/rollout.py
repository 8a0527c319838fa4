"""What a policy wrote, as plain values: lists, no tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class FinishReason(StrEnum):
    """Why a completion ended."""

    STOP = "stop"  # the model wrote its end token (kept as the last token)
    LENGTH = "length"  # cut at max_new_tokens
    CONTEXT = "context"  # cut at the model's context length


@dataclass(frozen=True)
class GenerationRequest:
    """One prompt to be continued `n` times."""

    prompt_ids: Sequence[int]
    n: int = 1


@dataclass(frozen=True)
class Generation:
    """One sampled continuation."""

    request: int  # index of its request
    token_ids: Sequence[int]  # [T] with the end token if it was written
    rollout_logprobs: Sequence[float]  # [T] in nats, under the distribution that was sampled
    finish_reason: FinishReason
    policy_version: str


@dataclass(frozen=True)
class Rollout:
    """A completion, or several turns in an environment, with what RL needs of it.

    `group` holds the rollouts of one prompt, or of one seed of an environment, together.
    """

    prompt_index: int
    prompt_ids: Sequence[int]
    completion_ids: Sequence[int]  # [T] in an environment with what it answered between the turns
    rollout_logprobs: Sequence[float]  # [T] 0 where the policy did not write
    finish_reason: FinishReason
    text: str
    policy_version: str
    group: int = 0
    score: float | None = None
    written: Sequence[bool] | None = None  # [T] false on an environment's tokens; None: the policy wrote all of them
    rewards: Sequence[float] | None = None  # [T] an environment's, each on the last token of the turn that earned it

    @property
    def finished(self) -> bool:
        """True if the model ended the completion itself; in an environment, every turn of it."""
        return self.finish_reason is FinishReason.STOP

    @property
    def turns(self) -> int:
        """How many times the policy wrote: runs of its own tokens."""
        if self.written is None:
            return 1
        return sum(own and not (i and self.written[i - 1]) for i, own in enumerate(self.written))
