"""GRPO: rewards relative to the other rollouts of a prompt stand in for a value model (Shao et al. 2024, DeepSeekMath).

What came after it differs in a setting or two:

- Dr. GRPO (Liu et al. 2025): scale = none, loss_mean = constant;
- DAPO (Yu et al. 2025): clip_high = 0.28, loss_mean = tokens, drop_zero_variance, kl_coef = 0, and truncated
  completions either left out (mask_truncated) or penalised for their length (overlong_buffer);
- GSPO (Zheng et al. 2025): ratio = sequence, loss_mean = sequences;
- CISPO (MiniMax 2025): ratio = detached.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from assent.algorithms.base import Experience, Targets, Update
from assent.algorithms.shaping import grouped_rewards, shaped_rewards, targets_of, with_penalties
from assent.config.algorithm import GRPOSettings
from assent.functional import (
    detached_ratio_policy_loss,
    divided_by_length,
    equal_groups,
    group_advantages,
    overlong_penalty,
    ppo_policy_loss,
    sequence_ratio_policy_loss,
    spread_over_tokens,
)

_LOSSES = {
    "token": ppo_policy_loss,
    "sequence": sequence_ratio_policy_loss,
    "detached": detached_ratio_policy_loss,
}


class GRPO:
    """Group relative policy optimisation.

    Args:
        settings: see `GRPOSettings`; each default has its source there.
    """

    needs_values = False

    def __init__(self, settings: GRPOSettings) -> None:
        self.settings = settings
        self.epochs = settings.epochs
        self.minibatches = settings.minibatches

    def targets(self, experience: Experience, kl_coef: float) -> Targets:
        """One advantage for all tokens of a sequence: its reward against its group's.

        The sequence's summed KL is in that reward, unless the penalty stands in the loss. A group is of equal rewards
        only if they are equal after that: one whose scores agree and whose KL differs still teaches something.
        """
        s = self.settings
        rewards, kl = shaped_rewards(experience, s, kl_coef, self._length_penalty(experience))
        groups = grouped_rewards(rewards, experience)
        advantages = spread_over_tokens(group_advantages(groups, s.scale == "group-std").flatten(), experience.mask)
        loss_mask = self._loss_mask(experience, equal_groups(groups))
        return targets_of(experience, s, kl_coef, advantages, rewards, kl, loss_mask=loss_mask)

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
        """The surrogate of the chosen ratio, in the chosen mean, with the penalties that stand in the loss."""
        s, mask = self.settings, targets.loss_mask
        advantages, share, denominator = targets.advantages, None, num_valid_tokens
        if s.loss_mean != "tokens":
            denominator = self._sequences(num_sequences, experience)
        if s.loss_mean == "sequences":
            # A share of 1/length in the advantage makes a sum over tokens one of token means, under any clip.
            share = divided_by_length(mask.to(advantages.dtype), mask)
            advantages = divided_by_length(advantages, mask)
        low, high = s.clips
        loss, sums = _LOSSES[s.ratio](logprobs, experience.old_logprobs, advantages, mask, low, high, denominator)
        return Update(with_penalties(loss, logprobs, entropy, experience, targets, s, denominator, share), None, sums)

    def _sequences(self, num_sequences: float | None, experience: Experience) -> float:
        """The denominator of a mean over sequences."""
        if num_sequences is None:
            raise ValueError(f"loss_mean {self.settings.loss_mean} needs the minibatch's number of sequences")
        if self.settings.loss_mean == "sequences":
            return num_sequences
        return num_sequences * self._longest(experience)

    def _length_penalty(self, experience: Experience) -> Float[Tensor, " B"] | None:
        if self.settings.overlong_buffer == 0:
            return None
        return overlong_penalty(experience.mask.sum(-1), self._longest(experience), self.settings.overlong_buffer).to(
            experience.score.dtype
        )

    def _loss_mask(self, experience: Experience, equal: Bool[Tensor, " P"]) -> Bool[Tensor, "B T"]:
        mask = experience.mask
        if self.settings.mask_truncated:
            mask = mask & experience.finished[:, None]
        if self.settings.drop_zero_variance:
            mask = mask & ~equal.repeat_interleave(experience.samples_per_prompt)[:, None]
        return mask

    def _longest(self, experience: Experience) -> int:
        if experience.max_new_tokens is None:
            raise ValueError("GRPO with these settings needs to know where sampling cuts a completion")
        return experience.max_new_tokens
