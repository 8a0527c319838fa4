"""PPO for language models: clipped ratio, learnt values, and a per-token KL penalty inside the reward.

Schulman et al. 2017; for language models Ziegler et al. 2019, Stiennon et al. 2020, Ouyang et al. 2022; the details
that decide whether it works are collected in Huang et al. 2024, "The N+ Implementation Details of RLHF with PPO".
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from assent.algorithms.actor_critic import actor_critic_targets, required
from assent.algorithms.base import Experience, Targets, Update
from assent.algorithms.shaping import with_penalties
from assent.config.algorithm import PPOSettings
from assent.functional import clipped_value_loss, ppo_policy_loss


class PPO:
    """Proximal policy optimisation.

    Args:
        settings: see `PPOSettings`; each default has its source there.
    """

    needs_values = True

    def __init__(self, settings: PPOSettings) -> None:
        self.settings = settings
        self.epochs = settings.epochs
        self.minibatches = settings.minibatches

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
        """The clipped surrogate with its penalties, and the clipped value loss times its coefficient."""
        s, mask = self.settings, targets.loss_mask
        policy_loss, sums = ppo_policy_loss(
            logprobs, experience.old_logprobs, targets.advantages, mask, s.clip, s.clip, num_valid_tokens
        )
        policy_loss = with_penalties(policy_loss, logprobs, entropy, experience, targets, s, num_valid_tokens)
        value_loss = clipped_value_loss(
            required(values),
            required(experience.values),
            required(targets.returns),
            mask,
            s.value_clip,
            num_valid_tokens,
        )
        return Update(policy_loss, s.value_coef * value_loss, {**sums, "value_loss": value_loss.detach()})
