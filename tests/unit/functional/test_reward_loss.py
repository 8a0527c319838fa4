"""Reward-model losses, against values worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from assent.functional import (
    best_of_k_loss,
    binary_feedback_loss,
    bradley_terry_loss,
    davidson_loss,
    pair_weights,
    pairwise_loss_with_ties,
    plackett_luce_loss,
    score_regression_loss,
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


def test_a_margin_is_taken_off_the_lead() -> None:
    # sigmoid(A - B - margin) = 1/2, 1/4, 1/4
    margin = torch.tensor([LN3, LN3, 0.0])
    assert bradley_terry_loss(A, B, None, 3, margin=margin).item() == pytest.approx(math.log(32) / 3)


def test_label_smoothing_gives_a_share_of_the_label_to_the_other_side() -> None:
    # weights 2, 0, 1 and a share of 0.1: 2 (0.9 ln 4/3 + 0.1 ln 4) + (0.9 ln 4 + 0.1 ln 4/3)
    weight = torch.tensor([2.0, 0.0, 1.0])
    expected = 1.9 * math.log(4 / 3) + 1.1 * math.log(4)
    assert bradley_terry_loss(A, B, weight, 1, label_smoothing=0.1).item() == pytest.approx(expected)


def test_a_smoothed_loss_is_least_at_a_finite_lead() -> None:
    # sigmoid(lead - margin) = 0.9 where lead = ln 9 + margin
    chosen = torch.tensor([2 * LN3 + 0.7], dtype=torch.float64, requires_grad=True)
    margin = torch.tensor([0.7], dtype=torch.float64)
    loss = bradley_terry_loss(chosen, torch.zeros(1, dtype=torch.float64), None, 1, margin, 0.1)
    (gradient,) = torch.autograd.grad(loss, chosen)
    assert gradient.item() == pytest.approx(0.0, abs=1e-12)
    assert loss.item() == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1))


def test_reliability_scales_a_judgement_and_its_gradient() -> None:
    chosen = A.clone().requires_grad_()
    weight = pair_weights(torch.tensor([2, 1])) * torch.tensor([1.0, 0.5, 0.0])  # shares ½, ½, 1 times reliabilities
    loss = bradley_terry_loss(chosen, B, weight, 2)
    # (½ ln 4/3 + ¼ ln 2) / 2; gradients -w sigmoid(B - A) / 2
    assert loss.item() == pytest.approx((0.5 * math.log(4 / 3) + 0.25 * LN2) / 2)
    loss.backward()
    torch.testing.assert_close(chosen.grad, torch.tensor([-1 / 16, -1 / 16, 0.0]))


@pytest.mark.parametrize("label_smoothing", [-0.1, 0.5, math.nan])
def test_label_smoothing_outside_its_range_is_refused(label_smoothing: float) -> None:
    with pytest.raises(ValueError, match="label_smoothing"):
        bradley_terry_loss(A, B, None, 3, label_smoothing=label_smoothing)
    with pytest.raises(ValueError, match="label_smoothing"):
        pairwise_loss_with_ties(A, B, torch.ones(3), None, 3, label_smoothing=label_smoothing)


def test_the_margin_of_a_soft_label_points_where_the_label_does() -> None:
    # with margin ln 3: 1 asks for A - B - ln 3 = 0, 0 for A - B + ln 3 = 0, and a tie has no margin: ln 2 each
    preference, margin = torch.tensor([1.0, 0.5, 0.0]), torch.full((3,), LN3)
    assert pairwise_loss_with_ties(A, B, preference, None, 1, margin).item() == pytest.approx(3 * LN2)
    # smoothing by 0.25 makes labels of 0.75, 0.5, 0.25; the first: ¾ ln 4/3 + ¼ ln 4, as the third
    expected = 2 * (0.75 * math.log(4 / 3) + 0.25 * math.log(4)) + LN2
    smoothed = pairwise_loss_with_ties(A, B, preference, None, 1, label_smoothing=0.25)
    assert smoothed.item() == pytest.approx(expected)


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


def test_plackett_luce_without_ties() -> None:
    # best first: 5 of 8, then 2 of 3; with the third absent 2 of 3; a group of one and one of none say nothing
    row = torch.tensor([1.0, 2.0, 5.0]).log()
    absent = torch.full((3,), math.nan)
    scores = torch.stack([row, torch.cat([row[:2], absent[:1]]), torch.cat([row[:1], absent[:2]]), absent])
    scores.requires_grad_()
    ranks = torch.tensor([[3, 2, 1], [2, 1, 1], [1, 1, 1], [0, -1, 9]])
    mask = torch.tensor([[True, True, True], [True, True, False], [True, False, False], [False, False, False]])
    loss = plackett_luce_loss(scores, ranks, mask, None, 2)
    assert loss.item() == pytest.approx((math.log(12 / 5) + math.log(3 / 2)) / 2)
    loss.backward()
    # the sum of each draw's (softmax - one-hot), over 2: (1/8 + 1/3, 2/8 + 2/3 - 1, 5/8 - 1) and (1/3, 2/3 - 1)
    expected = torch.tensor([[11 / 48, -1 / 24, -3 / 16], [1 / 6, -1 / 6, 0.0], [0.0] * 3, [0.0] * 3])
    torch.testing.assert_close(scores.grad, expected)


def test_plackett_luce_with_efrons_ties() -> None:
    scores = torch.tensor([[1.0, 2.0, 5.0]]).log()
    mask = torch.ones(1, 3, dtype=torch.bool)
    # the first two tie above the third: S = 8, D = 3: 1 · 2 / (8 · (8 - 3/2)) = 1/26, then the third is alone
    loss = plackett_luce_loss(scores, torch.tensor([[1, 1, 2]]), mask, None, 1)
    assert loss.item() == pytest.approx(math.log(26))
    # they tie below it: 5/8, then S = D = 3: 1 · 2 / (3 · 3/2) = 4/9
    loss = plackett_luce_loss(scores, torch.tensor([[2, 2, 1]]), mask, None, 1)
    assert loss.item() == pytest.approx(math.log(8 / 5 * 9 / 4))
    # all tie: 10 / (8 · (8 - 8/3) · (8 - 16/3)) = 90/1024; other numbers for the same ranks say the same
    loss = plackett_luce_loss(scores, torch.tensor([[7, 7, 7]]), mask, None, 1)
    assert loss.item() == pytest.approx(math.log(1024 / 90))


def test_a_tie_among_equals_pulls_on_the_rest_as_either_order_does() -> None:
    scores = torch.zeros(1, 3, requires_grad=True)
    mask = torch.ones(1, 3, dtype=torch.bool)
    (tied,) = torch.autograd.grad(plackett_luce_loss(scores, torch.tensor([[1, 1, 2]]), mask, None, 1), scores)
    # the loser's share of the two draws: 1/3 + 1/2 (Breslow's would be 1/3 + 1/3), split evenly between the winners
    torch.testing.assert_close(tied, torch.tensor([[-5 / 12, -5 / 12, 5 / 6]]))
    (ordered,) = torch.autograd.grad(plackett_luce_loss(scores, torch.tensor([[1, 2, 3]]), mask, None, 1), scores)
    assert ordered[0, 2].item() == pytest.approx(5 / 6)


def test_plackett_luce_weights_groups_and_is_finite_for_scores_far_apart() -> None:
    scores = torch.tensor([[300.0, -300.0], [0.0, 0.0], [math.nan, math.inf]], requires_grad=True)
    ranks, mask = torch.tensor([[2, 1], [1, 2], [1, 2]]), torch.ones(3, 2, dtype=torch.bool)
    loss = plackett_luce_loss(scores, ranks, mask, torch.tensor([0.5, 2.0, 0.0]), 1)
    assert loss.item() == pytest.approx(0.5 * 600 + 2 * LN2)
    loss.backward()
    torch.testing.assert_close(scores.grad, torch.tensor([[0.5, -0.5], [-1.0, 1.0], [0.0, 0.0]]))


def test_score_regression_with_and_without_huber() -> None:
    score = torch.tensor([1.5, 4.0, -1.0, math.nan], requires_grad=True)
    target, weight = torch.tensor([1.0, 1.0, 1.0, math.inf]), torch.tensor([1.0, 1.0, 2.0, 0.0])
    # errors 0.5, 3, -2, weights 1, 1, 2: ½ (0.25 + 9 + 2 · 4) = 8.625
    assert score_regression_loss(score, target, weight, 4).item() == pytest.approx(8.625 / 4)
    # delta 1: 0.125 + (3 - ½) + 2 (2 - ½) = 5.625
    loss = score_regression_loss(score, target, weight, 4, 1.0)
    assert loss.item() == pytest.approx(5.625 / 4)
    loss.backward()
    torch.testing.assert_close(score.grad, torch.tensor([0.5, 1.0, -2.0, 0.0]) / 4)


def test_regression_targets_are_constants_and_delta_is_positive() -> None:
    assert not score_regression_loss(A, B.clone().requires_grad_(), None, 1).requires_grad
    for delta in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="huber_delta"):
            score_regression_loss(A, B, None, 1, delta)


def test_binary_feedback() -> None:
    score = torch.tensor([LN3, LN3, 0.0])  # sigmoid 3/4, 3/4, 1/2
    label = torch.tensor([1.0, 0.0, 0.5])
    # ln 4/3 + ln 4 + ln 2; with positives doubled 2 ln 4/3 + ln 4 + 1.5 ln 2
    assert binary_feedback_loss(score, label, None, 2).item() == pytest.approx(math.log(32 / 3) / 2)
    expected = 2 * math.log(4 / 3) + math.log(4) + 1.5 * LN2
    assert binary_feedback_loss(score, label, None, 1, 2.0).item() == pytest.approx(expected)
    # a weight leaves out the second, whatever its label
    label = torch.tensor([1.0, math.nan, 0.5])
    loss = binary_feedback_loss(score, label, torch.tensor([1.0, 0.0, 2.0]), 1)
    assert loss.item() == pytest.approx(math.log(4 / 3) + 2 * LN2)
    for positive_weight in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="positive_weight"):
            binary_feedback_loss(score, label, None, 1, positive_weight)


def test_a_positive_weight_of_bad_over_good_puts_the_balance_at_zero() -> None:
    score = torch.zeros(4, requires_grad=True)
    loss = binary_feedback_loss(score, torch.tensor([1.0, 0.0, 0.0, 0.0]), None, 4, 3.0)
    (gradient,) = torch.autograd.grad(loss, score)
    assert gradient.sum().item() == pytest.approx(0.0, abs=1e-7)


def test_a_label_under_weight_zero_never_matters() -> None:
    weight, preference = torch.tensor([1.0, 0.0, 1.0]), torch.tensor([1.0, math.nan, 0.5])
    log_tie = torch.tensor(0.0, requires_grad=True)
    clean = torch.tensor([1.0, 0.5, 0.5])
    assert torch.equal(
        pairwise_loss_with_ties(A, B, preference, weight, 2), pairwise_loss_with_ties(A, B, clean, weight, 2)
    )
    spoilt = davidson_loss(A, B, preference, log_tie, weight, 2)
    (gradient,) = torch.autograd.grad(spoilt, log_tie)
    (expected,) = torch.autograd.grad(davidson_loss(A, B, clean, log_tie, weight, 2), log_tie)
    assert torch.equal(gradient, expected)
    assert gradient.item() != 0


def test_pair_weights_give_every_prompt_the_same_say() -> None:
    # one prompt with 3 pairs (K = 3), one with none, one with a single pair
    weights = pair_weights(torch.tensor([3, 0, 1]))
    torch.testing.assert_close(weights, torch.tensor([1 / 3, 1 / 3, 1 / 3, 1.0]))
    chosen, rejected = torch.tensor([LN3, LN3, LN3, 0.0]), torch.zeros(4)
    # the mean of (mean of three ln 4/3) and (ln 2), over the 2 prompts that have pairs
    loss = bradley_terry_loss(chosen, rejected, weights, 2)
    assert loss.item() == pytest.approx((math.log(4 / 3) + LN2) / 2)
