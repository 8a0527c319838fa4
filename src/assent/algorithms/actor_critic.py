"""What PPO and A2C have in common: advantages against learnt values."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from assent.algorithms.base import Experience, Targets
from assent.algorithms.shaping import shaped_rewards, targets_of
from assent.config.algorithm import ActorCriticSettings
from assent.functional import gae, returns_from_advantages, whiten


def actor_critic_targets(experience: Experience, settings: ActorCriticSettings, kl_coef: float) -> Targets:
    """score − missing-EOS penalty on the last token, −β·KL on every token, then GAE against the old values.

    Raises:
        ValueError: there are no values.
    """
    values = required(experience.values)
    rewards, kl = shaped_rewards(experience, settings, kl_coef)
    if settings.whiten_rewards:
        rewards = whiten(rewards, experience.mask, shift_mean=False)
    advantages = gae(rewards, values, experience.mask, settings.gamma, settings.gae_lambda)
    returns = returns_from_advantages(advantages, values, experience.mask)
    if settings.whiten_advantages:
        advantages = whiten(advantages, experience.mask, shift_mean=True)
    return targets_of(experience, settings, kl_coef, advantages, rewards, kl, returns)


def required(table: Float[Tensor, "B T"] | None) -> Float[Tensor, "B T"]:
    """Values or returns that must be there.

    Raises:
        ValueError: they are not.
    """
    if table is None:
        raise ValueError("an actor-critic algorithm needs values")
    return table
