"""What the algorithms without a value model have in common: an advantage from rewards alone, and a ratio loss."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor

from assent.algorithms.base import Experience, Targets, Update
from assent.algorithms.shaping import shaped_rewards, targets_of, with_penalties
from assent.config.algorithm import OnPolicySettings
from assent.functional import ppo_policy_loss


class ValueFree(ABC):
    """An algorithm that is told by its advantages.

    Args:
        settings: see the algorithm's own.
        clip: of the ratio, both sides. Without one the loss is the policy gradient's: on policy the same bits, and
            in later updates on the same rollouts weighted by the ratio.
    """

    needs_values = False

    def __init__(self, settings: OnPolicySettings, clip: float = math.inf) -> None:
        self.common = settings
        self.clip = clip
        self.epochs = settings.epochs
        self.minibatches = settings.minibatches

    @abstractmethod
    def advantages(self, rewards: Float[Tensor, "B T"], experience: Experience) -> Float[Tensor, "B T"]:
        """The advantage of each token, given its reward with all penalties in it."""

    def targets(self, experience: Experience, kl_coef: float) -> Targets:
        """Rewards, and the advantages that follow from them."""
        rewards, kl = shaped_rewards(experience, self.common, kl_coef)
        return targets_of(experience, self.common, kl_coef, self.advantages(rewards, experience), rewards, kl)

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
        """The surrogate over all tokens, with the penalties that stand in the loss."""
        loss, sums = ppo_policy_loss(
            logprobs,
            experience.old_logprobs,
            targets.advantages,
            targets.loss_mask,
            self.clip,
            self.clip,
            num_valid_tokens,
        )
        loss = with_penalties(loss, logprobs, entropy, experience, targets, self.common, num_valid_tokens)
        return Update(loss, None, sums)
