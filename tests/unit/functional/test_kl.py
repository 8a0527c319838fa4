"""KL estimators and the adaptive coefficient, against values worked by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from assent.functional import AdaptiveKLController, adaptive_kl_coef, kl_k1, kl_k2, kl_k3, kl_loss, sequence_kl

LOGPROBS = torch.tensor([[-1.0, -2.0, math.nan]])
REF_LOGPROBS = torch.tensor([[-1.5, -1.0, -math.inf]])
MASK = torch.tensor([[True, True, False]])


def test_estimators() -> None:
    # logr = 0.5 and -1
    torch.testing.assert_close(kl_k1(LOGPROBS, REF_LOGPROBS, MASK), torch.tensor([[0.5, -1.0, 0.0]]))
    # ½ · 0.25 and ½ · 1
    torch.testing.assert_close(kl_k2(LOGPROBS, REF_LOGPROBS, MASK), torch.tensor([[0.125, 0.5, 0.0]]))
    # e^-0.5 - 1 + 0.5 = 0.1065307 and e^1 - 1 - 1 = 0.7182818
    torch.testing.assert_close(kl_k3(LOGPROBS, REF_LOGPROBS, MASK), torch.tensor([[0.1065307, 0.7182818, 0.0]]))


def test_k3_keeps_its_digits_near_zero() -> None:
    # logr = 1e-4: k3 = logr²/2 to first order = 5e-9, which exp(-logr) - 1 + logr in fp32 would lose altogether
    k3 = kl_k3(torch.tensor([1e-4]), torch.tensor([0.0]))
    torch.testing.assert_close(k3, torch.tensor([5e-9]), rtol=1e-2, atol=0.0)


def test_sequence_kl_is_summed_not_averaged() -> None:
    assert sequence_kl(LOGPROBS, REF_LOGPROBS, MASK).tolist() == [-0.5]  # 0.5 - 1


def test_kl_losses_and_their_gradients() -> None:
    old = torch.tensor([[-1.2, -2.0, 0.0]])  # ratios e^0.2 and 1
    weights = torch.tensor([[1.0, 3.0, math.nan]])
    logprobs = LOGPROBS.clone().requires_grad_()
    k2 = kl_loss(logprobs, old, REF_LOGPROBS, MASK, "k2", 2, weights)
    # (0.125 + 3 · 0.5) / 2; its gradient is weight · logr / 2
    assert k2.item() == pytest.approx(0.8125)
    (gradient,) = torch.autograd.grad(k2, logprobs)
    torch.testing.assert_close(gradient, torch.tensor([[0.25, -1.5, 0.0]]))
    k3 = kl_loss(logprobs, old, REF_LOGPROBS, MASK, "k3", 2)
    # (e^0.2 · 0.1065307 + 0.7182818) / 2; its gradient is ratio · logr / 2
    assert k3.item() == pytest.approx((math.exp(0.2) * 0.1065307 + 0.7182818) / 2, rel=1e-6)
    (gradient,) = torch.autograd.grad(k3, logprobs)
    torch.testing.assert_close(gradient, torch.tensor([[math.exp(0.2) * 0.25, -0.5, 0.0]]))


@pytest.mark.parametrize("estimator", ["k2", "k3"])
def test_kl_losses_have_the_gradient_of_the_kl(estimator: str) -> None:
    """Exactly, over a vocabulary of seven: tokens weighed as they are drawn, from π for k2, from another for k3."""
    numbers = torch.randn(3, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    logits, ref = numbers[0].clone().requires_grad_(), numbers[1].log_softmax(-1)
    log_p = logits.log_softmax(-1)
    (exact,) = torch.autograd.grad((log_p.exp() * (log_p - ref)).sum(), logits)
    drawn = log_p.detach() if estimator == "k2" else numbers[2].log_softmax(-1)
    log_p = logits.log_softmax(-1)
    loss = kl_loss(log_p[None], drawn[None], ref[None], torch.ones(1, 7).bool(), estimator, 1, drawn.exp()[None])
    torch.testing.assert_close(torch.autograd.grad(loss, logits)[0], exact)


def test_plain_k3_has_the_gradient_of_the_other_kl() -> None:
    numbers = torch.randn(2, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    logits, ref = numbers[0].clone().requires_grad_(), numbers[1].log_softmax(-1)
    log_p = logits.log_softmax(-1)
    (forward,) = torch.autograd.grad((ref.exp() * (ref - log_p)).sum(), logits, retain_graph=True)
    (plain,) = torch.autograd.grad((log_p.detach().exp() * kl_k3(log_p, ref)).sum(), logits)
    torch.testing.assert_close(plain, forward)


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (6.0, 0.15),  # on target
        (6.6, 0.15 * (1 + 0.1 * 256 / 10_000)),  # 10 % over
        (5.4, 0.15 * (1 - 0.1 * 256 / 10_000)),
        (60.0, 0.15 * (1 + 0.2 * 256 / 10_000)),  # clipped at +0.2
        (0.0, 0.15 * (1 - 0.2 * 256 / 10_000)),  # clipped at -0.2
        (-3.0, 0.15 * (1 - 0.2 * 256 / 10_000)),  # k1 on a batch can be negative
    ],
)
def test_adaptive_coefficient(observed: float, expected: float) -> None:
    # Ziegler et al. 2019: β 0.15, target 6 nats, horizon 10,000; one batch of 256
    assert adaptive_kl_coef(0.15, observed, 6.0, 10_000.0, 256) == pytest.approx(expected, rel=1e-12)


def test_controller_is_a_value_that_rounds_through_a_dict() -> None:
    start = AdaptiveKLController(kl_coef=0.15, target_kl=6.0, horizon=10_000.0)
    after = start.updated(60.0, 256)
    assert start.kl_coef == 0.15
    assert after == dataclasses.replace(start, kl_coef=adaptive_kl_coef(0.15, 60.0, 6.0, 10_000.0, 256))
    resumed = AdaptiveKLController(**dataclasses.asdict(after))
    assert resumed.updated(3.0, 256) == after.updated(3.0, 256)


@pytest.mark.parametrize(
    ("observed", "target", "horizon", "n", "word"),
    [
        (1.0, 0.0, 100.0, 1, "positive"),
        (1.0, 6.0, 0.0, 1, "positive"),
        (math.nan, 6.0, 100.0, 1, "finite"),
        (math.inf, 6.0, 100.0, 1, "finite"),
        (1.0, 6.0, 100.0, 500, r"n must lie in \[0, 500\)"),
        (1.0, 6.0, 100.0, -1, "n must lie"),
    ],
)
def test_settings_that_would_break_the_controller(
    observed: float, target: float, horizon: float, n: int, word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        adaptive_kl_coef(0.1, observed, target, horizon, n)
