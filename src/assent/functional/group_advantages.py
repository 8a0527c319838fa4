"""Advantages of rollouts against the others of their prompt, in reward units: P prompts with G rollouts each.

The rewards are those of whole completions. A KL penalty in the reward is already in them, summed over the sequence.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from assent.functional.masking import zero_masked


def leave_one_out_advantages(rewards: Float[Tensor, "P G"]) -> Float[Tensor, "P G"]:
    """Each reward less the mean of the group's *others*: RLOO's advantage (Ahmadian et al. 2024).

    The baseline does not depend on the rollout it is taken from, so the policy gradient stays unbiased. It equals
    G/(G - 1) times the reward less the mean of all.

    Raises:
        ValueError: groups of one have no others.
    """
    groups = rewards.shape[1]
    if groups < 2:
        raise ValueError(f"leaving one out takes at least 2 rollouts of a prompt, got {groups}")
    return group_advantages(rewards, scale=False) * (groups / (groups - 1))


def group_advantages(rewards: Float[Tensor, "P G"], scale: bool, epsilon: float = 1e-6) -> Float[Tensor, "P G"]:
    """Each reward less the group's mean and, if `scale`, divided by the group's deviation + epsilon.

    With `scale` this is GRPO's advantage (Shao et al. 2024, section 4.1.2), in deviations; without it Dr. GRPO's (Liu
    et al. 2025), in reward units. The deviation is the group's own (over G); that of verl and TRL is the sample's (over
    G - 1), which makes all advantages smaller by √((G - 1)/G). A group of equal rewards gets exact zeros.
    """
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    centred = torch.where(equal_groups(rewards)[:, None], torch.zeros_like(centred), centred)
    return centred / (centred.square().mean(dim=1, keepdim=True).sqrt() + epsilon) if scale else centred


def equal_groups(rewards: Float[Tensor, "P G"]) -> Bool[Tensor, " P"]:
    """True where all rewards of a prompt are the same number, so that its rollouts teach nothing."""
    return rewards.amax(dim=1) == rewards.amin(dim=1)


def spread_over_tokens(per_sequence: Float[Tensor, " B"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """A sequence's number on each of its valid tokens, 0 where masked."""
    return zero_masked(per_sequence[:, None].expand(mask.shape), mask)
