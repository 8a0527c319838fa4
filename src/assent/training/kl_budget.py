"""A bound on how far RL takes the policy from the reference, in nats per sequence."""

from __future__ import annotations

import math

from torch import Tensor, nn

from assent.config.algorithm import OnPolicySettings
from assent.training.snapshot import Snapshot

RISE = 2.0  # of β, with each step past the budget (Schulman et al. 2017, section 4, which also halves it again)
CALM = 1.5  # below the budget over this, β falls back (the same)
HIGHEST = 1e4  # times the β that was set: beyond, rewards would be nothing but the penalty


class KLBudget:
    """What happens past the budget, and the last weights that were within it.

    The KL of a policy is the mean over the rollouts that it wrote in a step (k1, summed over a sequence): what RL has
    anyway, and as uncertain as their number is small.

    Args:
        settings: `kl_budget` and `kl_budget_action`; no budget, no bound.
        model: the policy.
    """

    def __init__(self, settings: OnPolicySettings, model: nn.Module) -> None:
        self.limit = settings.kl_budget
        self.least, self.most = settings.kl_coef, HIGHEST * settings.kl_coef
        self.stops = self.limit is not None and settings.kl_budget_action == "stop"
        self.ended = False
        self.step = 0  # after which the weights within it are kept
        self._within = Snapshot("within_policy", model)

    def passed(self, kl: float) -> bool:
        """True if a policy of this KL is past the budget."""
        return self.limit is not None and math.isfinite(kl) and kl > self.limit

    def next_kl_coef(self, kl_coef: float, kl: float) -> float:
        """β after a step whose rollouts had this KL: doubled past a budget that does not stop, halved well within it.

        It falls no lower than where it was set; `kl_target`, which moves it by far less, may take it lower.
        """
        if self.limit is None or self.stops:
            return kl_coef
        if self.passed(kl):
            return min(kl_coef * RISE, self.most)
        calm = kl < self.limit / CALM and kl_coef > self.least
        return max(kl_coef / RISE, self.least) if calm else kl_coef

    def keep_or_end(self, kl: float, step: int) -> None:
        """Keep these weights, after so many steps and with this KL; past the budget go back to those kept, and end.

        A policy that is past it before anything was learnt stays as it is: a round may begin with the last one that
        the round before held to be within.
        """
        if not self.stops:
            return
        if not self.passed(kl):
            self._within.take()
            self.step = step
            return
        if self._within:
            self._within.put_back()
        self.ended = True

    @property
    def learnt(self) -> bool:
        """False if the policy that RL began with was past the budget already."""
        return bool(self._within)

    def memory(self) -> int:
        """Bytes of the weights kept."""
        return self._within.memory() if self.stops else 0

    def tensors(self) -> dict[str, Tensor]:
        """The weights kept, for a checkpoint."""
        return self._within.tensors()

    def restore(self, tensors: dict[str, Tensor], ended: bool, step: int) -> None:
        """The inverse of `tensors`."""
        self._within.restore(tensors)
        self.ended, self.step = ended, step
