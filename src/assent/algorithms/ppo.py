"""PPO for language models: clipped ratio, learnt values, and a per-token KL penalty inside the reward.

Schulman et al. 2017; for language models Ziegler et al. 2019, Stiennon et al. 2020, Ouyang et al. 2022; the details
that decide whether it works are collected in Huang et al. 2024, "The N+ Implementation Details of RLHF with PPO".
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from assent.algorithms.base import Experience, Targets, Update
from assent.config.algorithm import PPOSettings
from assent.functional import (
    clipped_value_loss,
    gae,
    masked_sum,
    penalise_missing_eos,
    ppo_policy_loss,
    returns_from_advantages,
    shape_rewards,
    whiten,
)


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
        """score − missing-EOS penalty on the last token, −β·KL on every token, then GAE against the old values."""
        s = self.settings
        if experience.values is None:
            raise ValueError("PPO needs values")
        score = penalise_missing_eos(experience.score, experience.finished, s.missing_eos_penalty)
        rewards, kl = shape_rewards(score, experience.old_logprobs, experience.ref_logprobs, experience.mask, kl_coef)
        if s.whiten_rewards:
            rewards = whiten(rewards, experience.mask, shift_mean=False)
        advantages = gae(rewards, experience.values, experience.mask, s.gamma, s.gae_lambda)
        returns = returns_from_advantages(advantages, experience.values, experience.mask)
        if s.whiten_advantages:
            advantages = whiten(advantages, experience.mask, shift_mean=True)
        return Targets(advantages, returns, rewards, masked_sum(kl, experience.mask, dim=-1))

    def losses(
        self,
        logprobs: Float[Tensor, "B T"],
        entropy: Float[Tensor, "B T"] | None,
        values: Float[Tensor, "B T"] | None,
        experience: Experience,
        targets: Targets,
        num_valid_tokens: float,
    ) -> Update:
        """The clipped surrogate, less the entropy bonus; and the clipped value loss times its coefficient."""
        s = self.settings
        if values is None or experience.values is None:
            raise ValueError("PPO needs values")
        policy_loss, sums = ppo_policy_loss(
            logprobs, experience.old_logprobs, targets.advantages, experience.mask, s.clip, s.clip, num_valid_tokens
        )
        if s.entropy_coef and entropy is not None:
            policy_loss = policy_loss - s.entropy_coef * masked_sum(entropy, experience.mask) / num_valid_tokens
        value_loss = clipped_value_loss(
            values, experience.values, targets.returns, experience.mask, s.value_clip, num_valid_tokens
        )
        return Update(policy_loss, s.value_coef * value_loss, {**sums, "value_loss": value_loss.detach()})
