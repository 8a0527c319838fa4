"""Online DPO: pairs that the policy has just written, judged by the reward, under DPO's loss (Guo et al. 2024).

DPO's loss and what its gradient does are in `functional.preference_loss` (Rafailov et al. 2023). Here its one update
of a step is made on the very policy that wrote the pairs, so that each pair's weight β σ(−h) is known before the
update. It stands in the advantages of the two completions, and the gradient is DPO's own, however the rows are split.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
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


@dataclass(frozen=True)
class _Pairs:
    """What is compared. C pairs of a group, the better completion first."""

    h: Float[Tensor, "P C"]  # the difference of the implicit rewards
    p: Float[Tensor, "P C"]  # the label
    slope: Float[Tensor, "P G"]  # β (p − σ(h)), added up over a completion's pairs
    rows: Bool[Tensor, "P G"]  # the completions that are compared
    groups: Bool[Tensor, " P"]  # those with a pair


class OnlineDPO:
    """DPO between the best and the worst rollout of each group, or, where labels are soft, between all of them.

    Args:
        settings: see `OnlineDPOSettings`; each default has its source there.
    """

    needs_values = False

    def __init__(self, settings: OnlineDPOSettings) -> None:
        self.settings = settings
        self.epochs: int = settings.epochs
        self.minibatches: int = settings.minibatches

    def targets(self, experience: Experience, kl_coef: float) -> Targets:
        """β (p − σ(h)) for each token of a pair's better completion, and its negative for the other one's.

        h is the difference of the implicit rewards β (log π − log π_ref), p the label: 1, or σ(difference of scores)
        where labels are soft. With hard labels a group of equal scores has no pair, and is left out; with soft ones it
        is all ties, p = ½.
        """
        rewards, kl = shaped_rewards(experience, self.settings, 0.0)
        scores = grouped_rewards(rewards, experience)
        compare = _all_pairs if self.settings.labels == "soft" else _extremes
        pairs = compare(scores, kl_coef * kl.view_as(scores), kl_coef)
        advantages = spread_over_tokens(pairs.slope.flatten(), experience.mask)
        loss_mask = experience.mask & pairs.rows.flatten()[:, None]
        targets = targets_of(experience, self.settings, kl_coef, advantages, rewards, kl, loss_mask=loss_mask)
        return replace(targets, figures=_figures(pairs.h[pairs.groups].flatten(), pairs.p[pairs.groups].flatten()))

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
        """−A · log π over half the number of sequences, whose gradient is that of DPO's mean over pairs.

        Raises:
            ValueError: the number of sequences is not given.
        """
        if num_sequences is None:
            raise ValueError("online DPO needs the minibatch's number of sequences")
        mask, pairs = targets.loss_mask, num_sequences / 2
        loss = policy_gradient_loss(logprobs, targets.advantages, mask, pairs)
        loss = with_penalties(loss, logprobs, entropy, experience, targets, self.settings, num_valid_tokens)
        moved = zero_masked(logprobs.detach() - experience.old_logprobs, mask)
        return Update(loss, None, {"approx_kl": masked_sum(moved.expm1() - moved, mask)})


def _extremes(scores: Float[Tensor, "P G"], implicit: Float[Tensor, "P G"], kl_coef: float) -> _Pairs:
    """The best and the worst of each group; the better one is preferred without fail."""
    chosen, rejected = extremes_of_group(scores)
    rows = torch.arange(len(scores), device=scores.device)
    h = implicit[rows, chosen] - implicit[rows, rejected]
    p = torch.ones_like(h)
    slope = torch.zeros_like(scores)
    slope[rows, chosen] = kl_coef * (p - h.sigmoid())
    slope[rows, rejected] = -slope[rows, chosen]
    compared = ~equal_groups(scores)
    paired = torch.zeros_like(scores, dtype=torch.bool)
    paired[rows, chosen] = paired[rows, rejected] = compared
    return _Pairs(h[:, None], p[:, None], slope, paired, compared)


def _all_pairs(scores: Float[Tensor, "P G"], implicit: Float[Tensor, "P G"], kl_coef: float) -> _Pairs:
    """Every two rollouts of each group.

    The best and the worst alone would not do here: of a large group they are nearly always the same few completions.
    What lies between is then never compared, and the extremes are compared too often for what they are worth. The
    slopes are divided by G − 1, so that half a group's rollouts is the denominator of a mean over all its pairs.
    """
    count = scores.shape[1]
    order = scores.argsort(dim=1, descending=True, stable=True)
    better, worse = torch.triu_indices(count, count, offset=1, device=scores.device)
    ordered, raised = scores.gather(1, order), implicit.gather(1, order)
    h = raised[:, better] - raised[:, worse]
    p = (ordered[:, better] - ordered[:, worse]).sigmoid()
    pull = kl_coef * (p - h.sigmoid()) / (count - 1)
    slope = torch.zeros_like(scores).index_add(1, better, pull).index_add(1, worse, -pull)
    compared = torch.ones_like(scores, dtype=torch.bool)
    return _Pairs(h, p, torch.zeros_like(scores).scatter(1, order, slope), compared, compared[:, 0])


def _figures(h: Float[Tensor, " N"], p: Float[Tensor, " N"]) -> dict[str, float]:
    """DPO's loss in nats, and the share of pairs whose better completion the policy has raised more; for the log."""
    if not len(h):
        return {}
    none = torch.zeros_like(h)
    loss, _, _ = dpo_loss_with_ties(h, none, none, none, p, None, 1.0, len(h))
    return {"dpo_loss": float(loss), "dpo_accuracy": float((h > 0).double().mean())}
