"""Losses of the reward model, one per kind of label. All in nats, all divided by a count that is global.

A pair's `weight` says how much its judgement counts. A pair of weight 0 never matters, whatever its scores.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from assent.functional.masking import Denominator


def bradley_terry_loss(
    chosen: Float[Tensor, " N"],
    rejected: Float[Tensor, " N"],
    weight: Float[Tensor, " N"] | None,
    num_pairs: Denominator,
) -> Float[Tensor, ""]:
    """-Σ w log sigmoid(chosen - rejected) / num_pairs (Bradley & Terry 1952; Stiennon et al. 2020, eq. 1).

    InstructGPT's average over all K-choose-2 pairs of a prompt: `weight=pair_weights(...)`, `num_pairs` = prompts.
    """
    return _weighted(-F.logsigmoid(_difference(chosen, rejected, weight)), weight, num_pairs)


def pairwise_loss_with_ties(
    first: Float[Tensor, " N"],
    second: Float[Tensor, " N"],
    preference: Float[Tensor, " N"],
    weight: Float[Tensor, " N"] | None,
    num_pairs: Denominator,
) -> Float[Tensor, ""]:
    """Cross-entropy of sigmoid(first - second) against a soft label: 1 the first is preferred, 0 the second, 0.5 a tie.

    A tie pulls the two scores together and costs at least ln 2. With labels of 0 and 1 it is `bradley_terry_loss`.
    """
    difference = _difference(first, second, weight)
    losses = -preference * F.logsigmoid(difference) - (1.0 - preference) * F.logsigmoid(-difference)
    return _weighted(losses, weight, num_pairs)


def davidson_loss(
    first: Float[Tensor, " N"],
    second: Float[Tensor, " N"],
    preference: Float[Tensor, " N"],
    log_tie: Float[Tensor, ""],
    weight: Float[Tensor, " N"] | None,
    num_pairs: Denominator,
) -> Float[Tensor, ""]:
    """-log-likelihood of Davidson's model (1970), in which a tie is an outcome of its own.

    P(first) : P(tie) : P(second) = e^{d/2} : n : e^{-d/2} with d = first - second and n = e^{log_tie}; `log_tie` is
    any real number and may be learned with the scores. Equal scores tie with probability n / (2 + n).
    `preference` is 1, 0.5 (tie) or 0; a value between two of them is a mixture of these two labels.
    """
    half = 0.5 * _difference(first, second, weight)
    log_p = torch.stack([half, log_tie.expand_as(half), -half]).log_softmax(dim=0)
    lean = 2.0 * preference - 1.0
    target = torch.stack([lean.clamp(min=0.0), 1.0 - lean.abs(), (-lean).clamp(min=0.0)])
    return _weighted(-(target * log_p).sum(dim=0), weight, num_pairs)


def best_of_k_loss(
    scores: Float[Tensor, "P K"],
    best: Int[Tensor, " P"],
    mask: Bool[Tensor, "P K"],
    num_groups: Denominator,
) -> Float[Tensor, ""]:
    """-Σ log softmax(scores)[best] / num_groups over the candidates that exist (Ziegler et al. 2019, eq. 1).

    `mask` is false where a group has fewer than K candidates; a group with none (padding) contributes 0.

    Raises:
        ValueError: the best of a group is a candidate that does not exist.
    """
    exists = mask.any(dim=-1)
    index = torch.where(exists, best.long(), 0)[:, None]
    if bool(((index < 0) | (index >= mask.shape[1])).any()) or not bool(mask.gather(1, index)[exists].all()):
        raise ValueError("best_of_k_loss: `best` names a candidate that is masked or outside 0..K-1")
    # a row of -inf alone would be NaN in the softmax, so an absent group keeps a row of zeros and is dropped below
    filled = torch.where(mask, scores, torch.where(exists, -torch.inf, 0.0)[:, None].to(scores.dtype))
    losses = -filled.log_softmax(dim=-1).gather(1, index).squeeze(1)
    return torch.where(exists, losses, torch.zeros_like(losses)).sum() / num_groups


def pair_weights(pairs_per_group: Int[Tensor, " P"]) -> Float[Tensor, " N"]:
    """Weights that give every group the same say: 1/n for each of a group's n pairs, groups in order, N = Σ n.

    InstructGPT (Ouyang et al. 2022, eq. 1) averages the K-choose-2 pairs of a prompt, then the prompts; pass these
    weights with `num_pairs` set to the number of prompts.
    """
    return torch.repeat_interleave(1.0 / pairs_per_group, pairs_per_group)


def _difference(
    first: Float[Tensor, " N"], second: Float[Tensor, " N"], weight: Float[Tensor, " N"] | None
) -> Float[Tensor, " N"]:
    difference = first - second
    return difference if weight is None else torch.where(weight != 0, difference, torch.zeros_like(difference))


def _weighted(
    losses: Float[Tensor, " N"], weight: Float[Tensor, " N"] | None, num_pairs: Denominator
) -> Float[Tensor, ""]:
    return (losses if weight is None else weight * losses).sum() / num_pairs
