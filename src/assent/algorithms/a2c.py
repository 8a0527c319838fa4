"""A2C: the policy gradient with advantages against learnt values, one update a step (Mnih et al. 2016).

It is PPO with one epoch, one minibatch and no clips (Huang et al. 2022), and a test holds it to the same weights.
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from assent.algorithms.actor_critic import actor_critic_targets, required
from assent.algorithms.base import Experience, Targets, Update
from assent.algorithms.shaping import with_penalties
from assent.config.algorithm import A2CSettings
from assent.functional import clipped_value_loss, masked_sum, policy_gradient_loss, zero_masked


class A2C:
    """Advantage actor-critic.

    Args:
        settings: see `A2CSettings`; each default has its source there.
    """

    needs_values = True

    def __init__(self, settings: A2CSettings) -> None:
        self.settings = settings
        self.epochs: int = settings.epochs
        self.minibatches: int = settings.minibatches

    def targets(self, experience: Experience, kl_coef: float) -> Targets:
        """Advantages and returns against the old values."""
        return actor_critic_targets(experience, self.settings, kl_coef)

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
        """−A · log π with the penalties in the loss, and the squared error of the values times its coefficient."""
        s, mask = self.settings, targets.loss_mask
        policy_loss = policy_gradient_loss(logprobs, targets.advantages, mask, num_valid_tokens)
        policy_loss = with_penalties(policy_loss, logprobs, entropy, experience, targets, s, num_valid_tokens)
        value_loss = clipped_value_loss(
            required(values),
            required(experience.values),
            required(targets.returns),
            mask,
            math.inf,
            num_valid_tokens,
        )
        # There is but one update, so that these log-probabilities are the old ones: what is logged is their rounding.
        moved = zero_masked(logprobs.detach() - experience.old_logprobs, mask)
        sums = {"approx_kl": masked_sum(moved.expm1() - moved, mask), "value_loss": value_loss.detach()}
        return Update(policy_loss, s.value_coef * value_loss, sums)
