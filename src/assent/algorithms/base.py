"""What a trainer asks of an on-policy algorithm, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Experience:
    """A step's rollouts as tensors, before the update; B rollouts, T the longest completion."""

    mask: Bool[Tensor, "B T"]
    score: Float[Tensor, " B"]
    finished: Bool[Tensor, " B"]
    old_logprobs: Float[Tensor, "B T"]
    ref_logprobs: Float[Tensor, "B T"]
    values: Float[Tensor, "B T"] | None  # under the value model as it was when the rollouts were made


@dataclass(frozen=True)
class Targets:
    """What the update works towards, with figures for the log."""

    advantages: Float[Tensor, "B T"]
    returns: Float[Tensor, "B T"]
    rewards: Float[Tensor, "B T"]
    kl: Float[Tensor, " B"]  # nats per sequence


@dataclass(frozen=True)
class Update:
    """Losses of one microbatch, each already divided by the minibatch's global denominator, and sums for the log."""

    policy_loss: Float[Tensor, ""]
    value_loss: Float[Tensor, ""] | None
    sums: dict[str, Tensor]  # over valid tokens


class OnPolicyAlgorithm(Protocol):
    """One small file each. It knows tensors, not how batches arrive."""

    needs_values: bool
    epochs: int
    minibatches: int

    def targets(self, experience: Experience, kl_coef: float) -> Targets:
        """Advantages and returns of a whole step's rollouts."""
        ...

    def losses(
        self,
        logprobs: Float[Tensor, "B T"],
        entropy: Float[Tensor, "B T"] | None,
        values: Float[Tensor, "B T"] | None,
        experience: Experience,
        targets: Targets,
        num_valid_tokens: float,
    ) -> Update:
        """The losses of one microbatch of the step, given what the models say of it now."""
        ...
