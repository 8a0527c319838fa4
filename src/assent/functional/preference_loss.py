"""Losses of offline preference learning: the policy learns from judged completions directly, without a reward model.

There is one log-probability per completion, in nats: `*_logprobs` are sums over its tokens, `*_mean_logprobs` averages
over them. Those of the reference are constants. However unlikely a completion, as long as its log-probability is
finite, so are the loss and the gradients. A pair (or completion) of weight 0 never matters, whatever stands in its
row, NaN included.

Each loss also returns the detached implicit rewards of the completions, to be logged: what it believes them to be
worth, 0 where the weight is 0. The share of pairs in which the chosen one's is larger is the accuracy.

Only `dpo_loss_with_ties` has a notion of a tie. For the other losses of pairs, a tie is the pair in both orders, each
with half its weight; the gradients cancel where the two completions are worth the same.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from assent.functional.masking import Denominator, zero_masked

PairLoss = tuple[Float[Tensor, ""], Float[Tensor, " N"], Float[Tensor, " N"]]
"""The loss to be minimised, then the detached implicit rewards of the chosen (or first) and the other completions."""


def dpo_loss(
    chosen_logprobs: Float[Tensor, " N"],
    rejected_logprobs: Float[Tensor, " N"],
    chosen_ref_logprobs: Float[Tensor, " N"],
    rejected_ref_logprobs: Float[Tensor, " N"],
    weight: Float[Tensor, " N"] | None,
    kl_coef: float,
    label_smoothing: float,
    num_pairs: Denominator,
) -> PairLoss:
    """-Σ w [(1 - ε) log σ(h) + ε log σ(-h)] / num_pairs, in nats (Rafailov et al. 2023, eq. 7, where ε = 0).

    h is the difference of the implicit rewards β (log π - log π_ref) of chosen and rejected, so the loss is ln 2 as
    long as the policy is the reference. Without smoothing its minimum over the Bradley–Terry distribution of
    judgements is the policy π ∝ π_ref e^{r/β}, the one that RL against the true reward r under a KL penalty seeks.

    `label_smoothing` is the share ε of judgements held to be the wrong way round (conservative DPO, Mitchell 2023):
    the gradient of a pair vanishes at σ(h) = 1 - ε instead of nowhere. With 0.5 that is at h = 0, so every pair is
    read as a tie and the policy only learns to leave their order alone.

    Args:
        chosen_logprobs: summed over each completion's tokens, in nats; likewise the other three.
        rejected_logprobs: of the completion that lost.
        chosen_ref_logprobs: under the reference.
        rejected_ref_logprobs: under the reference.
        weight: how much each pair counts; None is 1 for all.
        kl_coef: β, in reward per nat.
        label_smoothing: ε, from 0 to 0.5.
        num_pairs: pairs (or sum of weights) over all microbatches and ranks.

    Raises:
        ValueError: a coefficient that is not positive and finite, or a smoothing outside 0 to 0.5.
    """
    if not 0.0 <= label_smoothing <= 0.5:
        raise ValueError(f"label_smoothing must lie between 0 and 0.5, got {label_smoothing}")
    four = (chosen_logprobs, rejected_logprobs, chosen_ref_logprobs, rejected_ref_logprobs)
    return _dpo(*four, 1.0 - label_smoothing, weight, kl_coef, num_pairs)


def dpo_loss_with_ties(
    first_logprobs: Float[Tensor, " N"],
    second_logprobs: Float[Tensor, " N"],
    first_ref_logprobs: Float[Tensor, " N"],
    second_ref_logprobs: Float[Tensor, " N"],
    preference: Float[Tensor, " N"],
    weight: Float[Tensor, " N"] | None,
    kl_coef: float,
    num_pairs: Denominator,
) -> PairLoss:
    """`dpo_loss` against a soft label: 1 the first is preferred, 0 the second, 0.5 a tie, or the share who chose it.

    -Σ w [p log σ(h) + (1 - p) log σ(-h)] / num_pairs, in nats, with p the `preference`, which is not checked to lie
    between 0 and 1, and h as in `dpo_loss`. A pair's gradient vanishes at σ(h) = p: a tie pulls the two implicit
    rewards together and costs at least ln 2. A label of 1 - ε is a label smoothing of ε.

    Raises:
        ValueError: a coefficient that is not positive and finite.
    """
    four = (first_logprobs, second_logprobs, first_ref_logprobs, second_ref_logprobs)
    return _dpo(*four, _cleared(preference, weight), weight, kl_coef, num_pairs)


def robust_dpo_loss(
    chosen_logprobs: Float[Tensor, " N"],
    rejected_logprobs: Float[Tensor, " N"],
    chosen_ref_logprobs: Float[Tensor, " N"],
    rejected_ref_logprobs: Float[Tensor, " N"],
    weight: Float[Tensor, " N"] | None,
    kl_coef: float,
    flip_rate: float,
    num_pairs: Denominator,
) -> PairLoss:
    """DPO without the bias of judgements that were flipped at random (Chowdhury et al. 2024, "Provably robust DPO").

    -Σ w [(1 - ε) log σ(h) - ε log σ(-h)] / (1 - 2ε) / num_pairs, in nats, with h as in `dpo_loss` and ε the
    `flip_rate`. Its mean over flips of that rate is `dpo_loss` on the judgements before they were flipped, so the
    minimum over the distribution is the same policy. On a single pair it has none: the loss falls below 0 and on
    without end as h grows, and no pair's gradient on h is ever smaller than ε / (1 - 2ε). Stop early on few pairs.

    Raises:
        ValueError: a coefficient that is not positive and finite, or a flip rate outside [0, 0.5).
    """
    if not 0.0 <= flip_rate < 0.5:
        raise ValueError(f"flip_rate must be at least 0 and below 0.5, got {flip_rate}")
    four = (chosen_logprobs, rejected_logprobs, chosen_ref_logprobs, rejected_ref_logprobs)
    # the inverse of smoothing: a label beyond 1, which flipping brings back to 1 on average
    return _dpo(*four, (1.0 - flip_rate) / (1.0 - 2.0 * flip_rate), weight, kl_coef, num_pairs)


def ipo_loss(
    chosen_logprobs: Float[Tensor, " N"],
    rejected_logprobs: Float[Tensor, " N"],
    chosen_ref_logprobs: Float[Tensor, " N"],
    rejected_ref_logprobs: Float[Tensor, " N"],
    weight: Float[Tensor, " N"] | None,
    kl_coef: float,
    num_pairs: Denominator,
) -> PairLoss:
    """Σ w (d - 1/(2β))² / num_pairs, in squared nats (Azar et al. 2024, eq. 17, which calls β τ).

    d is the difference of log π - log π_ref between chosen and rejected: unlike DPO's it has a target, which unanimous
    judgements cannot push to infinity. Over pairs drawn independently from μ, the minimum is π ∝ π_ref e^{q/β} with q
    the probability that a completion is preferred to one drawn from μ, so β (`kl_coef`) is in probability per nat.

    The paper sums log-probabilities over tokens; averages are also in use, as the target is then one for all lengths.
    The choice is the caller's, who hands in one or the other in all four places; the target is in the same unit, nats
    a completion or nats a token, so β must be chosen for it.

    Raises:
        ValueError: a coefficient that is not positive and finite.
    """
    chosen = _implicit_reward(chosen_logprobs, chosen_ref_logprobs, weight, kl_coef)
    rejected = _implicit_reward(rejected_logprobs, rejected_ref_logprobs, weight, kl_coef)
    losses = ((chosen - rejected - 0.5) / kl_coef).square()
    return _weighted(losses, weight, num_pairs), chosen.detach(), rejected.detach()


def kto_loss(
    logprobs: Float[Tensor, " N"],
    ref_logprobs: Float[Tensor, " N"],
    desirable: Bool[Tensor, " N"],
    weight: Float[Tensor, " N"] | None,
    reference_kl: Float[Tensor, ""],
    kl_coef: float,
    desirable_weight: float,
    undesirable_weight: float,
    num_completions: Denominator,
) -> tuple[Float[Tensor, ""], Float[Tensor, " N"]]:
    """Σ w λ (1 - σ(±β (log π - log π_ref - z))) / num_completions, without unit (Ethayarajh et al. 2024, sec. 4).

    Each completion was judged by itself: + where it is desirable, - where it is not. The loss of one lies between 0
    and λ, and is λ/2 where its log-ratio is the reference point z = max(0, reference_kl); far from z it has hardly
    a gradient, so a judgement that cannot be met is given up rather than fought for.

    Args:
        logprobs: summed over each completion's tokens, in nats.
        ref_logprobs: under the reference.
        desirable: the judgement, thumb up or down.
        weight: how much each completion counts; None is 1 for all.
        reference_kl: an estimate of KL(π ‖ π_ref), in nats summed over a completion. The paper averages
            log π - log π_ref over prompts paired with completions of other prompts. One figure for the whole batch:
            the same in all its microbatches and ranks. A constant; a negative estimate counts as 0.
        kl_coef: β, in reward per nat.
        desirable_weight: λ of desirable completions.
        undesirable_weight: λ of the others. Where one kind is rare, a larger λ makes up for it: the paper keeps λ
            times their number about equal.
        num_completions: completions (or sum of weights) over all microbatches and ranks.

    Returns:
        The loss, and the detached implicit rewards β (log π - log π_ref).

    Raises:
        ValueError: a coefficient that is not positive and finite, or a negative λ.
    """
    if not (desirable_weight >= 0 and undesirable_weight >= 0):
        raise ValueError(f"weights must not be negative, got {desirable_weight} and {undesirable_weight}")
    reward = _implicit_reward(logprobs, ref_logprobs, weight, kl_coef)
    gain = reward - kl_coef * reference_kl.detach().clamp(min=0.0)
    # 1 - σ(x) is σ(-x), which keeps its digits where σ(x) is nearly 1
    losses = torch.where(desirable, desirable_weight * (-gain).sigmoid(), undesirable_weight * gain.sigmoid())
    return _weighted(losses, weight, num_completions), reward.detach()


def orpo_loss(
    chosen_mean_logprobs: Float[Tensor, " N"],
    rejected_mean_logprobs: Float[Tensor, " N"],
    weight: Float[Tensor, " N"] | None,
    odds_coef: float,
    num_pairs: Denominator,
) -> PairLoss:
    """-Σ w [log P_chosen + λ log σ(log odds ratio)] / num_pairs, in nats (Hong et al. 2024, eqs. 6 and 7).

    P is the geometric mean of a completion's token probabilities, the exponential of its averaged log-probability,
    and odds are P / (1 - P); no reference is needed, as the first term is the SFT loss of the chosen completions.
    The implicit rewards are log odds. P is held at or below 1 - (machine epsilon), where odds are still finite.

    Raises:
        ValueError: a coefficient λ that is negative or not finite.
    """
    if not 0.0 <= odds_coef < math.inf:
        raise ValueError(f"odds_coef must be finite and not negative, got {odds_coef}")
    chosen = _log_odds(chosen_mean_logprobs, weight)
    rejected = _log_odds(rejected_mean_logprobs, weight)
    losses = -_cleared(chosen_mean_logprobs, weight) - odds_coef * F.logsigmoid(chosen - rejected)
    return _weighted(losses, weight, num_pairs), chosen.detach(), rejected.detach()


def simpo_loss(
    chosen_mean_logprobs: Float[Tensor, " N"],
    rejected_mean_logprobs: Float[Tensor, " N"],
    weight: Float[Tensor, " N"] | None,
    reward_scale: float,
    margin: float,
    num_pairs: Denominator,
) -> PairLoss:
    """-Σ w log σ(β (chosen - rejected) - γ) / num_pairs, in nats (Meng et al. 2024, "SimPO", eq. 6).

    The implicit reward is `reward_scale` (β, in reward per nat a token) times the averaged log-probability, without
    a reference, so nothing but the step size keeps the policy near where it began. `margin` is γ, in reward: by how
    much the chosen one's should be ahead.

    Raises:
        ValueError: a scale that is not positive and finite, or a margin that is negative or not finite.
    """
    _require_positive("reward_scale", reward_scale)
    if not 0.0 <= margin < math.inf:
        raise ValueError(f"margin must be finite and not negative, got {margin}")
    chosen = reward_scale * _cleared(chosen_mean_logprobs, weight)
    rejected = reward_scale * _cleared(rejected_mean_logprobs, weight)
    losses = -F.logsigmoid(chosen - rejected - margin)
    return _weighted(losses, weight, num_pairs), chosen.detach(), rejected.detach()


def _implicit_reward(
    logprobs: Float[Tensor, " N"],
    ref_logprobs: Float[Tensor, " N"],
    weight: Float[Tensor, " N"] | None,
    kl_coef: float,
) -> Float[Tensor, " N"]:
    _require_positive("kl_coef", kl_coef)
    return kl_coef * _cleared(logprobs - ref_logprobs.detach(), weight)


def _dpo(
    first_logprobs: Float[Tensor, " N"],
    second_logprobs: Float[Tensor, " N"],
    first_ref_logprobs: Float[Tensor, " N"],
    second_ref_logprobs: Float[Tensor, " N"],
    preference: Float[Tensor, " N"] | float,
    weight: Float[Tensor, " N"] | None,
    kl_coef: float,
    num_pairs: Denominator,
) -> PairLoss:
    first = _implicit_reward(first_logprobs, first_ref_logprobs, weight, kl_coef)
    second = _implicit_reward(second_logprobs, second_ref_logprobs, weight, kl_coef)
    losses = _cross_entropy(first - second, preference)
    return _weighted(losses, weight, num_pairs), first.detach(), second.detach()


def _log_odds(mean_logprobs: Float[Tensor, " N"], weight: Float[Tensor, " N"] | None) -> Float[Tensor, " N"]:
    logprobs = _cleared(mean_logprobs, weight)
    bound = -torch.finfo(logprobs.dtype).eps
    # The bound moves the value only. Its own gradient of 0 would leave a rejected completion of probability 1 alone.
    logprobs = logprobs + (logprobs.clamp(max=bound) - logprobs).detach()
    return _cleared(logprobs - (-torch.expm1(logprobs)).log(), weight)


def _cross_entropy(logit: Float[Tensor, " N"], preference: Float[Tensor, " N"] | float) -> Float[Tensor, " N"]:
    return -preference * F.logsigmoid(logit) - (1.0 - preference) * F.logsigmoid(-logit)


def _cleared(x: Float[Tensor, " N"], weight: Float[Tensor, " N"] | None) -> Float[Tensor, " N"]:
    return x if weight is None else zero_masked(x, weight != 0)


def _weighted(
    losses: Float[Tensor, " N"], weight: Float[Tensor, " N"] | None, denominator: Denominator
) -> Float[Tensor, ""]:
    return (losses if weight is None else weight * losses).sum() / denominator


def _require_positive(name: str, value: float) -> None:
    if not 0.0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {value}")
