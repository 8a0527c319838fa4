"""The mathematics of RLHF as pure functions of tensors: no model, no configuration, no logging.

Shapes are in the signatures: B sequences, T tokens, V vocabulary, N pairs, P prompts, K candidates. Losses take the
global denominator as an argument, so that microbatches and ranks add up; masked positions never matter.
"""

from assent.functional.advantages import discounted_returns, gae, returns_from_advantages
from assent.functional.kl import AdaptiveKLController, adaptive_kl_coef, kl_k1, kl_k2, kl_k3, sequence_kl
from assent.functional.logprobs import chunked_logprobs_and_entropy, entropy_of, log_softmax_at, logprobs_of
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
from assent.functional.policy_loss import policy_gradient_loss, ppo_policy_loss
from assent.functional.reward_loss import (
    best_of_k_loss,
    bradley_terry_loss,
    davidson_loss,
    pair_weights,
    pairwise_loss_with_ties,
)
from assent.functional.rewards import penalise_missing_eos, shape_rewards
from assent.functional.sampling import sample_tokens
from assent.functional.value_loss import clipped_value_loss

__all__ = [
    "AdaptiveKLController",
    "Denominator",
    "adaptive_kl_coef",
    "best_of_k_loss",
    "bradley_terry_loss",
    "chunked_logprobs_and_entropy",
    "clipped_value_loss",
    "davidson_loss",
    "discounted_returns",
    "entropy_of",
    "gae",
    "gather_last",
    "kl_k1",
    "kl_k2",
    "kl_k3",
    "last_token_index",
    "log_softmax_at",
    "logprobs_of",
    "masked_mean",
    "masked_sum",
    "masked_var",
    "pair_weights",
    "pairwise_loss_with_ties",
    "penalise_missing_eos",
    "policy_gradient_loss",
    "ppo_policy_loss",
    "returns_from_advantages",
    "sample_tokens",
    "scatter_last",
    "sequence_kl",
    "shape_rewards",
    "whiten",
    "zero_masked",
]
