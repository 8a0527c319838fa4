"""A penalty on scores that go with length, as people and reward models tend to take the longer text for the better one.

The penalty is ρ², the squared Pearson correlation of score and length within a batch. Chen et al. (2024, ODIN)
penalise |ρ| of the head that scores quality; the square has the same minimum and no kink there. It removes what is
linear in length only, and some of what people do value may go with it: watch accuracy beside ρ.

A correlation is not a sum over samples, so the correlations of microbatches do not add up to that of the batch. The
moments of the *whole* step's batch are therefore an argument: score all samples once without gradient, take
`length_moments` of them all (gathered over ranks), then pass these to `length_penalty` in every microbatch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from assent.functional.masking import Denominator, masked_mean, masked_var, zero_masked


@dataclass(frozen=True)
class LengthMoments:
    """What a whole batch says of score and length together. Constants; deviations are the population's."""

    score_mean: Float[Tensor, ""]
    score_std: Float[Tensor, ""]  # 1 where all scores are equal
    length_mean: Float[Tensor, ""]  # tokens
    length_std: Float[Tensor, ""]  # tokens; 1 where all lengths are equal
    correlation: Float[Tensor, ""]  # ρ, between -1 and 1; 0 where scores or lengths are all equal


def length_moments(score: Float[Tensor, " B"], lengths: Int[Tensor, " B"], mask: Bool[Tensor, " B"]) -> LengthMoments:
    """The moments `length_penalty` needs, of the valid samples of the whole batch; `lengths` are in tokens."""
    wide = torch.promote_types(score.dtype, torch.float32)
    score, length = score.detach().to(wide), lengths.to(wide)
    score_mean, score_std, score_varies = _mean_and_std(score, mask)
    length_mean, length_std, length_varies = _mean_and_std(length, mask)
    z = (zero_masked(score, mask) - score_mean) / score_std
    x = (zero_masked(length, mask) - length_mean) / length_std
    correlation = masked_mean(z * x, mask).clamp(-1.0, 1.0)
    defined = score_varies & length_varies
    return LengthMoments(score_mean, score_std, length_mean, length_std, zero_masked(correlation, defined))


def length_penalty(
    score: Float[Tensor, " B"],
    lengths: Int[Tensor, " B"],
    mask: Bool[Tensor, " B"],
    moments: LengthMoments,
    num_samples: Denominator,
) -> Float[Tensor, ""]:
    """Σ (2ρ·z·x - ρ²·z²) / num_samples, whose sum over the batch's parts is ρ² and has the gradient of ρ².

    z and x are score and length less their means, over their deviations. Over the whole batch Σ z·x / n = ρ and
    Σ z² / n = 1, so the sum is 2ρ² - ρ² = ρ². Its gradient with the moments held fixed, 2ρ(x_i - ρ z_i) / (n σ), is
    exactly that of ρ² with nothing held fixed. It scales with 1 / σ: a head whose scores hardly differ yet is pushed
    hard, so let the penalty set in after the warm-up. With moments of any other scores than these (an earlier step's,
    say) value and gradient are approximations.

    Args:
        score: the scores of this part of the batch, with gradient.
        lengths: the lengths of its completions, in tokens.
        mask: false for a sample that does not count.
        moments: of the whole batch, from `length_moments`.
        num_samples: valid samples of the whole batch, over all microbatches and ranks.
    """
    z = (zero_masked(score, mask) - moments.score_mean) / moments.score_std
    x = (lengths.to(z.dtype) - moments.length_mean) / moments.length_std
    rho = moments.correlation
    return zero_masked(2.0 * rho * z * x - rho.square() * z.square(), mask).sum() / num_samples


def _mean_and_std(
    x: Float[Tensor, " B"], mask: Bool[Tensor, " B"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Bool[Tensor, ""]]:
    """Mean, deviation, and whether it is more than rounding; if not, the deviation is given as 1."""
    mean, std = masked_mean(x, mask), masked_var(x, mask).sqrt()
    varies = std > 16 * torch.finfo(x.dtype).eps * zero_masked(x, mask).abs().amax()
    return mean, torch.where(varies, std, torch.ones_like(std)), varies
