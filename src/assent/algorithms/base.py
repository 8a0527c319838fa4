"""What a trainer asks of an on-policy algorithm, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Experience:
    """A step's rollouts as tensors, before the update; B rollouts, T the longest completion."""

    mask: Bool[Tensor, "B T"]  # true where the policy wrote; an environment's tokens between its turns are masked
    score: Float[Tensor, " B"]
    finished: Bool[Tensor, " B"]
    old_logprobs: Float[Tensor, "B T"]
    ref_logprobs: Float[Tensor, "B T"]
    values: Float[Tensor, "B T"] | None  # under the value model as it was when the rollouts were made
    rollout_logprobs: Float[Tensor, "B T"] | None = None  # as the generator sampled them
    samples_per_prompt: int = 1  # G: so many rows of one prompt stand next to one another
    max_new_tokens: int | None = None  # where sampling cuts a completion; in an environment, all turns together
    earned: Float[Tensor, "B T"] | None = None  # what an environment paid, on the last token of a turn; sum: score

    def take(self, rows: Sequence[int], width: int) -> Experience:
        """These rows, cut to `width` tokens. They are part of groups, and no groups any more."""
        cut = _cutter(rows, width, self.mask)
        index = torch.tensor(rows, device=self.mask.device)
        return Experience(
            mask=cut(self.mask),
            score=self.score[index],
            finished=self.finished[index],
            old_logprobs=cut(self.old_logprobs),
            ref_logprobs=cut(self.ref_logprobs),
            values=None if self.values is None else cut(self.values),
            rollout_logprobs=None if self.rollout_logprobs is None else cut(self.rollout_logprobs),
            max_new_tokens=self.max_new_tokens,
            earned=None if self.earned is None else cut(self.earned),
        )


@dataclass(frozen=True)
class Targets:
    """What the update works towards, with figures for the log."""

    advantages: Float[Tensor, "B T"]
    rewards: Float[Tensor, "B T"]
    kl: Float[Tensor, " B"]  # nats per sequence
    loss_mask: Bool[Tensor, "B T"]  # tokens that are trained; those left out count in no mean either
    returns: Float[Tensor, "B T"] | None = None  # what values are fitted to
    kl_coef: float = 0.0  # of the penalty in the loss; 0 where it is in the rewards
    weights: Float[Tensor, "B T"] | None = None  # for a sampler that disagrees; already in the advantages
    figures: Mapping[str, float] = field(default_factory=dict)  # of this algorithm's own, for the log

    def take(self, rows: Sequence[int], width: int) -> Targets:
        """These rows, cut to `width` tokens."""
        cut = _cutter(rows, width, self.loss_mask)
        return replace(
            self,
            advantages=cut(self.advantages),
            rewards=cut(self.rewards),
            kl=self.kl[torch.tensor(rows, device=self.kl.device)],
            loss_mask=cut(self.loss_mask),
            returns=None if self.returns is None else cut(self.returns),
            weights=None if self.weights is None else cut(self.weights),
        )


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
        num_sequences: float | None = None,
    ) -> Update:
        """The losses of one microbatch of the step, given what the models say of it now.

        Both counts are those of the whole minibatch under `targets.loss_mask`: its tokens, and the sequences with any.
        """
        ...


def _cutter(rows: Sequence[int], width: int, like: Tensor) -> Callable[[Tensor], Tensor]:
    index = torch.tensor(rows, device=like.device)
    return lambda table: table[index, :width]
