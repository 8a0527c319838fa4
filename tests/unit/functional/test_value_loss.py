"""The value loss, against values worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from assent.functional import clipped_value_loss

MASK = torch.tensor([[True, True, True, False]])
OLD = torch.tensor([[0.0, 0.0, 0.0, math.nan]])
RETURNS = torch.tensor([[1.0, 1.0, -1.0, math.inf]])


def test_the_worse_of_the_two_errors_counts() -> None:
    values = torch.tensor([[0.1, 0.5, 0.5, math.inf]], requires_grad=True)
    # clip 0.2: V_clip = 0.1, 0.2, 0.2
    #   0.1 -> 1:  max(0.81, 0.81) = 0.81
    #   0.5 -> 1:  max(0.25, 0.64) = 0.64  moved too far towards its return: no gradient
    #   0.5 -> -1: max(2.25, 1.44) = 2.25  moved away from it: gradient
    # ½ · 3.70 / 5 = 0.37
    loss = clipped_value_loss(values, OLD, RETURNS, MASK, 0.2, 5)
    assert loss.item() == pytest.approx(0.37)
    loss.backward()
    assert values.grad is not None
    # (V - R) / 5: -0.9 / 5, none, 1.5 / 5
    torch.testing.assert_close(values.grad, torch.tensor([[-0.18, 0.0, 0.3, 0.0]]))


def test_without_a_clip_it_is_half_the_squared_error() -> None:
    values = torch.tensor([[0.1, 0.5, 0.5, math.nan]])
    # ½ (0.81 + 0.25 + 2.25)
    assert clipped_value_loss(values, OLD, RETURNS, MASK, math.inf, 1).item() == pytest.approx(1.655)


def test_returns_and_old_values_are_constants() -> None:
    live = torch.zeros(1, 4, requires_grad=True)
    assert not clipped_value_loss(torch.zeros(1, 4), live, live, MASK, 0.2, 1).requires_grad


def test_a_negative_clip_is_refused() -> None:
    with pytest.raises(ValueError, match="clip"):
        clipped_value_loss(OLD, OLD, RETURNS, MASK, -0.2, 1)
