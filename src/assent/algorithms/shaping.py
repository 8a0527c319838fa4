"""From scores to rewards, and from advantages to targets: what every on-policy algorithm does alike."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from assent.algorithms.base import Experience, Targets
from assent.config.algorithm import OnPolicySettings
from assent.functional import (
    kept_by_ratio,
    kl_loss,
    masked_sum,
    penalise_missing_eos,
    rollout_ratio,
    shape_rewards,
    truncated_weights,
    zero_masked,
)


def shaped_rewards(
    experience: Experience,
    settings: OnPolicySettings,
    kl_coef: float,
    length_penalty: Float[Tensor, " B"] | None = None,
) -> tuple[Float[Tensor, "B T"], Float[Tensor, " B"]]:
    """Rewards of each token, and the KL of each sequence in nats.

    The score, less what a missing end costs, stands on the last token; what an environment paid turn by turn stands on
    the last token of each turn. Every token pays for its KL if that penalty stands in the reward.

    Args:
        length_penalty: taken from the score too, in reward units.
    """
    score = experience.score if experience.earned is None else torch.zeros_like(experience.score)
    score = penalise_missing_eos(score, experience.finished, settings.missing_eos_penalty)
    if length_penalty is not None:
        score = score - length_penalty
    in_reward = kl_coef if settings.kl_penalty == "k1-reward" else 0.0
    rewards, kl = shape_rewards(score, experience.old_logprobs, experience.ref_logprobs, experience.mask, in_reward)
    if experience.earned is not None:
        rewards = rewards + zero_masked(experience.earned, experience.mask)
    return rewards, masked_sum(kl, experience.mask, dim=-1)


def grouped_rewards(rewards: Float[Tensor, "B T"], experience: Experience) -> Float[Tensor, "P G"]:
    """Each sequence's whole reward, a row for each prompt.

    Raises:
        ValueError: the rollouts are no whole number of groups, or the groups are of one.
    """
    group = experience.samples_per_prompt
    if group < 2 or len(rewards) % group:
        raise ValueError(f"{len(rewards)} rollouts with {group} of each prompt are no groups to compare within")
    return masked_sum(rewards, experience.mask, dim=-1).view(-1, group)


def targets_of(
    experience: Experience,
    settings: OnPolicySettings,
    kl_coef: float,
    advantages: Float[Tensor, "B T"],
    rewards: Float[Tensor, "B T"],
    kl: Float[Tensor, " B"],
    returns: Float[Tensor, "B T"] | None = None,
    loss_mask: Bool[Tensor, "B T"] | None = None,
) -> Targets:
    """Targets, with the advantages weighted for a sampler that disagrees with the trainer, if that is asked for.

    A weight is never negative, so it may as well stand in the advantage: min(ratio · wA, clip · wA) is w times the
    clipped surrogate.

    Args:
        loss_mask: the tokens that are trained; all of them if not given.

    Raises:
        ValueError: a correction is asked for and nobody knows how the rollouts were sampled.
    """
    mask = experience.mask if loss_mask is None else loss_mask
    weights = None
    if settings.rollout_correction != "none":
        if experience.rollout_logprobs is None:
            raise ValueError("rollout_correction needs the log-probabilities under which the rollouts were sampled")
        level: Literal["token", "sequence"] = "token" if settings.rollout_correction.startswith("token") else "sequence"
        weights = rollout_ratio(experience.old_logprobs, experience.rollout_logprobs, experience.mask, level)
        if settings.rollout_correction.endswith("truncate"):
            weights = truncated_weights(weights, settings.rollout_weight_max)
        else:
            mask = mask & kept_by_ratio(
                weights, experience.mask, settings.rollout_weight_min, settings.rollout_weight_max
            )
            weights = zero_masked(weights, mask)
        advantages = advantages * weights
    in_loss = kl_coef if settings.kl_penalty in ("k2-loss", "k3-corrected-loss") else 0.0
    return Targets(advantages, rewards, kl, mask, returns, in_loss, weights)


def with_penalties(
    policy_loss: Float[Tensor, ""],
    logprobs: Float[Tensor, "B T"],
    entropy: Float[Tensor, "B T"] | None,
    experience: Experience,
    targets: Targets,
    settings: OnPolicySettings,
    denominator: float,
    share: Float[Tensor, "B T"] | None = None,
) -> Float[Tensor, ""]:
    """The policy loss, plus β times the KL where that penalty stands in the loss, less the entropy bonus.

    Args:
        share: multiplies each token's term, where the mean is another than that over tokens.
    """
    mask = targets.loss_mask
    if targets.kl_coef:
        estimator: Literal["k2", "k3"] = "k2" if settings.kl_penalty == "k2-loss" else "k3"
        weights = targets.weights if share is None or targets.weights is None else targets.weights * share
        penalty = kl_loss(
            logprobs,
            experience.old_logprobs,
            experience.ref_logprobs,
            mask,
            estimator,
            denominator,
            share if weights is None else weights,
        )
        policy_loss = policy_loss + targets.kl_coef * penalty
    if settings.entropy_coef and entropy is not None:
        shown = entropy if share is None else zero_masked(entropy, mask) * share
        policy_loss = policy_loss - settings.entropy_coef * masked_sum(shown, mask) / denominator
    return policy_loss
