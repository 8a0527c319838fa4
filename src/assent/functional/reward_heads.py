"""Several scores of one completion: a head per criterion, and an ensemble of reward models.

Heads measure different things and are added up; the members of an ensemble measure the same thing, and where they
disagree nobody has judged anything like it.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from assent.functional.masking import zero_masked
from assent.functional.reward_loss import score_regression_loss


def criterion_weights(
    mask: Bool[Tensor, "B H"], importance: Float[Tensor, " H"], num_marks: Int[Tensor, " H"]
) -> Float[Tensor, "B H"]:
    """importance / num_marks of its criterion for each mark that was given, 0 for each that is missing.

    With these weights, flattened, and a denominator of 1, any loss of `reward_loss` becomes a loss over heads: each
    head is averaged over its own marks, so that a criterion that is seldom asked about counts as much as its
    importance says. For pairs the mask is of pairs in which that criterion was compared.

    Args:
        mask: true where a person gave a mark for the criterion.
        importance: what each criterion counts, relative to the others.
        num_marks: marks per criterion, global over microbatches and ranks. A criterion without any has no loss.

    Raises:
        ValueError: an importance is negative, or the mask holds more marks than num_marks says there are in all.
    """
    if bool((importance < 0).any()):
        raise ValueError(f"the importance of a criterion must not be negative, got {importance.tolist()}")
    here = mask.sum(dim=0)
    if bool((here > num_marks).any()):
        raise ValueError(f"num_marks counts all marks of the step: {num_marks.tolist()}, but {here.tolist()} are here")
    return zero_masked((importance / num_marks).expand(mask.shape), mask)


def multi_head_loss(
    scores: Float[Tensor, "B H"],
    marks: Float[Tensor, "B H"],
    mask: Bool[Tensor, "B H"],
    importance: Float[Tensor, " H"],
    num_marks: Int[Tensor, " H"],
    huber_delta: float = math.inf,
    weight: Float[Tensor, " B"] | None = None,
) -> Float[Tensor, ""]:
    """Σ_h importance_h · (mean over the marks of criterion h of the regression loss of head h), in squared marks.

    One head per criterion, fitted to marks per criterion, some of them missing (Wang et al. 2024, ArmoRM, stage one).
    The loss of one mark is that of `score_regression_loss`. Marks are constants; those that are missing never matter.

    Args:
        scores: what each head says of each sample.
        marks: what people said, one column per criterion.
        mask: true where there is a mark.
        importance: what each criterion counts, relative to the others.
        num_marks: marks per criterion, global over microbatches and ranks.
        huber_delta: the error, in units of a mark, from which on the loss grows linearly.
        weight: how much each sample's marks count; all alike where none is given.

    Raises:
        ValueError: as `criterion_weights` and `score_regression_loss`.
    """
    counts = criterion_weights(mask, importance, num_marks)
    if weight is not None:
        counts = counts * weight[:, None]
    return score_regression_loss(scores.flatten(), marks.flatten(), counts.flatten(), 1, huber_delta)


def combined_score(scores: Float[Tensor, "B H"], importance: Float[Tensor, " H"]) -> Float[Tensor, " B"]:
    """Σ_h importance_h · score_h: the one score a policy is trained on. A head of importance 0 never matters."""
    return (importance * zero_masked(scores, (importance != 0).expand(scores.shape))).sum(dim=-1)


def pessimistic_score(scores: Float[Tensor, "M B"], std_coef: float) -> Float[Tensor, " B"]:
    """Mean over the members less std_coef times their standard deviation (Eisenstein et al. 2023), in units of score.

    The deviation is the population's (divided by M): 0 for a single member, half the difference for two. Coste et al.
    (2024) subtract a multiple of the variance instead; the deviation has the units of the score, so that its
    coefficient keeps its meaning when scores are rescaled.

    Members trained on comparisons agree only up to a constant each. Normalise every member first, on the same samples
    of the reference policy: otherwise the constants count as disagreement.

    Raises:
        ValueError: the coefficient is negative, or there is no member.
    """
    if not std_coef >= 0:
        raise ValueError(f"std_coef must not be negative, got {std_coef}: that would reward disagreement")
    _check_members(scores)
    return scores.mean(dim=0) - std_coef * scores.std(dim=0, correction=0)


def worst_case_score(scores: Float[Tensor, "M B"]) -> Float[Tensor, " B"]:
    """The lowest score any member gives (Coste et al. 2024). Normalise the members first, as for `pessimistic_score`.

    Raises:
        ValueError: there is no member.
    """
    _check_members(scores)
    return torch.amin(scores, dim=0)


def _check_members(scores: Float[Tensor, "M B"]) -> None:
    if scores.shape[0] == 0:
        raise ValueError("an ensemble needs at least one member, got none")
