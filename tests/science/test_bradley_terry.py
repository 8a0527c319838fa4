"""Strengths recovered from simulated judgements are as precise as theory allows, and their intervals are honest.

Maximum likelihood reaches the Cramér–Rao bound as data grow, so over many simulated campaigns the root mean squared
error over the bound is 1, and a 95 % interval from the curvature holds the truth in 95 % of them. Both fail if a loss
is off by a factor, a sign or a weight, or if it is the likelihood of another model. All campaigns are fitted at once:
they are rows of one tensor of strengths, and what the optimiser minimises is the library's loss.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from assent.functional import bradley_terry_loss, plackett_luce_loss
from assent.report.charts import Rule
from tests.science.findings import Figure, Findings, Section

STRENGTHS = torch.tensor([0.9, 0.3, -0.3, -0.9], dtype=torch.float64)  # they sum to 0: only differences show
COUNT = len(STRENGTHS)
PAIRS = torch.tensor(list(itertools.permutations(range(COUNT), 2)))  # [12, 2] every pair in both orders: who won
ORDERS = torch.tensor(list(itertools.permutations(range(1, COUNT + 1))))  # [24, 4] ranks
NORMAL_95 = 1.959964

SECTION = Section(
    key="bradley-terry",
    order=6,
    title="Strengths recovered from judgements",
    text="""
Simulated campaigns over 4 completions of known strength, fitted with the library's losses. Maximum likelihood reaches
the Cramér–Rao bound as judgements grow: the root mean squared error over the bound tends to 1, and a 95 % interval from
the curvature of the loss holds the truth in 95 % of campaigns. A loss that is not the likelihood does neither.
""",
    source="tests/science/test_bradley_terry.py",
    columns=("judgements", "campaigns", "error over the bound", "must be", "intervals cover", "must be "),
    figures=(
        Figure(
            "bradley-terry",
            "Error over the Cramér–Rao bound, as judgements grow",
            "judgements of each pair",
            "error over the bound",
            root=True,
            rules=(Rule("the bound", 1.0),),
        ),
    ),
)

Likelihood = Callable[[Tensor, Tensor], Tensor]


def _pair_loss(strengths: Tensor, counts: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """strengths [R, 4], counts [R, 12] of the outcomes PAIRS: a comparison seen n times has weight n."""
    winners, losers = strengths[:, PAIRS[:, 0]].flatten(), strengths[:, PAIRS[:, 1]].flatten()
    return bradley_terry_loss(winners, losers, counts.flatten(), 1, label_smoothing=label_smoothing)


def _ranking_loss(strengths: Tensor, counts: Tensor) -> Tensor:
    """strengths [R, 4], counts [R, 24] of the outcomes ORDERS."""
    rows = strengths[:, None, :].expand(-1, len(ORDERS), -1).reshape(-1, COUNT)
    ranks = ORDERS.expand(len(strengths), -1, -1).reshape(-1, COUNT)
    return plackett_luce_loss(rows, ranks, torch.ones_like(ranks, dtype=torch.bool), counts.flatten(), 1)


def _gradient_and_information(loss_of: Likelihood, strengths: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """[R, 4] gradients and [R, 4, 4] observed information; campaigns do not touch, so a sum keeps them apart."""
    strengths = strengths.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(strengths, counts), strengths, create_graph=True)
    rows = [torch.autograd.grad(gradient[:, k].sum(), strengths, retain_graph=True)[0] for k in range(COUNT)]
    return gradient.detach(), torch.stack(rows, dim=1)


def _inverse(information: Tensor) -> Tensor:
    """Inverse where strengths sum to 0; along (1, .., 1), of which no judgement says anything, it is 0."""
    every = torch.ones(COUNT, COUNT, dtype=torch.float64) / COUNT
    return torch.linalg.inv(information + every) - every


@dataclass(frozen=True)
class Precision:
    rmse_over_bound: float
    coverage: float


def _fit(loss_of: Likelihood, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Strengths [R, 4] that minimise the loss of each campaign, by Newton's method, and half their 95 % intervals."""
    strengths = torch.zeros(len(counts), COUNT, dtype=torch.float64)
    for _ in range(8):
        gradient, information = _gradient_and_information(loss_of, strengths, counts)
        strengths = strengths - (_inverse(information) @ gradient[:, :, None]).squeeze(2)
    gradient, information = _gradient_and_information(loss_of, strengths, counts)
    assert gradient.abs().max() < 1e-8
    assert strengths.sum(dim=1).abs().max() < 1e-8
    return strengths, NORMAL_95 * _inverse(information).diagonal(dim1=1, dim2=2).sqrt()


def _precision(loss_of: Likelihood, counts: Tensor, expected: Tensor) -> Precision:
    """How close the campaigns' fits come; counts [R, outcomes], their means [outcomes]."""
    strengths, half_width = _fit(loss_of, counts)
    # the loss of expected counts has, at the truth, no gradient, and Fisher's information as its curvature
    at_truth, fisher = _gradient_and_information(loss_of, STRENGTHS[None], expected[None])
    assert at_truth.abs().max() < 1e-9
    bound = _inverse(fisher)[0].diagonal()
    error = strengths - STRENGTHS
    coverage = (error.abs() < half_width).double().mean()
    return Precision(math.sqrt(float(error.square().mean() / bound.mean())), float(coverage))


def _compare(campaigns: int, per_pair: int, seed: int) -> tuple[Tensor, Tensor]:
    """Counts [R, 12] of wins where every pair is judged `per_pair` times, and their means [12]."""
    wins = torch.sigmoid(STRENGTHS[PAIRS[:, 0]] - STRENGTHS[PAIRS[:, 1]])
    generator = torch.Generator().manual_seed(seed)
    ahead = PAIRS[:, 0] < PAIRS[:, 1]
    trials = torch.full((campaigns, int(ahead.sum())), float(per_pair), dtype=torch.float64)
    counts = torch.zeros(campaigns, len(PAIRS), dtype=torch.float64)
    counts[:, ahead] = torch.binomial(trials, wins[ahead].expand_as(trials), generator=generator)
    table = torch.zeros(campaigns, COUNT, COUNT, dtype=torch.float64)
    table[:, PAIRS[:, 0], PAIRS[:, 1]] = counts
    table += (per_pair - table.mT) * torch.ones(COUNT, COUNT, dtype=torch.float64).tril(-1)
    return table[:, PAIRS[:, 0], PAIRS[:, 1]], per_pair * wins


def _rank(campaigns: int, rankings: int, seed: int) -> tuple[Tensor, Tensor]:
    """Counts [R, 24] of whole rankings, each a sort of strengths plus Gumbel noise, and their means [24]."""
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(campaigns, rankings, COUNT, generator=generator, dtype=torch.float64)
    ranks = (STRENGTHS - (-uniform.log()).log()).argsort(dim=2, descending=True).argsort(dim=2) + 1
    base = (COUNT + 1) ** torch.arange(COUNT)
    code_of_order = (ORDERS * base).sum(dim=1)
    place = code_of_order.argsort()
    outcome = place[torch.searchsorted(code_of_order[place], (ranks * base).sum(dim=2))]
    counts = torch.zeros(campaigns, len(ORDERS), dtype=torch.float64)
    counts.scatter_add_(1, outcome, torch.ones_like(outcome, dtype=torch.float64))
    # P(order) drawn best first, by hand
    by_place = STRENGTHS.exp()[ORDERS.argsort(dim=1)]
    left = by_place.flip(1).cumsum(dim=1).flip(1)
    return counts, rankings * (by_place / left).prod(dim=1)


def _require_the_bound(what: str, campaigns: int, found: Precision, findings: Findings) -> None:
    error, cover = found.rmse_over_bound, found.coverage
    findings.row(SECTION, what, str(campaigns), f"{error:.4f}", "0.95 to 1.05", f"{100 * cover:.2f} %", "93 to 97 %")
    assert 0.95 <= error <= 1.05
    assert 0.93 <= cover <= 0.97


def test_strengths_from_comparisons_reach_the_bound_and_their_intervals_cover(findings: Findings) -> None:
    counts, expected = _compare(campaigns=4000, per_pair=200, seed=0)
    assert (counts.sum(dim=1) == 200 * 6).all()
    _require_the_bound("200 of each pair", 4000, _precision(_pair_loss, counts, expected), findings)


def test_strengths_from_rankings_reach_the_bound_and_their_intervals_cover(findings: Findings) -> None:
    counts, expected = _rank(campaigns=2000, rankings=400, seed=1)
    assert expected.sum().item() == pytest.approx(400)
    _require_the_bound("400 rankings of all", 2000, _precision(_ranking_loss, counts, expected), findings)


def test_the_error_comes_to_the_bound_as_judgements_grow(findings: Findings) -> None:
    sizes = (20, 50, 100, 200, 400, 800)
    found = [_precision(_pair_loss, *_compare(2000, size, seed=size)).rmse_over_bound for size in sizes]
    findings.line("bradley-terry", "measured", [(float(n), ratio) for n, ratio in zip(sizes, found, strict=True)])
    assert found[0] > 1.05  # with few judgements the likelihood's maximum is not yet there
    assert found[-1] == pytest.approx(1.0, abs=0.03)


def test_the_measure_sees_a_loss_that_is_not_the_likelihood() -> None:
    # label smoothing shrinks the strengths, so that intervals miss the truth
    counts, _ = _compare(campaigns=500, per_pair=200, seed=2)
    strengths, half_width = _fit(lambda s, n: _pair_loss(s, n, 0.1), counts)
    assert strengths.mean(dim=0)[0] < 0.8 < STRENGTHS[0]
    assert ((strengths - STRENGTHS).abs() < half_width).double().mean() < 0.9
