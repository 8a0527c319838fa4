"""Reward-model losses, against values worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from assent.functional import (
    best_of_k_loss,
    bradley_terry_loss,
    davidson_loss,
    pair_weights,
    pairwise_loss_with_ties,
)

LN2, LN3 = math.log(2.0), math.log(3.0)
A = torch.tensor([LN3, 0.0, 0.0])
B = torch.tensor([0.0, 0.0, LN3])
# sigmoid(A - B) = 3/4, 1/2, 1/4


def test_bradley_terry() -> None:
    # -ln ¾ - ln ½ - ln ¼ = ln(4/3 · 2 · 4) = ln(32/3)
    assert bradley_terry_loss(A, B, None, 3).item() == pytest.approx(math.log(32 / 3) / 3)
    # weights 2, 0, 1: 2 ln(4/3) + ln 4
    weight = torch.tensor([2.0, 0.0, 1.0])
    assert bradley_terry_loss(A, B, weight, 3).item() == pytest.approx((2 * math.log(4 / 3) + math.log(4)) / 3)


def test_bradley_terry_keeps_its_gradient_at_large_margins() -> None:
    chosen = torch.tensor([-200.0], requires_grad=True)
    loss = bradley_terry_loss(chosen, torch.tensor([200.0]), None, 1)
    loss.backward()
    assert loss.item() == pytest.approx(400.0)
    assert chosen.grad is not None
    assert chosen.grad.item() == pytest.approx(-1.0)


def test_ties_cost_both_ways() -> None:
    preference = torch.tensor([1.0, 0.5, 0.5])
    # -ln ¾; ½ (ln 2 + ln 2); ½ (ln 4 + ln 4/3)
    expected = math.log(4 / 3) + LN2 + 0.5 * math.log(16 / 3)
    assert pairwise_loss_with_ties(A, B, preference, None, 1).item() == pytest.approx(expected)


def test_davidson() -> None:
    # log_tie = 0, d = 2 ln 3 (A doubled): 3 : 1 : 1/3 = 9/13, 3/13, 1/13; equal scores: 1/3 each
    first, second = torch.tensor([2 * LN3] * 3 + [0.0]), torch.zeros(4)
    log_tie = torch.tensor(0.0)
    losses = [
        davidson_loss(first[i : i + 1], second[i : i + 1], torch.tensor([p]), log_tie, None, 1).item()
        for i, p in enumerate([1.0, 0.5, 0.0, 0.5])
    ]
    assert losses == pytest.approx([math.log(13 / 9), math.log(13 / 3), math.log(13), LN3])


def test_davidson_without_ties_is_bradley_terry() -> None:
    no_ties = torch.tensor(-1e4)
    ours = davidson_loss(A, B, torch.ones(3), no_ties, None, 1)
    torch.testing.assert_close(ours, bradley_terry_loss(A, B, None, 1))


def test_davidson_learns_how_often_people_tie() -> None:
    # equal scores and 30 % ties: n / (2 + n) = 0.3, so n = 6/7
    preference = torch.tensor([0.5] * 3 + [1.0] * 4 + [0.0] * 3, dtype=torch.float64)
    scores = torch.zeros(10, dtype=torch.float64)
    log_tie = torch.tensor(math.log(6 / 7), dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(davidson_loss(scores, scores, preference, log_tie, None, 10), log_tie)
    assert gradient.item() == pytest.approx(0.0, abs=1e-12)


def test_best_of_k() -> None:
    # softmax of (ln 1, ln 2, ln 5) = 1/8, 2/8, 5/8; with the third absent 1/3, 2/3; the last group is padding
    row = torch.tensor([1.0, 2.0, 5.0]).log()
    scores = torch.stack([row, torch.cat([row[:2], torch.tensor([math.nan])]), torch.full((3,), math.nan)])
    scores.requires_grad_()
    mask = torch.tensor([[True, True, True], [True, True, False], [False, False, False]])
    loss = best_of_k_loss(scores, torch.tensor([2, 1, 0]), mask, 2)
    assert loss.item() == pytest.approx((math.log(8 / 5) + math.log(3 / 2)) / 2)
    loss.backward()
    # (softmax - one-hot) / 2
    expected = torch.tensor([[1 / 16, 2 / 16, -3 / 16], [1 / 6, -1 / 6, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(scores.grad, expected)


@pytest.mark.parametrize("best", [2, 3, -1])
def test_best_of_k_refuses_a_best_that_does_not_exist(best: int) -> None:
    with pytest.raises(ValueError, match="best"):
        best_of_k_loss(torch.zeros(1, 3), torch.tensor([best]), torch.tensor([[True, True, False]]), 1)


def test_pair_weights_give_every_prompt_the_same_say() -> None:
    # one prompt with 3 pairs (K = 3), one with none, one with a single pair
    weights = pair_weights(torch.tensor([3, 0, 1]))
    torch.testing.assert_close(weights, torch.tensor([1 / 3, 1 / 3, 1 / 3, 1.0]))
    chosen, rejected = torch.tensor([LN3, LN3, LN3, 0.0]), torch.zeros(4)
    # the mean of (mean of three ln 4/3) and (ln 2), over the 2 prompts that have pairs
    loss = bradley_terry_loss(chosen, rejected, weights, 2)
    assert loss.item() == pytest.approx((math.log(4 / 3) + LN2) / 2)
