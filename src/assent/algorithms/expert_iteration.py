"""Expert iteration by rejection sampling: of each prompt's rollouts, the best are imitated.

Sampling many and keeping the best is the expert, and the policy learns from it by maximum likelihood (Anthony et al.
2017, whose expert is a tree search; for language models Dong et al. 2023, RAFT). One round from the reference with
groups of n goes towards the best-of-n policy; each further one starts from where the last one ended.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from assent.algorithms.base import Experience, Targets, Update
from assent.algorithms.shaping import grouped_rewards, shaped_rewards, targets_of, with_penalties
from assent.config.algorithm import ExpertIterationSettings
from assent.functional import best_of_group, masked_sum, policy_gradient_loss, spread_over_tokens, zero_masked


class ExpertIteration:
    """The negative log-likelihood of the best rollouts of each group.

    Args:
        settings: see `ExpertIterationSettings`; each default has its source there.
    """

    needs_values = False

    def __init__(self, settings: ExpertIterationSettings) -> None:
        self.settings = settings
        self.epochs = settings.epochs
        self.minibatches = settings.minibatches

    def targets(self, experience: Experience, kl_coef: float) -> Targets:
        """An advantage of 1 for every token that is imitated; all others are left out of the loss and of its mean.

        The rank is by the whole reward, the KL in it if that penalty stands in the reward. Of equal ones the first
        written goes first; a group of nothing but equal ones has no best, and is left out.
        """
        s = self.settings
        rewards, kl = shaped_rewards(experience, s, kl_coef)
        best = best_of_group(grouped_rewards(rewards, experience), s.keep).flatten()
        advantages = spread_over_tokens(torch.ones_like(experience.score), experience.mask)
        loss_mask = experience.mask & best[:, None]
        targets = targets_of(experience, s, kl_coef, advantages, rewards, kl, loss_mask=loss_mask)
        kept = experience.score[best]
        return replace(targets, figures={"kept_score": float(kept.mean())} if len(kept) else {})

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
        """−log π of the tokens that are imitated, without ratio or clip, with the penalties that stand in the loss."""
        mask = targets.loss_mask
        loss = policy_gradient_loss(logprobs, targets.advantages, mask, num_valid_tokens)
        loss = with_penalties(loss, logprobs, entropy, experience, targets, self.settings, num_valid_tokens)
        moved = zero_masked(logprobs.detach() - experience.old_logprobs, mask)
        return Update(loss, None, {"approx_kl": masked_sum(moved.expm1() - moved, mask)})
