"""The losses of offline preference learning behind one face: which function a type names, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from assent.config.preference import (
    DPOSettings,
    IPOSettings,
    KTOSettings,
    ORPOSettings,
    PreferenceSettings,
    SimPOSettings,
)
from assent.functional import (
    PairLoss,
    dpo_loss,
    dpo_loss_with_ties,
    ipo_loss,
    kto_loss,
    orpo_loss,
    robust_dpo_loss,
    simpo_loss,
)


@dataclass(frozen=True)
class Completions:
    """N completions under policy and reference: log-probabilities in nats, summed over each one's tokens."""

    logprobs: Float[Tensor, " N"]
    ref_logprobs: Float[Tensor, " N"]  # zeros where the loss needs no reference
    lengths: Float[Tensor, " N"]  # tokens

    def averaged(self) -> Completions:
        """The same in nats a token."""
        return Completions(self.logprobs / self.lengths, self.ref_logprobs / self.lengths, self.lengths)


def pair_loss(
    settings: PreferenceSettings,
    chosen: Completions,
    rejected: Completions,
    preference: Float[Tensor, " N"],
    weight: Float[Tensor, " N"],
    num_pairs: float,
) -> PairLoss:
    """The loss that these settings name, and the detached implicit rewards of both completions.

    Args:
        settings: each type's own; KTO has no pairs, see `judged_loss`.
        chosen: those that won, or the first of a tie.
        rejected: those that lost.
        preference: 1 where the chosen won, 0.5 for a tie, which only a loss that learns ties may be given.
        weight: how much each pair counts.
        num_pairs: sum of weights over all microbatches and ranks.

    Raises:
        ValueError: settings of no loss of pairs, or a tie for a loss that has no notion of it.
    """
    if not settings.learns_ties and bool((preference != 1.0).any()):
        raise ValueError(f"{settings.type} has no notion of a tie: leave ties out before")
    if settings.averages_tokens:
        chosen, rejected = chosen.averaged(), rejected.averaged()
    four = (chosen.logprobs, rejected.logprobs, chosen.ref_logprobs, rejected.ref_logprobs)
    match settings:
        case DPOSettings(flip_rate=rate) if rate > 0:
            return robust_dpo_loss(*four, weight, settings.kl_coef, rate, num_pairs)
        case DPOSettings(ties="learn"):
            # A tie stays one half; smoothing takes the same share from every label that is surer.
            label = torch.where(preference == 1.0, 1.0 - settings.label_smoothing, preference)
            return dpo_loss_with_ties(*four, label, weight, settings.kl_coef, num_pairs)
        case DPOSettings():
            return dpo_loss(*four, weight, settings.kl_coef, settings.label_smoothing, num_pairs)
        case IPOSettings():
            return ipo_loss(*four, weight, settings.kl_coef, num_pairs)
        case ORPOSettings():
            return orpo_loss(chosen.logprobs, rejected.logprobs, weight, settings.odds_coef, num_pairs)
        case SimPOSettings():
            return simpo_loss(
                chosen.logprobs, rejected.logprobs, weight, settings.reward_scale, settings.margin, num_pairs
            )
    raise ValueError(f"no loss of pairs has settings of type {settings.type}")


def judged_loss(
    settings: KTOSettings,
    judged: Completions,
    desirable: Bool[Tensor, " N"],
    weight: Float[Tensor, " N"],
    reference_kl: Float[Tensor, ""],
    num_completions: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, " N"]]:
    """KTO's loss of completions that were judged one by one, and their detached implicit rewards.

    Args:
        settings: KTO's.
        judged: the completions.
        desirable: thumb up or down.
        weight: how much each counts.
        reference_kl: see `mismatched_kl`; one figure for the whole step.
        num_completions: sum of weights over all microbatches and ranks.
    """
    return kto_loss(
        judged.logprobs,
        judged.ref_logprobs,
        desirable,
        weight,
        reference_kl,
        settings.kl_coef,
        settings.desirable_weight,
        settings.undesirable_weight,
        num_completions,
    )


def mismatched_kl(mismatched: Completions) -> Float[Tensor, ""]:
    """The mean of log π - log π_ref over prompts with other prompts' completions, in nats (Ethayarajh et al. 2024).

    KTO's estimate of how far the policy is from the reference at large; a constant, and never below 0.
    """
    return (mismatched.logprobs - mismatched.ref_logprobs).detach().mean().clamp(min=0.0)
