"""Sums, moments and last tokens under a mask, against values worked by hand."""

from __future__ import annotations

import math

import jaxtyping
import pytest
import torch

from assent.functional import (
    gather_last,
    last_token_index,
    masked_mean,
    masked_sum,
    masked_var,
    scatter_last,
    whiten,
    zero_masked,
)

NAN, INF = math.nan, math.inf
X = torch.tensor([[1.0, 2.0, NAN], [INF, 4.0, 5.0]])
MASK = torch.tensor([[True, True, False], [False, True, True]])


def test_shapes_are_checked_at_run_time_here() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        gather_last(torch.zeros(2, 3), torch.ones(1, 3, dtype=torch.bool))


def test_zero_masked_clears_values_and_gradients() -> None:
    x = X.clone().requires_grad_()
    cleared = zero_masked(x, MASK)
    cleared.square().sum().backward()
    assert cleared.tolist() == [[1.0, 2.0, 0.0], [0.0, 4.0, 5.0]]
    assert x.grad is not None
    assert x.grad.tolist() == [[2.0, 4.0, 0.0], [0.0, 8.0, 10.0]]  # d x²/dx = 2x


def test_masked_sum() -> None:
    assert masked_sum(X, MASK).item() == 12.0  # 1 + 2 + 4 + 5
    assert masked_sum(X, MASK, dim=-1).tolist() == [3.0, 9.0]
    assert masked_sum(X, MASK, dim=0).tolist() == [1.0, 6.0, 5.0]


def test_masked_mean_divides_by_what_is_valid_or_by_what_it_is_told() -> None:
    assert masked_mean(X, MASK).item() == 3.0  # 12 / 4
    assert masked_mean(X, MASK, 8).item() == 1.5  # 12 / 8, this batch being half of a larger one
    assert masked_mean(X, MASK, torch.tensor(6.0)).item() == 2.0
    assert masked_mean(X, torch.zeros_like(MASK)).item() == 0.0


def test_masked_var_is_the_population_variance() -> None:
    # mean 3, squared distances 4 + 1 + 1 + 4 = 10, over n = 4 (not 3)
    assert masked_var(X, MASK).item() == 2.5


def test_whiten_with_and_without_the_mean() -> None:
    # mean 3, variance 2.5: (1 - 3) / sqrt(2.5) = -1.26491, (2 - 3) / sqrt(2.5) = -0.63246
    expected = torch.tensor([[-1.2649111, -0.6324555, 0.0], [0.0, 0.6324555, 1.2649111]])
    torch.testing.assert_close(whiten(X, MASK), expected)
    torch.testing.assert_close(whiten(X, MASK, shift_mean=False), zero_masked(expected + 3.0, MASK))


def test_whiten_of_equal_values_is_zero_and_finite() -> None:
    x, mask = torch.full((1, 3), 7.0), torch.ones(1, 3, dtype=torch.bool)
    assert whiten(x, mask).tolist() == [[0.0, 0.0, 0.0]]
    assert whiten(x, mask, shift_mean=False).tolist() == [[7.0, 7.0, 7.0]]


def test_last_token_is_found_by_mask_on_any_padding_side() -> None:
    mask = torch.tensor(
        [
            [True, True, False, False],  # right padding
            [False, False, True, True],  # left padding
            [True, False, True, False],  # an observation in the middle
            [False, True, False, False],  # a single token
        ]
    )
    x = torch.arange(16.0).view(4, 4)
    assert last_token_index(mask).tolist() == [1, 3, 2, 1]
    assert gather_last(x, mask).tolist() == [1.0, 7.0, 10.0, 13.0]
    assert scatter_last(torch.tensor([1.0, 2.0, 3.0, 4.0]), mask).tolist() == [
        [0.0, 1.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 2.0],
        [0.0, 0.0, 3.0, 0.0],
        [0.0, 4.0, 0.0, 0.0],
    ]


def test_a_row_without_a_valid_token_is_refused_by_number() -> None:
    mask = torch.tensor([[True], [False]])
    with pytest.raises(ValueError, match=r"rows \[1\]"):
        last_token_index(mask)
    with pytest.raises(ValueError, match=r"rows \[1\]"):
        scatter_last(torch.zeros(2), mask)
