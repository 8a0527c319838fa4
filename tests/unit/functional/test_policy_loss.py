"""Policy losses, against values worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from assent.functional import (
    detached_ratio_policy_loss,
    divided_by_length,
    policy_gradient_loss,
    ppo_policy_loss,
    sequence_ratio_policy_loss,
)

RATIOS = torch.tensor([[1.5, 1.5, 0.5, 0.5, 1.1, math.nan]])
ADVANTAGES = torch.tensor([[2.0, -2.0, 1.0, -1.0, 3.0, math.inf]])
MASK = torch.tensor([[True, True, True, True, True, False]])
# Clips 0.2: min(ratio·A, clip(ratio)·A) =
#   1.5 up,   A > 0: min(3.0, 2.4)   =  2.4  clipped
#   1.5 up,   A < 0: min(-3.0, -2.4) = -3.0
#   0.5 down, A > 0: min(0.5, 0.8)   =  0.5
#   0.5 down, A < 0: min(-0.5, -0.8) = -0.8  clipped
#   1.1 inside:                         3.3
# sum 2.4


def test_ppo_loss_and_its_stats() -> None:
    logprobs = RATIOS.log().requires_grad_()
    loss, stats = ppo_policy_loss(logprobs, torch.zeros(1, 6), ADVANTAGES, MASK, 0.2, 0.2, 10)
    assert loss.item() == pytest.approx(-2.4 / 10)
    assert stats["clip_fraction"].item() == 2.0
    assert stats["ratio"].item() == pytest.approx(5.1)  # 1.5 + 1.5 + 0.5 + 0.5 + 1.1
    # Σ (ratio - 1) - Σ ln ratio = 0.1 - (2 ln 1.5 + 2 ln 0.5 + ln 1.1) = 0.1 + 0.480054
    assert stats["approx_kl"].item() == pytest.approx(0.1 - math.log(1.5**2 * 0.5**2 * 1.1), rel=1e-5)
    assert not any(value.requires_grad for value in stats.values())
    (gradient,) = torch.autograd.grad(loss, logprobs)
    # clipped tokens get none; the others -A · ratio / 10
    torch.testing.assert_close(gradient, torch.tensor([[0.0, 0.3, -0.05, 0.0, -0.33, 0.0]]))


def test_clips_are_separate() -> None:
    logprobs = torch.tensor([[1.25, 0.75]]).log()
    mask = torch.ones(1, 2, dtype=torch.bool)
    advantages = torch.tensor([[1.0, -1.0]])
    # high clip 0.28 leaves 1.25 alone, low clip 0.2 cuts 0.75 to 0.8: 1.25 - 0.8
    loss, stats = ppo_policy_loss(logprobs, torch.zeros(1, 2), advantages, mask, 0.2, 0.28, 1)
    assert loss.item() == pytest.approx(-0.45, rel=1e-6)
    assert stats["clip_fraction"].item() == 1.0
    # and the other way round: 1.2 - 0.75
    loss, _ = ppo_policy_loss(logprobs, torch.zeros(1, 2), advantages, mask, 0.28, 0.2, 1)
    assert loss.item() == pytest.approx(-0.45, rel=1e-6)


def test_advantages_and_old_logprobs_are_constants() -> None:
    live = torch.zeros(1, 6, requires_grad=True)
    loss, _ = ppo_policy_loss(RATIOS.log(), live, live + 1.0, MASK, 0.2, 0.2, 5)
    assert not loss.requires_grad


def test_infinite_clips_leave_the_plain_surrogate() -> None:
    loss, stats = ppo_policy_loss(RATIOS.log(), torch.zeros(1, 6), ADVANTAGES, MASK, math.inf, math.inf, 1)
    assert loss.item() == pytest.approx(-3.3)  # 3 - 3 + 0.5 - 0.5 + 3.3
    assert stats["clip_fraction"].item() == 0.0


def test_policy_gradient_loss() -> None:
    logprobs = torch.tensor([[-1.0, -2.0, math.nan]], requires_grad=True)
    mask = torch.tensor([[True, True, False]])
    loss = policy_gradient_loss(logprobs, torch.tensor([[3.0, -1.0, math.inf]]), mask, 4)
    assert loss.item() == 0.25  # -(3·(-1) + (-1)·(-2)) / 4
    loss.backward()
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == [[-0.75, 0.25, 0.0]]


# Two sequences of ratios 4 · 1 and 1 · 0.25 · 1: geometric means 2 and 4^(-1/3) = 0.629961
PAIR = torch.tensor([[4.0, 1.0, math.nan], [1.0, 0.25, 1.0]])
PAIR_MASK = torch.tensor([[True, True, False], [True, True, True]])
PAIR_ADVANTAGES = torch.tensor([[1.0, 1.0, math.inf], [-2.0, -2.0, -2.0]])


def test_sequence_ratio_loss_and_its_stats() -> None:
    logprobs = PAIR.log().requires_grad_()
    loss, stats = sequence_ratio_policy_loss(logprobs, torch.zeros(2, 3), PAIR_ADVANTAGES, PAIR_MASK, 0.5, 1.5, 10)
    # inside of the clips: two tokens of 2 · 1, three of 0.629961 · (-2)
    s = 0.25 ** (1 / 3)
    assert loss.item() == pytest.approx(-(2 * 2 - 3 * 2 * s) / 10, rel=1e-6)
    assert stats["clip_fraction"].item() == 0.0
    assert stats["ratio"].item() == pytest.approx(7.25)  # of tokens: 4 + 1 + 1 + 0.25 + 1
    loss.backward()
    assert logprobs.grad is not None
    # ∂/∂log π of each token: its sequence's Σ A · s / length: -(2 · 2)/2 and (3 · 2 s)/3, over 10
    expected = torch.tensor([[-0.2, -0.2, 0.0], [0.2 * s, 0.2 * s, 0.2 * s]])
    torch.testing.assert_close(logprobs.grad, expected)


def test_sequence_ratio_is_clipped_as_one() -> None:
    logprobs = PAIR.log().requires_grad_()
    loss, stats = sequence_ratio_policy_loss(logprobs, torch.zeros(2, 3), PAIR_ADVANTAGES, PAIR_MASK, 0.2, 0.2, 1)
    # 2 -> 1.2 with A = 1, twice; 0.629961 -> 0.8 with A = -2, three times: both clipped
    assert loss.item() == pytest.approx(-(2 * 1.2 - 3 * 1.6), rel=1e-6)
    assert stats["clip_fraction"].item() == 5.0
    loss.backward()
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]


def test_detached_ratio_loss_leaves_every_token_its_gradient() -> None:
    logprobs = RATIOS.log().requires_grad_()
    loss, stats = detached_ratio_policy_loss(logprobs, torch.zeros(1, 6), ADVANTAGES, MASK, 1.0, 0.2, 10)
    # weights 1.2, 1.2, 0.5, 0.5, 1.1 times A = 2, -2, 1, -1, 3
    weighted = torch.tensor([[2.4, -2.4, 0.5, -0.5, 3.3]])
    assert loss.item() == pytest.approx(-float((weighted * RATIOS[:, :5].log()).sum()) / 10, rel=1e-6)
    assert stats["clip_fraction"].item() == 2.0
    loss.backward()
    assert logprobs.grad is not None
    torch.testing.assert_close(logprobs.grad, torch.cat([-weighted / 10, torch.zeros(1, 1)], dim=1))


def test_divided_by_length() -> None:
    x = torch.tensor([[2.0, 4.0, math.nan], [3.0, 6.0, 9.0], [math.nan, 1.0, 1.0]])
    mask = torch.tensor([[True, True, False], [True, True, True], [False, False, False]])
    torch.testing.assert_close(
        divided_by_length(x, mask), torch.tensor([[1.0, 2.0, 0.0], [1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    )


def test_negative_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="clips"):
        ppo_policy_loss(RATIOS, RATIOS, ADVANTAGES, MASK, -0.1, 0.2, 1)
    with pytest.raises(ValueError, match="clips"):
        sequence_ratio_policy_loss(RATIOS, RATIOS, ADVANTAGES, MASK, 0.1, -0.2, 1)
    with pytest.raises(ValueError, match="clips"):
        detached_ratio_policy_loss(RATIOS, RATIOS, ADVANTAGES, MASK, 0.1, -0.2, 1)
