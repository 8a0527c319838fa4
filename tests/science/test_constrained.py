"""A bound on the mean cost in the bandit of `bandit.py`, whose best policy under it is known.

Of all policies with mean cost at most d, mean score − β KL is highest at π ∝ π_ref · e^{(score − λ cost)/β} with the λ
at which the mean cost is d: found here by bisection, and by the constraint as RL runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass

import torch
from torch import Tensor

from assent.algorithms.base import Experience
from assent.algorithms.choice import algorithm_of
from assent.config import RLOOSettings
from assent.report.charts import Rule
from assent.training.constraint import Constraint
from tests.science.bandit import ACTIONS, KL_COEF, REF, ROWS, SCORE
from tests.science.findings import Figure, Findings, Section

# What scores well tends to cost: 0 or 1, the more likely the higher the score.
_DRAW = torch.rand(SCORE.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
COST = ((1.5 * SCORE - 1.0).sigmoid() > _DRAW).double()
LIMIT = 0.15
STEPS, RATE = 300, 0.2
MODEST = 1.0  # a weight of cost that was not tuned

SECTION = Section(
    key="constrained",
    order=12,
    title="A bound on the mean cost",
    text=f"""
On the bandit, what scores well tends to cost (0 or 1). The mean cost may be {LIMIT}. The multiplier that keeps it there
is known by bisection; RLOO with the constraint finds it as it trains, from λ = 1 and with the default step size. The
weighted sum has the weight {MODEST:g} throughout, and a β at which its mean score is that of the constrained policy: it
keeps nearer to the reference, and costs more than is allowed.
""",
    source="tests/science/test_constrained.py",
    columns=("policy", "β", "λ", "mean score", "mean cost", "KL, nats"),
    figures=(
        Figure(
            "constrained",
            "Mean cost while the policy learns: bounded, and as a weighted sum of equal score",
            "step",
            "mean cost",
            rules=(Rule(f"limit {LIMIT:g}", LIMIT),),
        ),
    ),
)


@dataclass(frozen=True)
class Outcome:
    score: float
    cost: float
    kl: float


def outcome(logprobs: Tensor) -> Outcome:
    p = logprobs.exp()
    return Outcome(*(float((p * each).sum(-1).mean()) for each in (SCORE, COST, logprobs - REF)))


def tilted(multiplier: float, kl_coef: float = KL_COEF) -> Tensor:
    return (REF + (SCORE - multiplier * COST) / kl_coef).log_softmax(-1)


def bisected(found: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Where a falling function has the wanted value."""
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if found(middle) > wanted else (low, middle)
    return (low + high) / 2


Costs = list[tuple[float, float]]  # (step, mean cost)


def trained(learning_rate: float, multiplier: float, kl_coef: float = KL_COEF) -> tuple[Outcome, float, Tensor, Costs]:
    """RLOO with exact expectations; the constraint sees the mean cost of the policy at each step."""
    costs: Costs = []
    settings = RLOOSettings(
        kl_coef=kl_coef,
        missing_eos_penalty=0.0,
        cost_limit=LIMIT,
        cost_learning_rate=learning_rate,
        cost_multiplier=multiplier,
        cost_multiplier_max=50.0,
    )
    algorithm, constraint = algorithm_of(settings), Constraint(settings)
    logits = REF.clone().requires_grad_()
    adam = torch.optim.Adam([logits], lr=RATE)
    for step in range(STEPS):
        for group in adam.param_groups:
            group["lr"] = RATE * (1.0 - step / STEPS)
        old = logits.detach().log_softmax(-1)
        score = constraint.combined(SCORE.flatten().tolist(), COST.flatten().tolist())
        experience = Experience(
            mask=torch.ones(ROWS, 1, dtype=torch.bool),
            score=torch.tensor(score, dtype=torch.float64),
            finished=torch.ones(ROWS, dtype=torch.bool),
            old_logprobs=old.view(ROWS, 1),
            ref_logprobs=REF.view(ROWS, 1),
            values=None,
            samples_per_prompt=ACTIONS,
        )
        targets = algorithm.targets(experience, kl_coef)
        leaf = old.reshape(ROWS, 1).requires_grad_()
        update = algorithm.losses(leaf, None, None, experience, targets, ROWS, ROWS)
        slope = torch.autograd.grad(update.policy_loss, leaf)[0].view_as(old)
        logprobs = logits.log_softmax(-1)
        adam.zero_grad()
        logprobs.backward(old.exp() * slope)
        adam.step()
        costs.append((step, outcome(old).cost))
        constraint.observe([costs[-1][1]])
    last = logits.detach().log_softmax(-1)
    return outcome(last), constraint.multiplier, last, costs


def test_the_constraint_holds_and_finds_the_multiplier(findings: Findings) -> None:
    """With the default step size: λ must move more slowly than the policy, which takes steps of 0.2 here."""
    best = bisected(lambda multiplier: outcome(tilted(multiplier)).cost, LIMIT, 0.0, 50.0)
    assert outcome(tilted(0.0)).cost > 2 * LIMIT
    found, multiplier, policy, costs = trained(0.1, 1.0)
    findings.line("constrained", "constrained", costs)
    away = float(0.5 * (policy.exp() - tilted(best).exp()).abs().sum(-1).mean())
    findings.row(SECTION, "best under the limit", KL_COEF, best, *astuple(outcome(tilted(best))))
    findings.row(SECTION, "constrained", KL_COEF, multiplier, *astuple(found))
    assert found.cost <= LIMIT + 0.005
    assert math.isclose(multiplier, best, rel_tol=0.05)
    assert away <= 0.03


def test_a_weighted_sum_of_equal_helpfulness_does_not(findings: Findings) -> None:
    """The weight is 1 and stays so; its KL penalty is set such that its mean score is that of the constrained run."""
    constrained, *_ = trained(0.1, 1.0)
    kl_coef = bisected(lambda each: outcome(tilted(MODEST, each)).score, constrained.score, 0.1, 20.0)
    found, multiplier, _, costs = trained(0.0, MODEST, kl_coef)
    findings.line("constrained", "weighted sum", costs)
    findings.row(SECTION, "weighted sum", kl_coef, multiplier, *astuple(found))
    assert multiplier == MODEST
    assert abs(found.score - constrained.score) < 0.01
    assert constrained.cost <= LIMIT + 0.005 < found.cost - 0.02
