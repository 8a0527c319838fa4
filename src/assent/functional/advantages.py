"""Advantages and returns, in reward units. Masked positions are skipped: the next valid token follows.

Time runs over the trained tokens alone. In a sequence of several turns the environment's tokens lie under the mask
between two of the policy's; the token after them is the successor of the token before them, one factor gamma later.
A reward that stands on a masked position is ignored: put an environment's reward on the last token of the turn.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from assent.functional.masking import zero_masked


def gae(
    rewards: Float[Tensor, "B T"],
    values: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    gamma: float,
    gae_lambda: float,
) -> Float[Tensor, "B T"]:
    """Generalised advantage estimates, in reward units (Schulman et al. 2016, eq. 16).

    A_t = Σ_k (gamma · λ)^k δ_{t+k} with δ_t = r_t + gamma · V_{t+1} - V_t over the valid tokens; the value after the
    last is 0, as the sequence ends there. Masked positions get 0. λ = 1 gives returns minus values, λ = 0 gives δ.
    """
    rewards, values = zero_masked(rewards, mask), zero_masked(values, mask)
    next_value = torch.zeros_like(values[:, 0])
    next_advantage = torch.zeros_like(rewards[:, 0])
    columns = []
    for t in range(mask.shape[1] - 1, -1, -1):
        valid, value = mask[:, t], values[:, t]
        delta = rewards[:, t] + gamma * next_value - value
        next_advantage = torch.where(valid, delta + gamma * gae_lambda * next_advantage, next_advantage)
        next_value = torch.where(valid, value, next_value)
        columns.append(next_advantage)
    return zero_masked(torch.stack(columns[::-1], dim=1), mask)


def returns_from_advantages(
    advantages: Float[Tensor, "B T"], values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]
) -> Float[Tensor, "B T"]:
    """advantages + values, in reward units: the λ-returns the value model is fitted to; 0 where masked.

    Take the advantages before they are whitened.
    """
    return zero_masked(advantages, mask) + zero_masked(values, mask)


def discounted_returns(rewards: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"], gamma: float) -> Float[Tensor, "B T"]:
    """G_t = Σ_k gamma^k · r_{t+k} over the valid tokens, in reward units; 0 where masked."""
    return gae(rewards, torch.zeros_like(rewards), mask, gamma, 1.0)
