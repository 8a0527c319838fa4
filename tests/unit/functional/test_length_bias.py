"""The length penalty, against values worked by hand and against the correlation itself."""

from __future__ import annotations

import math

import pytest
import torch

from assent.functional import length_moments, length_penalty

SCORE = torch.tensor([1.0, 2.0, 3.0, math.nan])
LENGTHS = torch.tensor([10, 20, 60, 999])
MASK = torch.tensor([True, True, True, False])
# means 2 and 30; squared distances 2 and 1400, products 20 + 0 + 30 = 50: ρ = 50 / √2800, ρ² = 25/28


def test_moments_are_those_of_the_valid_samples() -> None:
    moments = length_moments(SCORE, LENGTHS, MASK)
    assert moments.score_mean.item() == pytest.approx(2.0)
    assert moments.score_std.item() == pytest.approx(math.sqrt(2 / 3))
    assert moments.length_mean.item() == pytest.approx(30.0)
    assert moments.length_std.item() == pytest.approx(math.sqrt(1400 / 3))
    assert moments.correlation.item() == pytest.approx(50 / math.sqrt(2800))


def test_the_penalty_is_the_squared_correlation() -> None:
    moments = length_moments(SCORE, LENGTHS, MASK)
    assert length_penalty(SCORE, LENGTHS, MASK, moments, 3).item() == pytest.approx(25 / 28)


def test_microbatches_add_up_to_the_gradient_of_the_squared_correlation() -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(5, 200, (12,), generator=generator)
    values = torch.randn(12, generator=generator, dtype=torch.float64) + 0.02 * lengths
    whole, parts = values.clone().requires_grad_(), values.clone().requires_grad_()
    squared = torch.corrcoef(torch.stack([whole, lengths.double()]))[0, 1].square()
    squared.backward()
    mask = torch.ones(12, dtype=torch.bool)
    moments = length_moments(parts, lengths, mask)
    pieces = zip(parts.split([1, 4, 7]), lengths.split([1, 4, 7]), mask.split([1, 4, 7]), strict=True)
    losses = [length_penalty(score, length, m, moments, 12) for score, length, m in pieces]
    total = torch.stack(losses).sum()
    total.backward()
    assert squared.item() > 0.1
    assert total.item() == pytest.approx(squared.item(), rel=1e-10)
    torch.testing.assert_close(parts.grad, whole.grad, rtol=1e-10, atol=1e-14)


def test_correlations_of_microbatches_would_not_add_up() -> None:
    # four samples without correlation, in two halves of which each has a perfect one
    score, lengths = torch.tensor([0.0, 1.0, 1.0, 0.0]), torch.tensor([1, 2, 1, 2])
    halves = [length_moments(score[i : i + 2], lengths[i : i + 2], torch.ones(2, dtype=torch.bool)) for i in (0, 2)]
    assert [half.correlation.item() for half in halves] == pytest.approx([1.0, -1.0])
    mask = torch.ones(4, dtype=torch.bool)
    moments = length_moments(score, lengths, mask)
    assert length_penalty(score, lengths, mask, moments, 4).item() == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize(
    ("score", "lengths", "mask"),
    [
        ([0.1, 0.1, 0.1], [1, 2, 3], [True, True, True]),
        ([-4.7] * 7, [1, 2, 4, 8, 16, 32, 63], [True] * 7),  # the mean in fp32 is not -4.7
        ([0.1, 0.2, 0.3], [7, 7, 7], [True, True, True]),
        ([0.1, 0.2, 0.3], [1, 2, 3], [False, True, False]),
        ([0.1, 0.2, 0.3], [1, 2, 3], [False, False, False]),
    ],
)
def test_what_does_not_vary_costs_nothing(score: list[float], lengths: list[int], mask: list[bool]) -> None:
    live, length, valid = torch.tensor(score, requires_grad=True), torch.tensor(lengths), torch.tensor(mask)
    moments = length_moments(live, length, valid)
    loss = length_penalty(live, length, valid, moments, 3)
    loss.backward()
    assert moments.correlation.item() == 0.0
    assert loss.item() == 0.0
    assert live.grad is not None
    assert live.grad.tolist() == [0.0] * len(score)


def test_moments_are_constants_and_rescaling_changes_nothing() -> None:
    live = SCORE.clone().requires_grad_()
    moments = length_moments(live, LENGTHS, MASK)
    assert not moments.score_mean.requires_grad
    assert not moments.correlation.requires_grad
    rescaled = length_moments(100 - 5 * live, 3 * LENGTHS, MASK)
    assert rescaled.correlation.item() == pytest.approx(-moments.correlation.item())


def test_descent_on_the_penalty_removes_the_correlation() -> None:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(5, 200, (40,), generator=generator)
    score = torch.randn(40, generator=generator, dtype=torch.float64) + 0.02 * lengths
    mask = torch.ones(40, dtype=torch.bool)
    before = length_moments(score, lengths, mask).correlation.item()
    for _ in range(50):
        score = score.detach().requires_grad_()
        loss = length_penalty(score, lengths, mask, length_moments(score, lengths, mask), 40)
        (gradient,) = torch.autograd.grad(loss, score)
        score = score - 10 * gradient
    after = length_moments(score, lengths, mask).correlation.item()
    assert before > 0.6
    assert abs(after) < 0.01
