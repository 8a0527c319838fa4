"""Our losses against those of TRL, on random input. `make parity` installs TRL apart and runs this.

What differs by design is compared through the relation that docs/parity.md states.
"""

from __future__ import annotations

import math
import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
pytest.importorskip("trl", reason="TRL is not installed here: `make parity` installs it apart")
pytest.importorskip("trl.experimental.ppo", reason="this TRL has no PPO any more: `make parity` installs one that has")

from trl import DPOTrainer, GRPOTrainer, KTOTrainer, RewardTrainer, RLOOTrainer
from trl.experimental.cpo import CPOTrainer
from trl.experimental.orpo import ORPOTrainer
from trl.experimental.ppo import PPOTrainer
from trl.experimental.ppo.ppo_trainer import masked_whiten

from assent.algorithms.base import Experience, Targets
from assent.algorithms.grpo import GRPO
from assent.config import GRPOSettings
from assent.functional import (
    bradley_terry_loss,
    clipped_value_loss,
    dpo_loss,
    gae,
    group_advantages,
    ipo_loss,
    kl_k1,
    kl_k3,
    kto_loss,
    leave_one_out_advantages,
    logprobs_of,
    masked_mean,
    masked_sum,
    orpo_loss,
    ppo_policy_loss,
    returns_from_advantages,
    robust_dpo_loss,
    shape_rewards,
    simpo_loss,
    spread_over_tokens,
    whiten,
)
from tests.parity.trl_objects import VOCABULARY, GivenLogits, run_lines, trainer_of

SEEDS = range(3)
N, T = 6, 12  # sequences and tokens
EXACT = {"rtol": 0.0, "atol": 1e-5}


def _randn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _lengths_mask(seed: int, width: int = T) -> Tensor:
    """Completions of different lengths, each at the left of its row."""
    lengths = torch.randint(2, width + 1, (N,), generator=torch.Generator().manual_seed(seed))
    return torch.arange(width) < lengths[:, None]


class Pairs:
    """Prompts with a chosen and a rejected completion each, in TRL's layout, under a policy and a reference."""

    def __init__(self, seed: int, width: int = T) -> None:
        numbers = torch.Generator().manual_seed(seed)
        rows = 2 * N
        self.tokens = torch.randint(VOCABULARY, (rows, width), generator=numbers)
        prompt = torch.randint(1, 4, (rows, 1), generator=numbers)
        end = torch.randint(6, width + 1, (rows, 1), generator=numbers)
        place = torch.arange(width)
        self.attention = place < end
        self.completion = (place >= prompt) & self.attention
        self.policy, self.reference = 2.0 * torch.randn(2, rows, width, VOCABULARY, generator=numbers)

    def logprobs(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Of each completion, summed over its tokens, and their averages."""
        each, mask = logprobs_of(logits[:, :-1], self.tokens[:, 1:], 1.0), self.completion[:, 1:]
        total = masked_sum(each, mask, dim=-1)
        return total, total / mask.sum(-1)

    def inputs(self) -> dict[str, Tensor]:
        return {
            "input_ids": self.tokens,
            "attention_mask": self.attention.long(),
            "completion_mask": self.completion.long(),
        }


def _trl_dpo(pairs: Pairs, loss_type: str, label_smoothing: float) -> Tensor:
    model = GivenLogits(pairs.policy)
    trainer = trainer_of(
        DPOTrainer,
        model=model,
        ref_model=GivenLogits(pairs.reference),
        args=SimpleNamespace(gradient_checkpointing_kwargs=None),
        beta=0.3,
        ld_alpha=None,
        precompute_ref_logps=False,
        f_divergence_type="reverse_kl",
        loss_types=[loss_type],
        loss_weights=[1.0],
        label_smoothing=label_smoothing,
        use_weighting=False,
    )
    return trainer._compute_loss(model, pairs.inputs(), return_outputs=False)


@pytest.mark.parametrize("seed", SEEDS)
def test_dpo_and_robust_dpo(seed: int) -> None:
    pairs = Pairs(seed)
    policy, reference = (pairs.logprobs(logits)[0].chunk(2) for logits in (pairs.policy, pairs.reference))
    ours = dpo_loss(*policy, *reference, None, 0.3, 0.0, N)[0]
    torch.testing.assert_close(ours, _trl_dpo(pairs, "sigmoid", 0.0), **EXACT)
    ours = robust_dpo_loss(*policy, *reference, None, 0.3, 0.1, N)[0]
    torch.testing.assert_close(ours, _trl_dpo(pairs, "robust", 0.1), **EXACT)


@pytest.mark.parametrize("seed", SEEDS)
def test_ipo(seed: int) -> None:
    pairs = Pairs(seed)
    policy, reference = (pairs.logprobs(logits)[1].chunk(2) for logits in (pairs.policy, pairs.reference))
    ours = ipo_loss(*policy, *reference, None, 0.3, N)[0]
    torch.testing.assert_close(ours, _trl_dpo(pairs, "ipo", 0.0), **EXACT)


@pytest.mark.parametrize("seed", SEEDS)
def test_kto(seed: int) -> None:
    """The labels are mixed, and the mismatched pairs are wider than the others, so that neither is taken for both."""
    pairs, mismatched = Pairs(seed), Pairs(seed + 100, width=T + 3)
    desirable = _randn(2 * N, seed=seed) > 0
    model, reference_model = (
        GivenLogits(pairs.policy, mismatched.policy),
        GivenLogits(pairs.reference, mismatched.reference),
    )
    trainer = trainer_of(
        KTOTrainer,
        model=model,
        ref_model=reference_model,
        args=SimpleNamespace(gradient_checkpointing_kwargs=None),
        beta=0.3,
        desirable_weight=1.3,
        undesirable_weight=0.8,
        loss_type="kto",
        calculate_KL=True,
        precompute_ref_logps=False,
        use_liger_kernel=False,
    )
    inputs = {**pairs.inputs(), **{f"KL_{name}": value for name, value in mismatched.inputs().items()}}
    theirs = trainer._compute_loss(model, {**inputs, "label": desirable}, return_outputs=False)
    kl = (mismatched.logprobs(mismatched.policy)[0] - mismatched.logprobs(mismatched.reference)[0]).mean()
    policy, reference = pairs.logprobs(pairs.policy)[0], pairs.logprobs(pairs.reference)[0]
    ours = kto_loss(policy, reference, desirable, None, kl, 0.3, 1.3, 0.8, 2 * N)[0]
    torch.testing.assert_close(ours, theirs, **EXACT)


@pytest.mark.parametrize("seed", SEEDS)
def test_orpo(seed: int) -> None:
    """Their term of the odds; our first term is a mean over completions, theirs over tokens, prompts included."""
    pairs = Pairs(seed)
    labels = torch.where(pairs.completion, pairs.tokens, -100)
    chosen, rejected = ORPOTrainer.get_batch_logps(pairs.policy, labels, average_log_prob=True).chunk(2)
    trainer = trainer_of(ORPOTrainer, beta=0.25)
    theirs = -chosen.mean() - trainer.odds_ratio_loss(chosen, rejected)[0].mean()
    ours = orpo_loss(*pairs.logprobs(pairs.policy)[1].chunk(2), None, 0.25, N)[0]
    torch.testing.assert_close(ours, theirs, **EXACT)


@pytest.mark.parametrize("seed", SEEDS)
def test_simpo(seed: int) -> None:
    pairs = Pairs(seed)
    labels = torch.where(pairs.completion, pairs.tokens, -100)
    chosen, rejected = CPOTrainer.get_batch_logps(pairs.policy, labels, average_log_prob=True).chunk(2)
    trainer = trainer_of(CPOTrainer, beta=2.0, simpo_gamma=0.6, loss_type="simpo", label_smoothing=0.0, alpha=0.0)
    theirs = trainer.cpo_loss(chosen, rejected)[0].mean()
    ours = simpo_loss(*pairs.logprobs(pairs.policy)[1].chunk(2), None, 2.0, 0.6, N)[0]
    torch.testing.assert_close(ours, theirs, **EXACT)


@pytest.mark.parametrize("seed", SEEDS)
def test_bradley_terry(seed: int) -> None:
    scores, margin = 2.0 * _randn(2 * N, 1, seed=seed), _randn(N, seed=seed + 1).abs()
    chosen, rejected = scores.squeeze(1).chunk(2)
    model = GivenLogits()
    model.forward = lambda **_: SimpleNamespace(logits=scores)  # type: ignore[method-assign]
    trainer = trainer_of(RewardTrainer, model=model, args=SimpleNamespace(center_rewards_coefficient=None))
    for extra, ours in (
        ({}, bradley_terry_loss(chosen, rejected, None, N)),
        ({"margin": margin}, bradley_terry_loss(chosen, rejected, None, N, margin=margin)),
    ):
        theirs = trainer.compute_loss(model, {"attention_mask": torch.ones(2 * N, 4), **extra})
        torch.testing.assert_close(ours, theirs, **EXACT)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("gamma", "gae_lambda"), [(1.0, 0.95), (0.97, 0.8)])
def test_gae_and_returns(seed: int, gamma: float, gae_lambda: float) -> None:
    rewards, values = _randn(2, N, T, seed=seed)
    mask = _lengths_mask(seed)
    args = SimpleNamespace(gamma=gamma, lam=gae_lambda)
    # TRL keeps no mask here, but what is padding to it is 0 after the last token, where ours ends a sequence
    cleared = {"rewards": rewards * mask, "values": values * mask}
    theirs = run_lines(
        PPOTrainer.train, "lastgaelam = 0", "returns = ", **cleared, args=args, responses=torch.zeros(N, T)
    )
    ours = gae(rewards, values, mask, gamma, gae_lambda)
    torch.testing.assert_close(ours, theirs["advantages"] * mask, **EXACT)
    torch.testing.assert_close(returns_from_advantages(ours, values, mask), theirs["returns"] * mask, **EXACT)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shift_mean", [True, False])
def test_whitening(seed: int, shift_mean: bool) -> None:
    """TRL divides by the sample's deviation, as if the batch were drawn from a larger one; ours by the batch's own."""
    x, mask = 3.0 + 2.0 * _randn(N, T, seed=seed), _lengths_mask(seed)
    mean, count = masked_mean(x, mask), mask.sum()
    theirs, ours = (
        table - (0.0 if shift_mean else mean)
        for table in (masked_whiten(x, mask, shift_mean), whiten(x, mask, shift_mean))
    )
    torch.testing.assert_close(ours[mask] * torch.sqrt((count - 1) / count), theirs[mask], **EXACT)


@pytest.mark.parametrize("seed", SEEDS)
def test_kl_estimators_and_rewards(seed: int) -> None:
    logprobs, ref_logprobs = 0.5 * _randn(2, N, T, seed=seed)
    score, mask = _randn(N, seed=seed + 1), _lengths_mask(seed)
    last = mask.sum(-1) - 1
    for estimator, ours in (("k1", kl_k1), ("k3", kl_k3)):
        args = SimpleNamespace(kl_estimator=estimator, kl_coef=0.05)
        theirs = run_lines(
            PPOTrainer.train, "logr = ", "kl = ", logprobs=logprobs, ref_logprobs=ref_logprobs, args=args
        )
        torch.testing.assert_close(ours(logprobs, ref_logprobs), theirs["kl"], **EXACT)
    theirs = run_lines(
        PPOTrainer.train,
        "logr = ",
        "rewards[actual_start",
        logprobs=logprobs * mask,
        ref_logprobs=ref_logprobs * mask,
        args=SimpleNamespace(kl_estimator="k1", kl_coef=0.05),
        # TRL puts the score one place after the last token that is no padding to it, on the value's place
        sequence_lengths=last - 1,
        sequence_lengths_p1=last,
        scores=score,
    )
    rewards, _ = shape_rewards(score, logprobs, ref_logprobs, mask, 0.05)
    torch.testing.assert_close(rewards, theirs["rewards"], **EXACT)


@pytest.mark.parametrize("seed", SEEDS)
def test_ppo_losses(seed: int) -> None:
    old, advantages, values, returns = _randn(4, N, T, seed=seed)
    new, predicted = (x + 0.3 * _randn(N, T, seed=seed + 7) for x in (old, values))
    mask = _lengths_mask(seed)
    theirs = run_lines(
        PPOTrainer.train,
        "vpredclipped = ",
        "loss = pg_loss",
        vpred=predicted,
        mb_values=values,
        mb_return=returns,
        mb_logprobs=old,
        new_logprobs=new,
        mb_advantage=advantages,
        padding_mask=~mask,
        padding_mask_p1=~mask,
        micro_batch_inds=slice(None),
        args=SimpleNamespace(cliprange_value=0.2, cliprange=0.2, vf_coef=0.1),
    )
    count = int(mask.sum())
    policy = ppo_policy_loss(new, old, advantages, mask, 0.2, 0.2, count)[0]
    value = clipped_value_loss(predicted, values, returns, mask, 0.2, count)
    torch.testing.assert_close(policy + 0.1 * value, theirs["loss"], **EXACT)


@pytest.mark.parametrize("seed", SEEDS)
def test_rloo_advantages(seed: int) -> None:
    rewards = _randn(5 * 4, seed=seed)
    theirs = run_lines(
        RLOOTrainer._generate_and_score_completions,
        "grouped_rewards = ",
        "advantages = torch.nan_to_num",
        rewards=rewards,
        num_generations=4,
        self=SimpleNamespace(normalize_advantages=False),
    )
    ours = leave_one_out_advantages(rewards.view(-1, 4)).flatten()
    torch.testing.assert_close(ours, theirs["advantages"], **EXACT)


@pytest.mark.parametrize("seed", SEEDS)
def test_grpo_advantages(seed: int) -> None:
    """TRL divides by the sample's deviation (G - 1) plus 1e-4; ours by the group's own plus 1e-6."""
    rewards, size = _randn(5 * 4, seed=seed), 4
    for scale, name in ((False, "none"), (True, "group")):
        theirs = run_lines(
            GRPOTrainer._generate_and_score_completions,
            "mean_grouped_rewards = ",
            "advantages = advantages / (std_rewards",
            rewards=rewards,
            num_generations=size,
            self=SimpleNamespace(scale_rewards=name),
        )["advantages"].view(-1, size)
        ours = group_advantages(rewards.view(-1, size), scale)
        if scale:
            deviation = rewards.view(-1, size).std(dim=1, correction=0, keepdim=True)
            ours = ours * (deviation + 1e-6) / (deviation * math.sqrt(size / (size - 1)) + 1e-4)
        torch.testing.assert_close(ours, theirs, **EXACT)


def _completions(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Log-probabilities of the policy (a leaf), the old one and the reference, advantages, and a mask."""
    old = -_randn(N, T, seed=seed).abs()
    new = (old + 0.3 * _randn(N, T, seed=seed + 1)).requires_grad_()
    return new, old, old + 0.3 * _randn(N, T, seed=seed + 2), _randn(N, seed=seed + 3), _lengths_mask(seed)


def _trl_inputs(old: Tensor, ref: Tensor, advantages: Tensor, mask: Tensor) -> dict[str, Tensor]:
    return {
        "prompt_ids": torch.zeros(N, 2, dtype=torch.long),
        "prompt_mask": torch.ones(N, 2, dtype=torch.long),
        "completion_ids": torch.zeros(N, T, dtype=torch.long),
        "completion_mask": mask.long(),
        "advantages": advantages,
        "old_per_token_logps": old,
        "old_logps": masked_sum(old, mask, dim=-1),
        "ref_per_token_logps": ref,
        "num_items_in_batch": mask.sum(),
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_rloo_gradient(seed: int) -> None:
    """On policy. TRL's mean is over sequences, ours over tokens: a constant of the batch between the two."""
    new, _, ref, advantages, mask = _completions(seed)
    old = new.detach()
    trainer = trainer_of(
        RLOOTrainer,
        model=torch.nn.Identity(),
        epsilon_low=0.2,
        epsilon_high=0.2,
        _get_per_token_logps_and_entropies=lambda *_, **__: (new, torch.zeros(N, T), None),
    )
    theirs = trainer._compute_loss(trainer.model, _trl_inputs(old, ref, advantages, mask))
    count = int(mask.sum())
    ours = ppo_policy_loss(new, old, spread_over_tokens(advantages, mask), mask, math.inf, math.inf, count)[0]
    (their_gradient,), (our_gradient,) = (torch.autograd.grad(loss, new) for loss in (theirs, ours))
    torch.testing.assert_close(our_gradient * count / N, their_gradient, **EXACT)


GRPO_VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "grpo": ({"loss_mean": "sequences"}, {"loss_type": "grpo"}),
    "dapo": ({"clip_high": 0.28}, {"loss_type": "dapo", "epsilon_high": 0.28}),
    "dr-grpo": ({"loss_mean": "constant", "scale": "none"}, {"loss_type": "dr_grpo"}),
    "gspo": (
        {"ratio": "sequence", "loss_mean": "sequences"},
        {"loss_type": "grpo", "importance_sampling_level": "sequence", "epsilon_low": 3e-4, "epsilon_high": 4e-4},
    ),
    # TRL's upper bound is the weight itself, ours its distance from 1
    "cispo": ({"ratio": "detached"}, {"loss_type": "cispo", "epsilon_high": 5.0}),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("variant", "kl_coef"),
    # With GSPO TRL corrects the KL of a token by its sequence's ratio, we by the token's own.
    [(name, kl_coef) for name in GRPO_VARIANTS for kl_coef in (0.0, 0.04) if name != "gspo" or kl_coef == 0.0],
)
def test_grpo_loss_and_gradient(variant: str, kl_coef: float, seed: int) -> None:
    """With `use_bias_correction_kl`, which is our k3-corrected-loss; without it TRL's is the k3 that we refuse."""
    ours_given, theirs_given = GRPO_VARIANTS[variant]
    new, old, ref, advantages, mask = _completions(seed)
    trainer = trainer_of(
        GRPOTrainer,
        **{
            "model": torch.nn.Identity(),
            "args": SimpleNamespace(use_bias_correction_kl=True, delta=None, steps_per_generation=1),
            "beta": kl_coef,
            "epsilon_low": 0.2,
            "epsilon_high": 0.2,
            "importance_sampling_level": "token",
            "top_entropy_quantile": 1.0,
            "off_policy_mask_threshold": None,
            "use_vllm": False,
            "_entropy_bonus_enabled": False,
            "current_gradient_accumulation_steps": 1,
            "max_completion_length": T + 2,
            "_get_per_token_logps_and_entropies": lambda *_, **__: (new, torch.zeros(N, T), None),
            **theirs_given,
        },
    )
    theirs = trainer._compute_loss(trainer.model, _trl_inputs(old, ref, advantages, mask))
    settings = GRPOSettings(kl_coef=kl_coef, kl_penalty="k3-corrected-loss", **ours_given)
    experience = Experience(mask, torch.zeros(N), torch.ones(N, dtype=torch.bool), old, ref, None, max_new_tokens=T + 2)
    targets = Targets(spread_over_tokens(advantages, mask), torch.zeros(N, T), torch.zeros(N), mask, kl_coef=kl_coef)
    ours = GRPO(settings).losses(new, None, None, experience, targets, int(mask.sum()), N).policy_loss
    torch.testing.assert_close(ours, theirs, **EXACT)
    (our_gradient,), (their_gradient,) = (torch.autograd.grad(loss, new) for loss in (ours, theirs))
    torch.testing.assert_close(our_gradient, their_gradient, **EXACT)
