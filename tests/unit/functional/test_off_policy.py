"""Weights for a sampler that disagrees, against values worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from assent.functional import kept_by_ratio, rollout_ratio, truncated_weights

# π_old / π_rollout 3, 0.25 and 1; then 0.5 and 1.5
OLD = torch.tensor([[3.0, 0.25, 1.0], [0.5, 1.5, math.nan]]).log()
ROLLOUT = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, math.inf]])
MASK = torch.tensor([[True, True, True], [True, True, False]])


def close(found: torch.Tensor, expected: list[list[float]]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-6, atol=0.0)


def test_ratio_of_tokens_and_of_sequences() -> None:
    close(rollout_ratio(OLD, ROLLOUT, MASK, "token"), [[3.0, 0.25, 1.0], [0.5, 1.5, 0.0]])
    # 3 · 0.25 · 1 and 0.5 · 1.5
    close(rollout_ratio(OLD, ROLLOUT, MASK, "sequence"), [[0.75, 0.75, 0.75], [0.75, 0.75, 0.0]])


def test_truncated_weights_have_an_upper_bound_only() -> None:
    close(truncated_weights(rollout_ratio(OLD, ROLLOUT, MASK, "token"), 2.0), [[2.0, 0.25, 1.0], [0.5, 1.5, 0.0]])
    overflown = rollout_ratio(torch.full((1, 2), 600.0), torch.zeros(1, 2), torch.ones(1, 2).bool(), "sequence")
    assert truncated_weights(overflown, 2.0).tolist() == [[2.0, 2.0]]


def test_masking_rejects_on_both_sides_and_keeps_the_bounds() -> None:
    kept = kept_by_ratio(rollout_ratio(OLD, ROLLOUT, MASK, "token"), MASK, 0.5, 2.0)
    assert kept.tolist() == [[False, False, True], [True, True, False]]
    assert kept_by_ratio(rollout_ratio(OLD, ROLLOUT, MASK, "sequence"), MASK, 0.8, 2.0).sum() == 0
    # a masked position is never kept, although its ratio of 0 lies within these bounds
    assert kept_by_ratio(torch.zeros(1, 1), torch.zeros(1, 1).bool(), 0.0, 2.0).tolist() == [[False]]


def test_weights_are_constants() -> None:
    live = torch.zeros(1, 2, requires_grad=True)
    assert not rollout_ratio(live, live, torch.ones(1, 2).bool(), "token").requires_grad


def test_weights_turn_one_expectation_into_the_other() -> None:
    # exactly, over a vocabulary of six: Σ q · (p / q) · f = Σ p · f
    numbers = torch.randn(3, 1, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    log_p, log_q, f = numbers[0].log_softmax(-1), numbers[1].log_softmax(-1), numbers[2]
    weights = rollout_ratio(log_p, log_q, torch.ones(1, 6).bool(), "token")
    torch.testing.assert_close((log_q.exp() * weights * f).sum(), (log_p.exp() * f).sum())


def test_bounds_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="positive"):
        truncated_weights(torch.ones(1, 1), 0.0)
    for low, high in ((1.1, 2.0), (0.5, 0.9), (-0.1, 2.0)):
        with pytest.raises(ValueError, match="hold 1"):
            kept_by_ratio(torch.ones(1, 1), torch.ones(1, 1).bool(), low, high)
