"""A comparison read the other way round is the same comparison."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from assent.functional import best_of_k_loss, bradley_terry_loss, davidson_loss, pairwise_loss_with_ties

SCORES = st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30), st.floats(0, 1)), min_size=1, max_size=6)


def _columns(rows: list[tuple[float, float, float]]) -> tuple[Tensor, Tensor, Tensor]:
    first, second, preference = torch.tensor(rows, dtype=torch.float64).unbind(1)
    return first.clone().requires_grad_(), second.clone().requires_grad_(), preference


@settings(max_examples=100, deadline=None)
@given(rows=SCORES, log_tie=st.floats(-3, 3))
def test_swapping_a_pair_with_its_label_changes_no_loss_and_gradients_are_opposite(
    rows: list[tuple[float, float, float]], log_tie: float
) -> None:
    first, second, preference = _columns(rows)
    tie = torch.tensor(log_tie, dtype=torch.float64)
    losses = {
        "ties": (
            pairwise_loss_with_ties(first, second, preference, None, 3),
            pairwise_loss_with_ties(second, first, 1 - preference, None, 3),
        ),
        "davidson": (
            davidson_loss(first, second, preference, tie, None, 3),
            davidson_loss(second, first, 1 - preference, tie, None, 3),
        ),
    }
    for loss, swapped in losses.values():
        torch.testing.assert_close(loss, swapped, rtol=1e-10, atol=1e-10)
        of_first, of_second = torch.autograd.grad(loss, [first, second])
        torch.testing.assert_close(of_first, -of_second, rtol=1e-12, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(rows=SCORES)
def test_swapping_chosen_and_rejected_flips_the_sign_of_the_margin(rows: list[tuple[float, float, float]]) -> None:
    # -ln σ(d) + ln σ(-d) = -d
    first, second, _ = _columns(rows)
    difference = bradley_terry_loss(first, second, None, 1) - bradley_terry_loss(second, first, None, 1)
    torch.testing.assert_close(difference, -(first - second).sum(), rtol=1e-10, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(rows=SCORES)
def test_hard_labels_are_bradley_terry_and_two_candidates_are_a_pair(rows: list[tuple[float, float, float]]) -> None:
    first, second, _ = _columns(rows)
    expected = bradley_terry_loss(first, second, None, 2)
    hard = pairwise_loss_with_ties(first, second, torch.ones_like(first), None, 2)
    scores = torch.stack([first, second], dim=1)
    pick = best_of_k_loss(
        scores, torch.zeros(len(rows), dtype=torch.long), torch.ones_like(scores, dtype=torch.bool), 2
    )
    torch.testing.assert_close(hard, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(pick, expected, rtol=1e-10, atol=1e-10)


@settings(max_examples=50, deadline=None)
@given(first=st.floats(-20, 20), second=st.floats(-20, 20), log_tie=st.floats(-5, 5), shift=st.floats(-50, 50))
def test_davidson_outcomes_are_a_distribution_that_no_shift_of_the_scores_moves(
    first: float, second: float, log_tie: float, shift: float
) -> None:
    def probability(preference: float, by: float) -> float:
        a, b, p, tie = (torch.tensor(x, dtype=torch.float64) for x in (first + by, second + by, preference, log_tie))
        return float(torch.exp(-davidson_loss(a[None], b[None], p[None], tie, None, 1)))

    outcomes = [probability(preference, 0.0) for preference in (1.0, 0.5, 0.0)]
    torch.testing.assert_close(sum(outcomes), 1.0, rtol=1e-9, atol=0.0)
    moved = [probability(preference, shift) for preference in (1.0, 0.5, 0.0)]
    torch.testing.assert_close(moved, outcomes, rtol=1e-9, atol=1e-300)
