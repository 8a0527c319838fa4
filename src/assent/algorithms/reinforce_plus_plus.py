"""REINFORCE++: returns whitened over the whole batch, under PPO's clip and without its value model (Hu et al. 2025)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from assent.algorithms.base import Experience
from assent.algorithms.shaping import grouped_rewards
from assent.algorithms.value_free import ValueFree
from assent.config.algorithm import ReinforcePlusPlusSettings
from assent.functional import discounted_returns, group_advantages, spread_over_tokens, whiten


class ReinforcePlusPlus(ValueFree):
    """REINFORCE++, and REINFORCE++-baseline, which takes the mean of a prompt's rollouts first.

    Args:
        settings: see `ReinforcePlusPlusSettings`; each default has its source there.
    """

    def __init__(self, settings: ReinforcePlusPlusSettings) -> None:
        super().__init__(settings, settings.clip)
        self.settings = settings

    def advantages(self, rewards: Float[Tensor, "B T"], experience: Experience) -> Float[Tensor, "B T"]:
        """What follows each token, or the sequence's reward less its group's mean; mean 0, variance 1 in the batch."""
        if self.settings.baseline == "none":
            return whiten(discounted_returns(rewards, experience.mask, 1.0), experience.mask)
        advantages = group_advantages(grouped_rewards(rewards, experience), scale=False)
        return whiten(spread_over_tokens(advantages.flatten(), experience.mask), experience.mask)
