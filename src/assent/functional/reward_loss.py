"""Losses of the reward model, one per kind of label, each divided by a global count; in nats, but for regression.

The `weight` of a pair, a group or a sample says how much its judgement counts: its share of a prompt's pairs
(`pair_weights`), the reliability of the person who judged, or the product of such factors. With reliabilities the
denominator is the caller's choice: the number of judgements lets doubtful ones teach less, the sum of all weights keeps
the step's size. What has weight 0 never matters, whatever its scores and labels, NaN included.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from assent.functional.masking import Denominator, zero_masked


def bradley_terry_loss(
    chosen: Float[Tensor, " N"],
    rejected: Float[Tensor, " N"],
    weight: Float[Tensor, " N"] | None,
    num_pairs: Denominator,
    margin: Float[Tensor, " N"] | None = None,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """-Σ w log sigmoid(chosen - rejected - margin) / num_pairs (Bradley & Terry 1952; Stiennon et al. 2020, eq. 1).

    InstructGPT's average over all K-choose-2 pairs of a prompt: `weight=pair_weights(...)`, `num_pairs` = prompts.

    Args:
        chosen: score of the preferred completion of each pair.
        rejected: score of the other one.
        weight: how much each judgement counts; all alike where none is given.
        num_pairs: what to divide by, global over microbatches and ranks.
        margin: how far apart, in units of score, the two should at least be, larger where the person was surer
            (Touvron et al. 2023, Llama 2, eq. 2); none is 0.
        label_smoothing: share of the label that goes to the other side (Szegedy et al. 2016, section 7). The loss of a
            pair becomes a cross-entropy that is least where sigmoid(chosen - rejected - margin) = 1 - label_smoothing,
            so that no judgement, a wrong one included, can push two scores apart for ever.

    Raises:
        ValueError: the label smoothing lies outside [0, 0.5).
    """
    _check_label_smoothing(label_smoothing)
    difference = _difference(chosen, rejected, weight)
    if margin is not None:
        difference = difference - _counted(margin, weight)
    losses = -F.logsigmoid(difference)
    if label_smoothing > 0:
        losses = (1.0 - label_smoothing) * losses - label_smoothing * F.logsigmoid(-difference)
    return _weighted(losses, weight, num_pairs)


def pairwise_loss_with_ties(
    first: Float[Tensor, " N"],
    second: Float[Tensor, " N"],
    preference: Float[Tensor, " N"],
    weight: Float[Tensor, " N"] | None,
    num_pairs: Denominator,
    margin: Float[Tensor, " N"] | None = None,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Cross-entropy of sigmoid(first - second) against a soft label: 1 the first is preferred, 0 the second, 0.5 a tie.

    A tie pulls the two scores together and costs at least ln 2. With labels of 0 and 1 it is `bradley_terry_loss`, with
    the same `margin` and `label_smoothing`: the margin is asked for in the direction of the label, in proportion to
    2 · preference - 1, so a tie has none; smoothing moves the label towards 0.5, which leaves a tie as it is.

    Raises:
        ValueError: the label smoothing lies outside [0, 0.5).
    """
    _check_label_smoothing(label_smoothing)
    difference, preference = _difference(first, second, weight), _counted(preference, weight)
    if margin is not None:
        difference = difference - (2.0 * preference - 1.0) * _counted(margin, weight)
    if label_smoothing > 0:
        preference = label_smoothing + (1.0 - 2.0 * label_smoothing) * preference
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
    lean = 2.0 * _counted(preference, weight) - 1.0
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


def plackett_luce_loss(
    scores: Float[Tensor, "P K"],
    ranks: Int[Tensor, "P K"],
    mask: Bool[Tensor, "P K"],
    weight: Float[Tensor, " P"] | None,
    num_groups: Denominator,
) -> Float[Tensor, ""]:
    """-Σ w log P(ranking) / num_groups: the best is drawn first, then the best of the rest, and so on (Plackett 1975).

    Each draw is a softmax over the candidates that are left. The likelihood is Cox's partial likelihood with ranks as
    times, and ties are handled as Efron (1977) does there: m candidates that tie take m draws, and at each the other
    members of the tie are present in part, so that the j-th draw (j = 0..m-1) is from S - (j / m) · D, where S is the
    sum of e^score over the tie and everything worse and D the sum over the tie alone.

    Why Efron's: where the scores of a tie are equal, which is where a tie pulls them, it is the exact likelihood of any
    one order of its members, and the pull between them and the rest is the exact one. Breslow's draws (all from S)
    leave the tied candidates competing after they were drawn, which weakens that pull and shrinks the differences.
    Summing over all orders of a tie, the third way, would say that the order was not recorded, and two candidates that
    tie would teach nothing; a person who ties them says that they are alike.

    Without ties, two candidates give `bradley_terry_loss`. A group costs ln K! at equal scores, so larger groups weigh
    more; use `weight` to change that. For a pick of the best among K, whose others are unordered, not tied, use
    `best_of_k_loss`.

    Args:
        scores: one row of candidates per group.
        ranks: 1 is best, equal numbers tie; only their order matters.
        mask: false where a group has fewer than K candidates. A group with none, or with one, contributes 0.
        weight: how much each group's judgement counts; all alike where none is given.
        num_groups: what to divide by, global over microbatches and ranks.
    """
    exists = mask if weight is None else mask & (weight != 0)[:, None]
    scores = zero_masked(scores, exists)
    # [P, K, K]: row i is the draw of candidate i, column j a candidate that may have been left in it
    both = exists[:, :, None] & exists[:, None, :]
    tied = both & (ranks[:, :, None] == ranks[:, None, :])
    worse = both & (ranks[:, :, None] < ranks[:, None, :])
    drawn_before = tied.tril(-1).sum(dim=-1).to(scores.dtype)
    present = 1.0 - drawn_before / tied.sum(dim=-1).clamp(min=1)
    share = torch.where(tied, present[:, :, None], worse.to(scores.dtype))
    # an absent candidate draws itself, as a row of zeros would be -inf and its gradient NaN
    share = torch.where(exists[:, :, None], share, torch.eye(mask.shape[1], dtype=share.dtype, device=share.device))
    left = (scores[:, None, :] + share.log()).logsumexp(dim=-1)
    return _weighted((left - scores).sum(dim=-1), weight, num_groups)


def score_regression_loss(
    score: Float[Tensor, " B"],
    target: Float[Tensor, " B"],
    weight: Float[Tensor, " B"] | None,
    num_samples: Denominator,
    huber_delta: float = math.inf,
) -> Float[Tensor, ""]:
    """Σ w h(score - target) / num_samples for labels that are rewards, in squared units of score.

    h(e) is ½ e² for an error up to `huber_delta` and huber_delta · (|e| - ½ huber_delta) beyond it (Huber 1964), so
    that a far-off label pulls no harder than one that is `huber_delta` away. Infinity gives half the squared error.
    Targets are constants.

    Raises:
        ValueError: huber_delta is not positive.
    """
    if not huber_delta > 0:
        raise ValueError(f"huber_delta must be positive, got {huber_delta}")
    error = _difference(score, target.detach(), weight)
    clipped = error.clamp(-huber_delta, huber_delta)
    # clipped · (e - ½ clipped) is both branches at once, and finite for an infinite delta
    return _weighted(clipped * (error - 0.5 * clipped), weight, num_samples)


def binary_feedback_loss(
    score: Float[Tensor, " B"],
    label: Float[Tensor, " B"],
    weight: Float[Tensor, " B"] | None,
    num_samples: Denominator,
    positive_weight: float = 1.0,
) -> Float[Tensor, ""]:
    """-Σ w [positive_weight · y log sigmoid(score) + (1 - y) log sigmoid(-score)] / num_samples, for thumbs.

    The score is a logit. `label` y is 1 for good and 0 for bad; a value between is a mixture of the two. With
    `positive_weight` = bad / good (counts) both kinds weigh the same; the logit is then shifted by ln positive_weight
    against the log-odds of the data, which changes no comparison of two scores.

    Raises:
        ValueError: positive_weight is not positive.
    """
    if not positive_weight > 0:
        raise ValueError(f"positive_weight must be positive, got {positive_weight}")
    score, label = _counted(score, weight), _counted(label, weight)
    losses = -positive_weight * label * F.logsigmoid(score) - (1.0 - label) * F.logsigmoid(-score)
    return _weighted(losses, weight, num_samples)


def pair_weights(pairs_per_group: Int[Tensor, " P"]) -> Float[Tensor, " N"]:
    """Weights that give every group the same say: 1/n for each of a group's n pairs, groups in order, N = Σ n.

    InstructGPT (Ouyang et al. 2022, eq. 1) averages the K-choose-2 pairs of a prompt, then the prompts; pass these
    weights with `num_pairs` set to the number of prompts.
    """
    return torch.repeat_interleave(1.0 / pairs_per_group, pairs_per_group)


def _check_label_smoothing(label_smoothing: float) -> None:
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing must lie in [0, 0.5), as at 0.5 a label says nothing; got {label_smoothing}")


def _counted(x: Float[Tensor, " N"], weight: Float[Tensor, " N"] | None) -> Float[Tensor, " N"]:
    return x if weight is None else zero_masked(x, weight != 0)


def _difference(
    first: Float[Tensor, " N"], second: Float[Tensor, " N"], weight: Float[Tensor, " N"] | None
) -> Float[Tensor, " N"]:
    return _counted(first - second, weight)


def _weighted(
    losses: Float[Tensor, " N"], weight: Float[Tensor, " N"] | None, num_pairs: Denominator
) -> Float[Tensor, ""]:
    return (losses if weight is None else weight * losses).sum() / num_pairs
