"""The mathematics of RLHF as pure functions of tensors: no model, no configuration, no logging.

Shapes are in the signatures: B sequences, T tokens, V vocabulary, N pairs, P prompts, K candidates, H heads, M members
of an ensemble. Losses take the global denominator as an argument, so that microbatches and ranks add up; masked
positions never matter.
"""

from assent.functional.advantages import discounted_returns, gae, returns_from_advantages
from assent.functional.constraint import updated_log_multiplier
from assent.functional.group_advantages import (
    equal_groups,
    group_advantages,
    leave_one_out_advantages,
    spread_over_tokens,
)
from assent.functional.kl import AdaptiveKLController, adaptive_kl_coef, kl_k1, kl_k2, kl_k3, kl_loss, sequence_kl
from assent.functional.length_bias import LengthMoments, length_moments, length_penalty
from assent.functional.logprobs import entropy_of, linear_logprobs, log_softmax_at, logprobs_of
from assent.functional.masking import (
    Denominator,
    gather_last,
    last_token_index,
    masked_mean,
    masked_sum,
    masked_var,
    scatter_last,
    whiten,
    zero_masked,
)
from assent.functional.off_policy import kept_by_ratio, rollout_ratio, truncated_weights
from assent.functional.policy_loss import (
    detached_ratio_policy_loss,
    divided_by_length,
    policy_gradient_loss,
    ppo_policy_loss,
    sequence_ratio_policy_loss,
)
from assent.functional.preference_loss import (
    PairLoss,
    dpo_loss,
    dpo_loss_with_ties,
    ipo_loss,
    kto_loss,
    orpo_loss,
    robust_dpo_loss,
    simpo_loss,
)
from assent.functional.reward_heads import (
    combined_score,
    criterion_weights,
    multi_head_loss,
    pessimistic_score,
    worst_case_score,
)
from assent.functional.reward_loss import (
    best_of_k_loss,
    binary_feedback_loss,
    bradley_terry_loss,
    davidson_loss,
    pair_weights,
    pairwise_loss_with_ties,
    plackett_luce_loss,
    score_regression_loss,
)
from assent.functional.rewards import overlong_penalty, penalise_missing_eos, shape_rewards
from assent.functional.sampling import likeliest_tokens, sample_tokens
from assent.functional.selection import best_of_group, extremes_of_group
from assent.functional.value_loss import clipped_value_loss

__all__ = [
    "AdaptiveKLController",
    "Denominator",
    "LengthMoments",
    "PairLoss",
    "adaptive_kl_coef",
    "best_of_group",
    "best_of_k_loss",
    "binary_feedback_loss",
    "bradley_terry_loss",
    "clipped_value_loss",
    "combined_score",
    "criterion_weights",
    "davidson_loss",
    "detached_ratio_policy_loss",
    "discounted_returns",
    "divided_by_length",
    "dpo_loss",
    "dpo_loss_with_ties",
    "entropy_of",
    "equal_groups",
    "extremes_of_group",
    "gae",
    "gather_last",
    "group_advantages",
    "ipo_loss",
    "kept_by_ratio",
    "kl_k1",
    "kl_k2",
    "kl_k3",
    "kl_loss",
    "kto_loss",
    "last_token_index",
    "leave_one_out_advantages",
    "length_moments",
    "length_penalty",
    "likeliest_tokens",
    "linear_logprobs",
    "log_softmax_at",
    "logprobs_of",
    "masked_mean",
    "masked_sum",
    "masked_var",
    "multi_head_loss",
    "orpo_loss",
    "overlong_penalty",
    "pair_weights",
    "pairwise_loss_with_ties",
    "penalise_missing_eos",
    "pessimistic_score",
    "plackett_luce_loss",
    "policy_gradient_loss",
    "ppo_policy_loss",
    "returns_from_advantages",
    "robust_dpo_loss",
    "rollout_ratio",
    "sample_tokens",
    "scatter_last",
    "score_regression_loss",
    "sequence_kl",
    "sequence_ratio_policy_loss",
    "shape_rewards",
    "simpo_loss",
    "spread_over_tokens",
    "truncated_weights",
    "updated_log_multiplier",
    "whiten",
    "worst_case_score",
    "zero_masked",
]
