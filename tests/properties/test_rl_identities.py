"""Identities between advantages, returns, losses and KL estimators that hold for any numbers."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from assent.functional import (
    adaptive_kl_coef,
    discounted_returns,
    gae,
    gather_last,
    kl_k1,
    kl_k2,
    kl_k3,
    masked_mean,
    masked_var,
    policy_gradient_loss,
    ppo_policy_loss,
    returns_from_advantages,
    scatter_last,
    whiten,
)

SEEDS = st.integers(0, 10**6)
GAMMAS = st.floats(0.0, 1.0)


def _draw(seed: int, count: int = 3, rows: int = 3, columns: int = 7) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tensors = list(torch.randn(count, rows, columns, generator=generator, dtype=torch.float64))
    mask = torch.rand(rows, columns, generator=generator) < 0.7
    mask[torch.arange(rows), torch.randint(columns, (rows,), generator=generator)] = True
    return tensors, mask


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, gamma=GAMMAS)
def test_lambda_one_gives_returns_minus_values(seed: int, gamma: float) -> None:
    (rewards, values), mask = _draw(seed, 2)
    advantages = gae(rewards, values, mask, gamma, 1.0)
    expected = torch.where(mask, discounted_returns(rewards, mask, gamma) - values, 0.0)
    torch.testing.assert_close(advantages, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        returns_from_advantages(advantages, values, mask),
        discounted_returns(rewards, mask, gamma),
        rtol=1e-12,
        atol=1e-12,
    )


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, gamma=GAMMAS, gae_lambda=GAMMAS)
def test_masking_equals_slicing(seed: int, gamma: float, gae_lambda: float) -> None:
    (rewards, values), mask = _draw(seed, 2)
    advantages = gae(rewards, values, mask, gamma, gae_lambda)
    for row in range(len(mask)):
        kept = mask[row]
        alone = gae(rewards[row, kept][None], values[row, kept][None], kept[kept][None], gamma, gae_lambda)
        assert torch.equal(advantages[row, kept], alone[0])


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS)
def test_on_policy_ppo_gradient_is_the_policy_gradient_bit_for_bit(seed: int) -> None:
    (logprobs, advantages), mask = _draw(seed, 2)
    logprobs.requires_grad_()
    ppo, stats = ppo_policy_loss(logprobs, logprobs, advantages, mask, 0.2, 0.2, 11)
    pg = policy_gradient_loss(logprobs, advantages, mask, 11)
    assert torch.equal(*(torch.autograd.grad(loss, logprobs)[0] for loss in (ppo, pg)))
    assert stats["clip_fraction"].item() == stats["approx_kl"].item() == 0.0
    assert stats["ratio"].item() == mask.sum().item()


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, scale=st.sampled_from([1e-9, 1e-4, 1.0, 20.0]))
def test_k2_and_k3_are_never_negative(seed: int, scale: float) -> None:
    (logprobs, ref_logprobs), _ = _draw(seed, 2)
    for dtype in (torch.float32, torch.float64):
        a, b = (scale * logprobs).to(dtype), (scale * ref_logprobs).to(dtype)
        assert (kl_k2(a, b) >= 0).all()
        assert (kl_k3(a, b) >= 0).all()


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, vocabulary=st.integers(2, 20))
def test_k1_and_k3_are_unbiased(seed: int, vocabulary: int) -> None:
    # the expectation is taken exactly, over the whole vocabulary
    (log_p, log_ref), _ = _draw(seed, 2, 1, vocabulary)
    log_p, log_ref = log_p.log_softmax(-1), log_ref.log_softmax(-1)
    exact = torch.nn.functional.kl_div(log_ref, log_p, log_target=True, reduction="sum")
    for estimator in (kl_k1, kl_k3):
        torch.testing.assert_close((log_p.exp() * estimator(log_p, log_ref)).sum(), exact, rtol=1e-9, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS)
def test_whitened_has_mean_zero_and_variance_one(seed: int) -> None:
    (x,), mask = _draw(seed, 1)
    mask[0, :2] = True  # two values at the least, or there is no variance
    moved, kept = whiten(x, mask), whiten(x, mask, shift_mean=False)
    assert math.isclose(masked_mean(moved, mask).item(), 0.0, abs_tol=1e-9)
    assert math.isclose(masked_mean(kept, mask).item(), masked_mean(x, mask).item(), abs_tol=1e-9)
    # var / (var + 1e-8)
    for whitened in (moved, kept):
        variance = masked_var(x, mask).item()
        assert math.isclose(masked_var(whitened, mask).item(), variance / (variance + 1e-8), rel_tol=1e-9)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS)
def test_gather_last_undoes_scatter_last(seed: int) -> None:
    (x,), mask = _draw(seed, 1)
    score = x[:, 0]
    scattered = scatter_last(score, mask)
    assert torch.equal(gather_last(scattered, mask), score)
    assert (scattered != 0).sum() == (score != 0).sum()


@settings(max_examples=100, deadline=None)
@given(
    kl_coef=st.floats(1e-4, 1.0),
    observed=st.floats(-50.0, 500.0),
    target=st.floats(0.1, 50.0),
    n=st.integers(1, 2_000),
)
def test_the_coefficient_moves_towards_the_target_and_never_fast(
    kl_coef: float, observed: float, target: float, n: int
) -> None:
    after = adaptive_kl_coef(kl_coef, observed, target, 10_000.0, n)
    assert abs(after / kl_coef - 1.0) <= 0.2 * n / 10_000.0 + 1e-12
    assert after >= kl_coef if observed >= target else after <= kl_coef
