"""Online DPO: pairs that the policy has just written, judged by the reward, under DPO's loss (Guo et al. 2024).

DPO's loss and what its gradient does are in `functional.preference_loss` (Rafailov et al. 2023). Here its one update
of a step is made on the very policy that wrote the pairs, so that each pair's weight β σ(−h) is known before the
update. It stands in the advantages of the two completions, and the gradient is DPO's own, however the rows are split.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from assent.algorithms.base import Experience, Targets, Update
from assent.algorithms.shaping import grouped_rewards, shaped_rewards, targets_of, with_penalties
from assent.config.algorithm import OnlineDPOSettings
from assent.functional import (
    dpo_loss_with_ties,
    equal_groups,
    extremes_of_group,
    masked_sum,
    policy_gradient_loss,
    spread_over_tokens,
    zero_masked,
)


class OnlineDPO:
    """DPO between the best and the worst rollout of each group.

    Args:
        settings: see `OnlineDPOSettings`; each default has its source there.
    """

    needs_values = False

    def __init__(self, settings: OnlineDPOSettings) -> None:
        self.settings = settings
        self.epochs: int = settings.epochs
        self.minibatches: int = settings.minibatches

    def targets(self, experience: Experience, kl_coef: float) -> Targets:
        """β (p − σ(h)) for each token of a pair's chosen completion, and its negative for the rejected one's.

        h is the difference of the implicit rewards β (log π − log π_ref), p the label: 1, or σ(difference of scores)
        where labels are soft. With hard labels a group of equal scores has no pair, and is left out; with soft ones it
        is a tie, p = ½.
        """
        rewards, kl = shaped_rewards(experience, self.settings, 0.0)
        scores = grouped_rewards(rewards, experience)
        chosen, rejected = extremes_of_group(scores)
        rows = torch.arange(len(scores), device=scores.device)
        implicit = kl_coef * kl.view_as(scores)
        h = implicit[rows, chosen] - implicit[rows, rejected]
        p = torch.ones_like(h)
        if self.settings.labels == "soft":
            p = (scores[rows, chosen] - scores[rows, rejected]).sigmoid()
        slope = torch.zeros_like(scores)
        slope[rows, chosen] = kl_coef * (p - h.sigmoid())
        slope[rows, rejected] = -slope[rows, chosen]
        compared = torch.ones_like(h, dtype=torch.bool)
        if self.settings.labels == "hard":
            compared = ~equal_groups(scores)
        paired = torch.zeros_like(scores, dtype=torch.bool)
        paired[rows, chosen] = paired[rows, rejected] = compared
        advantages = spread_over_tokens(slope.flatten(), experience.mask)
        loss_mask = experience.mask & paired.flatten()[:, None]
        targets = targets_of(experience, self.settings, kl_coef, advantages, rewards, kl, loss_mask=loss_mask)
        return replace(targets, figures=_figures(h[compared], p[compared]))

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
        """−A · log π over the number of pairs, whose gradient is that of DPO's mean over pairs.

        Raises:
            ValueError: the number of sequences, two of each pair, is not given.
        """
        if num_sequences is None:
            raise ValueError("online DPO needs the minibatch's number of sequences")
        mask, pairs = targets.loss_mask, num_sequences / 2
        loss = policy_gradient_loss(logprobs, targets.advantages, mask, pairs)
        loss = with_penalties(loss, logprobs, entropy, experience, targets, self.settings, num_valid_tokens)
        moved = zero_masked(logprobs.detach() - experience.old_logprobs, mask)
        return Update(loss, None, {"approx_kl": masked_sum(moved.expm1() - moved, mask)})


def _figures(h: Float[Tensor, " N"], p: Float[Tensor, " N"]) -> dict[str, float]:
    """DPO's loss in nats, and the share of pairs whose better completion the policy has raised more; for the log."""
    if not len(h):
        return {}
    none = torch.zeros_like(h)
    loss, _, _ = dpo_loss_with_ties(h, none, none, none, p, None, 1.0, len(h))
    return {"dpo_loss": float(loss), "dpo_accuracy": float((h > 0).double().mean())}
