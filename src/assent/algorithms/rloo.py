"""RLOO: REINFORCE with the mean of a prompt's other rollouts as baseline (Ahmadian et al. 2024, "Back to Basics")."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from assent.algorithms.base import Experience
from assent.algorithms.shaping import grouped_rewards
from assent.algorithms.value_free import ValueFree
from assent.config.algorithm import RLOOSettings
from assent.functional import leave_one_out_advantages, spread_over_tokens


class RLOO(ValueFree):
    """REINFORCE leave-one-out. A completion is one action: all its tokens have one advantage.

    Args:
        settings: see `RLOOSettings`; each default has its source there.
    """

    def __init__(self, settings: RLOOSettings) -> None:
        super().__init__(settings)

    def advantages(self, rewards: Float[Tensor, "B T"], experience: Experience) -> Float[Tensor, "B T"]:
        """The sequence's reward, its summed KL in it, less the mean of the others of its prompt."""
        advantages = leave_one_out_advantages(grouped_rewards(rewards, experience))
        return spread_over_tokens(advantages.flatten(), experience.mask)
