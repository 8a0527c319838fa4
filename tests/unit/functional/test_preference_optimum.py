"""What offline preference losses converge to, on five responses whose optimum is known exactly.

Judgements follow Bradley–Terry on known rewards, every pair counts by its true probability, and the policy is a table.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from assent.functional import dpo_loss, dpo_loss_with_ties, ipo_loss, robust_dpo_loss

PolicyLoss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

REWARDS = torch.tensor([1.0, -0.5, 0.3, 2.0, -1.2], dtype=torch.float64)
REF_POLICY = torch.tensor([0.3, 0.25, 0.2, 0.1, 0.15], dtype=torch.float64)
WINNERS, LOSERS = (~torch.eye(5, dtype=torch.bool)).nonzero().unbind(1)  # all 20 ordered pairs
WIN = torch.sigmoid(REWARDS[:, None] - REWARDS)
BETA = 0.7
FLIP_RATE = 0.3


def _optimum(loss_of: PolicyLoss) -> Tensor:
    logits = REF_POLICY.log().clone().requires_grad_()
    ref = REF_POLICY.log()
    optimiser = torch.optim.LBFGS(
        [logits], max_iter=1000, tolerance_grad=1e-13, tolerance_change=0.0, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        logprobs = logits.log_softmax(0)
        loss = loss_of(logprobs[WINNERS], logprobs[LOSERS], ref[WINNERS], ref[LOSERS])
        loss.backward()
        return loss

    optimiser.step(closure)
    return logits.detach().softmax(0)


def _total_variation(p: Tensor, q: Tensor) -> float:
    return 0.5 * (p - q).abs().sum().item()


TILTED = (REF_POLICY.log() + REWARDS / BETA).softmax(0)
FLIPPED = (1 - FLIP_RATE) * WIN + FLIP_RATE * (1 - WIN)


@pytest.mark.parametrize(
    "loss_of",
    [
        pytest.param(lambda a, b, c, d: dpo_loss(a, b, c, d, WIN[WINNERS, LOSERS], BETA, 0.0, 10)[0], id="dpo"),
        pytest.param(
            lambda a, b, c, d: dpo_loss_with_ties(a, b, c, d, WIN[WINNERS, LOSERS], None, BETA, 20)[0], id="soft labels"
        ),
        pytest.param(
            lambda a, b, c, d: robust_dpo_loss(a, b, c, d, FLIPPED[WINNERS, LOSERS], BETA, FLIP_RATE, 10)[0],
            id="robust, flipped",
        ),
    ],
)
def test_dpo_learns_the_policy_that_rl_seeks(loss_of: PolicyLoss) -> None:
    assert _total_variation(REF_POLICY, TILTED) > 0.3  # there is something to learn
    assert _total_variation(_optimum(loss_of), TILTED) < 1e-6


def test_plain_dpo_does_not_when_judgements_are_flipped() -> None:
    learned = _optimum(lambda a, b, c, d: dpo_loss(a, b, c, d, FLIPPED[WINNERS, LOSERS], BETA, 0.0, 10)[0])
    assert _total_variation(learned, TILTED) > 0.1


def test_ipo_learns_the_policy_tilted_by_the_probability_of_winning() -> None:
    # q = mean probability of winning against a response drawn from all five, against oneself ½
    expected = (REF_POLICY.log() + WIN.mean(1) / 0.2).softmax(0)
    learned = _optimum(lambda a, b, c, d: ipo_loss(a, b, c, d, WIN[WINNERS, LOSERS], 0.2, 10)[0])
    assert _total_variation(REF_POLICY, expected) > 0.3
    assert _total_variation(learned, expected) < 1e-6
