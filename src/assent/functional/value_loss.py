"""The loss of the value model."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from assent.functional.masking import Denominator, zero_masked


def clipped_value_loss(
    values: Float[Tensor, "B T"],
    old_values: Float[Tensor, "B T"],
    returns: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    clip: float,
    num_valid_tokens: Denominator,
) -> Float[Tensor, ""]:
    """½ Σ max((V - R)², (V_clip - R)²) / num_valid_tokens, in squared reward units, to be minimised.

    V_clip = old_values + clip(V - old_values, ±clip), as in OpenAI's baselines and lm-human-preferences: a value gets
    no gradient once it has moved by more than `clip` (reward units) towards its return. Old values and returns are
    constants. `clip=math.inf` gives the plain squared error.

    Raises:
        ValueError: the clip is negative.
    """
    if not clip >= 0:
        raise ValueError(f"the value clip must not be negative, got {clip}")
    values = zero_masked(values, mask)
    old_values = zero_masked(old_values.detach(), mask)
    returns = zero_masked(returns.detach(), mask)
    clipped = old_values + (values - old_values).clamp(-clip, clip)
    worse = torch.maximum((values - returns).square(), (clipped - returns).square())
    return 0.5 * worse.sum() / num_valid_tokens
