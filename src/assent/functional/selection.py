"""Which rollouts of a prompt are taken: the best, or the best and the worst. P prompts with G rollouts each.

Of equal rewards the first written goes first, so that the same rollouts always give the same choice.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from assent.functional.group_advantages import equal_groups


def best_of_group(rewards: Float[Tensor, "P G"], keep: int) -> Bool[Tensor, "P G"]:
    """True for the `keep` highest rewards of each group; nowhere in a group of equal ones, which has no best.

    Raises:
        ValueError: nothing, or a whole group, is to be kept.
    """
    if not 1 <= keep < rewards.shape[1]:
        raise ValueError(f"of {rewards.shape[1]} rollouts of a prompt at least 1 and not all are kept, got {keep}")
    order = rewards.argsort(dim=1, descending=True, stable=True)
    kept = torch.zeros_like(rewards, dtype=torch.bool).scatter(1, order[:, :keep], True)
    return kept & ~equal_groups(rewards)[:, None]


def extremes_of_group(rewards: Float[Tensor, "P G"]) -> tuple[Int[Tensor, " P"], Int[Tensor, " P"]]:
    """The place of each group's best and of its worst rollout: never the same one.

    Raises:
        ValueError: groups of one have no pair.
    """
    if rewards.shape[1] < 2:
        raise ValueError(f"a pair takes at least 2 rollouts of a prompt, got {rewards.shape[1]}")
    order = rewards.argsort(dim=1, descending=True, stable=True)
    return order[:, 0], order[:, -1]
