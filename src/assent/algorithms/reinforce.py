"""REINFORCE: the policy gradient with what followed each token as its weight (Williams 1992)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from assent.algorithms.base import Experience
from assent.algorithms.value_free import ValueFree
from assent.config.algorithm import ReinforceSettings
from assent.functional import discounted_returns, masked_mean, zero_masked


class Reinforce(ValueFree):
    """The policy gradient, with the batch's mean return as baseline if wanted.

    The mean is over all tokens of the step. As it contains the rollout that it is taken from, the gradient is shrunk
    by about one part in the number of rollouts; RLOO's baseline is free of that.

    Args:
        settings: see `ReinforceSettings`; each default has its source there.
    """

    def __init__(self, settings: ReinforceSettings) -> None:
        super().__init__(settings)
        self.settings = settings

    def advantages(self, rewards: Float[Tensor, "B T"], experience: Experience) -> Float[Tensor, "B T"]:
        """The return from each token on, less the mean return."""
        returns = discounted_returns(rewards, experience.mask, self.settings.gamma)
        if self.settings.baseline == "none":
            return returns
        return zero_masked(returns - masked_mean(returns, experience.mask), experience.mask)
