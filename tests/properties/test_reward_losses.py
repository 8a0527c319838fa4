"""Reward-model losses: what does not count never matters, microbatches add up, relabelling changes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from assent.functional import (
    best_of_k_loss,
    binary_feedback_loss,
    bradley_terry_loss,
    length_moments,
    length_penalty,
    multi_head_loss,
    pairwise_loss_with_ties,
    pessimistic_score,
    plackett_luce_loss,
    score_regression_loss,
    worst_case_score,
)

GARBAGE = st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, 1.0])
SEEDS = st.integers(0, 10**6)
IMPORTANCE = torch.tensor([0.5, 1.0, 0.0, 2.0], dtype=torch.float64)
MOMENTS_OF = torch.linspace(-1, 1, 9, dtype=torch.float64), torch.tensor([3, 1, 9, 2, 8, 7, 4, 9, 12])


def _ranks(c: Tensor) -> Tensor:
    """Ranks with many ties, from numbers that may be garbage."""
    return c.nan_to_num(0.0, 0.0, 0.0).clamp(-3, 3).round().long()


def _length_penalty(a: Tensor, c: Tensor, m: Tensor, n: int) -> Tensor:
    moments = length_moments(*MOMENTS_OF, torch.ones(9, dtype=torch.bool))
    return length_penalty(a[:, 0], _ranks(c[:, 0]), m[:, 0], moments, n)


# Each takes three [B, 4] tensors, a mask and a denominator; what is under the mask must not matter in any of the three.
Loss = Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]
LOSSES: dict[str, Loss] = {
    "bradley_terry_loss": lambda a, b, c, m, n: bradley_terry_loss(
        a[:, 0], b[:, 0], m[:, 0].to(a.dtype), n, c[:, 0], 0.1
    ),
    "pairwise_loss_with_ties": lambda a, b, c, m, n: pairwise_loss_with_ties(
        a[:, 0], b[:, 0], c[:, 0], m[:, 0].to(a.dtype), n, b[:, 0], 0.1
    ),
    "plackett_luce_loss": lambda a, b, c, m, n: plackett_luce_loss(a, _ranks(c), m, None, n),
    "plackett_luce_loss, weighted": lambda a, b, c, m, n: plackett_luce_loss(
        a, _ranks(c), m, 2.0 * m[:, 0].to(a.dtype), n
    ),
    "score_regression_loss": lambda a, b, c, m, n: score_regression_loss(a[:, 0], b[:, 0], m[:, 0].to(a.dtype), n),
    "score_regression_loss, Huber": lambda a, b, c, m, n: score_regression_loss(
        a[:, 0], b[:, 0], m[:, 0].to(a.dtype), n, 0.5
    ),
    "binary_feedback_loss": lambda a, b, c, m, n: binary_feedback_loss(a[:, 0], b[:, 0], m[:, 0].to(a.dtype), n, 3.0),
    "multi_head_loss": lambda a, b, c, m, n: multi_head_loss(a, b, m, IMPORTANCE, torch.full((4,), n), 0.5),
    "length_penalty": lambda a, b, c, m, n: _length_penalty(a, c, m, n),
}


def _batch(rows: int, seed: int) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = list(torch.randn(3, rows, 4, generator=generator, dtype=torch.float64))
    mask = torch.rand(rows, 4, generator=generator) < 0.6
    mask[0, :2] = True  # so that there is always a gradient to compare
    return inputs, mask


def _value_and_gradient(loss_of: Loss, inputs: list[Tensor], mask: Tensor, n: int) -> tuple[Tensor, Tensor]:
    a = inputs[0].clone().requires_grad_()
    loss = loss_of(a, *inputs[1:], mask, n)
    (gradient,) = torch.autograd.grad(loss, a)
    return loss.detach(), gradient


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 6), seed=SEEDS, garbage=GARBAGE)
def test_garbage_under_the_mask_changes_nothing(name: str, rows: int, seed: int, garbage: float) -> None:
    inputs, mask = _batch(rows, seed)
    value, gradient = _value_and_gradient(LOSSES[name], inputs, mask, 24)
    spoilt = [torch.where(mask, x, torch.full_like(x, garbage)) for x in inputs]
    spoilt_value, spoilt_gradient = _value_and_gradient(LOSSES[name], spoilt, mask, 24)
    assert torch.isfinite(value)
    assert (gradient != 0).any()
    assert torch.equal(value, spoilt_value)
    assert torch.equal(gradient, spoilt_gradient)
    assert (gradient[~mask] == 0).all()


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 6), seed=SEEDS, garbage=GARBAGE)
def test_garbage_under_the_mask_moves_no_moment(rows: int, seed: int, garbage: float) -> None:
    (score, lengths, _), mask = _batch(rows + 2, seed)
    tokens = (10 * lengths[:, 0]).long()
    valid = mask[:, 0]
    clean = length_moments(score[:, 0], tokens, valid)
    spoilt_score = torch.where(valid, score[:, 0], torch.full_like(score[:, 0], garbage))
    spoilt = length_moments(spoilt_score, torch.where(valid, tokens, 10**6), valid)
    assert vars(clean) == vars(spoilt)


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, 3), min_size=1, max_size=4), seed=SEEDS)
def test_microbatches_add_up_to_the_batch(name: str, cuts: list[int], seed: int) -> None:
    inputs, mask = _batch(sum(cuts), seed)
    value, gradient = _value_and_gradient(LOSSES[name], inputs, mask, 48)
    parts = [
        _value_and_gradient(LOSSES[name], [a, b, c], m, 48)
        for a, b, c, m in zip(*(x.split(cuts) for x in (*inputs, mask)), strict=True)
    ]
    torch.testing.assert_close(torch.stack([part for part, _ in parts]).sum(), value, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.cat([part for _, part in parts]), gradient, rtol=1e-12, atol=1e-15)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, label_smoothing=st.floats(0.0, 0.49))
def test_hard_labels_are_bradley_terry_whichever_way_the_pair_is_read(seed: int, label_smoothing: float) -> None:
    (a, b, c), _ = _batch(6, seed)
    first, second, margin = 5 * a[:, 0], 5 * b[:, 0], c[:, 0].abs()
    expected = bradley_terry_loss(first, second, None, 6, margin, label_smoothing)
    ones = torch.ones_like(first)
    forward = pairwise_loss_with_ties(first, second, ones, None, 6, margin, label_smoothing)
    backward = pairwise_loss_with_ties(second, first, 0 * ones, None, 6, margin, label_smoothing)
    torch.testing.assert_close(forward, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(backward, expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, shift=st.floats(-50, 50))
def test_plackett_luce_knows_neither_the_order_of_candidates_nor_a_shift_of_scores(seed: int, shift: float) -> None:
    (scores, _, c), mask = _batch(4, seed)
    ranks = _ranks(c)
    loss = plackett_luce_loss(scores, ranks, mask, None, 1)
    order = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
    permuted = plackett_luce_loss(scores[:, order], ranks[:, order], mask[:, order], None, 1)
    torch.testing.assert_close(permuted, loss, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(plackett_luce_loss(scores + shift, ranks, mask, None, 1), loss, rtol=1e-9, atol=1e-9)
    rows = zip(scores, ranks, mask, strict=True)
    slices = [plackett_luce_loss(s[m][None], r[m][None], m[m][None], None, 1) for s, r, m in rows]
    torch.testing.assert_close(torch.stack(slices).sum(), loss, rtol=1e-12, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS)
def test_two_candidates_are_a_pair_and_the_first_draw_is_best_of_k(seed: int) -> None:
    (scores, _, _), _ = _batch(5, seed)
    every = torch.ones(5, 2, dtype=torch.bool)
    pairs = plackett_luce_loss(scores[:, :2], torch.tensor([[2, 1]] * 5), every, None, 5)
    torch.testing.assert_close(pairs, bradley_terry_loss(scores[:, 1], scores[:, 0], None, 5), rtol=1e-12, atol=1e-12)
    # a ranking of four is the pick of its best and a ranking of the other three
    all_four, rest = torch.ones(5, 4, dtype=torch.bool), torch.tensor([[True, False, True, True]] * 5)
    ranks = torch.tensor([[2, 1, 4, 3]] * 5)
    first_draw = best_of_k_loss(scores, torch.ones(5, dtype=torch.long), all_four, 5)
    others = plackett_luce_loss(scores, ranks, rest, None, 5)
    whole = plackett_luce_loss(scores, ranks, all_four, None, 5)
    torch.testing.assert_close(first_draw + others, whole, rtol=1e-12, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(members=st.integers(1, 6), seed=SEEDS, std_coef=st.floats(0, 5))
def test_pessimism_is_between_mean_and_less_and_the_order_of_members_is_nothing(
    members: int, seed: int, std_coef: float
) -> None:
    scores = torch.randn(members, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    pessimistic = pessimistic_score(scores, std_coef)
    assert (pessimistic <= scores.mean(dim=0) + 1e-12).all()
    # no member lies further below the mean than √(M - 1) deviations (Samuelson 1968)
    assert (worst_case_score(scores) >= pessimistic_score(scores, math.sqrt(members - 1)) - 1e-12).all()
    torch.testing.assert_close(pessimistic_score(scores.flip(0), std_coef), pessimistic, rtol=1e-12, atol=1e-12)
    assert torch.equal(worst_case_score(scores.flip(0)), worst_case_score(scores))
