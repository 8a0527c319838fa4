"""The reward model's losses against plain loops, enumerations and what torch already computes."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from assent.functional import (
    binary_feedback_loss,
    bradley_terry_loss,
    multi_head_loss,
    plackett_luce_loss,
    score_regression_loss,
)


def _randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _naive_efron(scores: list[float], ranks: list[int]) -> float:
    """Efron's approximation tie by tie, for candidates that all exist."""
    loss = 0.0
    for rank in sorted(set(ranks)):
        tie = [math.exp(s) for s, r in zip(scores, ranks, strict=True) if r == rank]
        left = sum(math.exp(s) for s, r in zip(scores, ranks, strict=True) if r >= rank)
        for j, strength in enumerate(tie):
            loss -= math.log(strength / (left - j / len(tie) * sum(tie)))
    return loss


@pytest.mark.parametrize("seed", range(5))
def test_plackett_luce_equals_a_loop_over_ties(seed: int) -> None:
    scores, mask = 2 * _randn(20, 6, seed=seed), _randn(20, 6, seed=seed + 10) > -0.8
    ranks = torch.randint(1, 5, (20, 6), generator=torch.Generator().manual_seed(seed))
    weight = _randn(20, seed=seed + 20).abs()
    ours = plackett_luce_loss(scores, ranks, mask, weight, 20)
    naive = [_naive_efron(s[m].tolist(), r[m].tolist()) for s, r, m in zip(scores, ranks, mask, strict=True)]
    assert ours.item() == pytest.approx(float(weight @ torch.tensor(naive, dtype=torch.float64)) / 20, rel=1e-12)


def test_rankings_are_a_distribution() -> None:
    scores = _randn(4).expand(24, 4)
    orders = torch.tensor(list(itertools.permutations([1, 2, 3, 4])))
    every = torch.ones(1, 4, dtype=torch.bool)
    total = sum(math.exp(-plackett_luce_loss(scores[:1], order[None], every, None, 1).item()) for order in orders)
    assert total == pytest.approx(1.0, rel=1e-12)


def test_a_tie_of_equal_scores_is_as_likely_as_any_of_its_orders() -> None:
    scores = torch.tensor([[0.3, 0.3, 0.3, -0.4, 1.1]], dtype=torch.float64)
    every = torch.ones(1, 5, dtype=torch.bool)
    tied = plackett_luce_loss(scores, torch.tensor([[2, 2, 2, 5, 1]]), every, None, 1)
    for order in itertools.permutations([2, 3, 4]):
        one = plackett_luce_loss(scores, torch.tensor([[*order, 5, 1]]), every, None, 1)
        torch.testing.assert_close(one, tied, rtol=1e-12, atol=1e-12)


def test_double_precision_gradients_equal_finite_differences() -> None:
    scores, ranks = _randn(3, 4).requires_grad_(), torch.tensor([[1, 2, 2, 4], [1, 1, 1, 1], [4, 3, 2, 1]])
    mask = torch.tensor([[True] * 4, [True, True, True, False], [True, False, True, True]])
    assert torch.autograd.gradcheck(lambda s: plackett_luce_loss(s, ranks, mask, None, 3), (scores,))
    chosen, rejected = _randn(2, 6, seed=1)
    margin = _randn(6, seed=2).abs()
    leaves = (chosen.clone().requires_grad_(), rejected.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: bradley_terry_loss(a, b, None, 6, margin, 0.2), leaves)


def test_regression_and_classification_equal_torch() -> None:
    score, target, weight = _randn(3, 50)
    weight = weight.abs()
    expected = (weight * F.huber_loss(score, target, reduction="none", delta=0.7)).sum() / 50
    torch.testing.assert_close(score_regression_loss(score, target, weight, 50, 0.7), expected)
    torch.testing.assert_close(score_regression_loss(score, target, None, 50), 0.5 * F.mse_loss(score, target))
    label = (target > 0).double()
    torch.testing.assert_close(
        binary_feedback_loss(score, label, weight, 50, 2.5),
        F.binary_cross_entropy_with_logits(score, label, weight, pos_weight=torch.tensor(2.5, dtype=torch.float64)),
    )


def test_smoothed_margins_equal_torch_cross_entropy() -> None:
    chosen, rejected, margin = _randn(3, 50)
    labels = torch.full((50,), 0.85, dtype=torch.float64)
    expected = F.binary_cross_entropy_with_logits(chosen - rejected - margin, labels)
    torch.testing.assert_close(bradley_terry_loss(chosen, rejected, None, 50, margin, 0.15), expected)


def test_multi_head_loss_equals_a_loop_over_marks() -> None:
    scores, marks = _randn(2, 10, 3)
    mask, importance = _randn(10, 3, seed=1) > 0, torch.tensor([1.0, 0.3, 2.0], dtype=torch.float64)
    num_marks = mask.sum(dim=0) + 5
    total = 0.0
    for head in range(3):
        errors = [scores[i, head].item() - marks[i, head].item() for i in range(10) if mask[i, head]]
        total += importance[head].item() * sum(0.5 * error**2 for error in errors) / num_marks[head].item()
    assert multi_head_loss(scores, marks, mask, importance, num_marks).item() == pytest.approx(total, rel=1e-12)
