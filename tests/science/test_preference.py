"""Offline preference learning ends where its papers say, through the class that the product trains with.

A tabular policy: a prompt is one token, a completion one of A actions. People judge by Bradley–Terry on known rewards.
The gradients are those that `PreferenceTraining` adds up; L-BFGS follows them, so that what is left is not the step
size's.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from assent.config import DPOSettings, IPOSettings, PreferenceSettings
from assent.config.settings import ComputeSettings
from assent.training.preference import preference_training
from assent.training.reference import Example

BETA = 0.5
FLIPPED = 0.2  # share of judgements that are the wrong way round, where there are such
SMALL, LARGE = (4, 8), (8, 20)


class Table(nn.Module):
    """The logits of the one token that follows each prompt."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits.clone())

    def forward(self, input_ids: Tensor, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(logits=self.logits[input_ids.clamp(max=len(self.logits) - 1)])


class Bandit:
    """Rewards, a reference, and how often each action is preferred to each other, [contexts, actions, actions]."""

    def __init__(self, contexts: int, actions: int, seed: int = 0) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.rewards = torch.randn(contexts, actions, generator=draw, dtype=torch.float64)
        self.ref = torch.randn(contexts, actions, generator=draw, dtype=torch.float64).log_softmax(-1)
        self.win = torch.sigmoid(self.rewards[:, :, None] - self.rewards[:, None, :])
        self.best = (self.ref + self.rewards / BETA).softmax(-1)
        self.ipo_best = (self.ref + self.win.mean(-1) / BETA).softmax(-1)

    def counts(self, pairs: int, seed: int) -> Tensor:
        """How often each ordered pair (winner, loser) came up among so many judgements of pairs drawn evenly."""
        draw = torch.Generator().manual_seed(seed)
        contexts, actions = self.rewards.shape
        upper = torch.triu(torch.ones(actions, actions, dtype=torch.bool), 1).nonzero()
        chosen = torch.randint(contexts * len(upper), (pairs,), generator=draw)
        context, (first, second) = chosen // len(upper), upper[chosen % len(upper)].unbind(-1)
        won = torch.rand(pairs, generator=draw, dtype=torch.float64) < self.win[context, first, second]
        winner, loser = torch.where(won, first, second), torch.where(won, second, first)
        found = torch.zeros_like(self.win)
        found.index_put_((context, winner, loser), torch.ones(pairs, dtype=torch.float64), accumulate=True)
        return found


def trained(bandit: Bandit, weights: Tensor, settings: PreferenceSettings) -> tuple[Tensor, float]:
    """The policy at the loss's minimum over these weighted comparisons, and the loss at the start."""
    rows = [(int(c), int(w), int(o)) for c, w, o in weights.nonzero() if w != o]
    examples = [Example([c], ([w], [o]), 1.0, float(weights[c, w, o])) for c, w, o in rows]
    reference = torch.stack([bandit.ref[c, [w, o]] for c, w, o in rows])
    model = Table(bandit.ref)
    everything = list(range(len(examples)))
    compute = ComputeSettings(tokens_per_microbatch=10_000_000, precision="float32")
    training = preference_training(model, examples, reference, [everything], settings, 1.0, compute)
    descent = torch.optim.LBFGS(
        model.parameters(), max_iter=300, tolerance_grad=1e-12, tolerance_change=0.0, line_search_fn="strong_wolfe"
    )
    losses = []

    def closure() -> float:
        descent.zero_grad()
        losses.append(training.accumulate(everything)["loss"])
        return losses[-1]

    descent.step(closure)
    return model.logits.detach().softmax(-1), losses[0]


def distance(policy: Tensor, best: Tensor) -> float:
    """Mean total variation over contexts."""
    return float(0.5 * (policy - best).abs().sum(-1).mean())


SIZES = [pytest.param(SMALL, id="small"), pytest.param(LARGE, id="large", marks=pytest.mark.slow)]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", SIZES)
def test_dpo_ends_at_the_policy_that_rl_seeks(size: tuple[int, int]) -> None:
    bandit = Bandit(*size)
    assert distance(bandit.ref.exp(), bandit.best) > 0.3  # there is something to learn
    policy, first = trained(bandit, bandit.win, DPOSettings(kl_coef=BETA))
    print(f"DPO: loss at the start - ln 2 = {first - math.log(2):.1e}; TV to π* {distance(policy, bandit.best):.1e}")
    assert first == pytest.approx(math.log(2), abs=1e-6)
    assert distance(policy, bandit.best) < 1e-6


def test_flipped_judgements_move_dpo_and_not_robust_dpo() -> None:
    bandit = Bandit(*SMALL)
    flipped = (1 - FLIPPED) * bandit.win + FLIPPED * (1 - bandit.win)
    plain, _ = trained(bandit, flipped, DPOSettings(kl_coef=BETA))
    robust, _ = trained(bandit, flipped, DPOSettings(kl_coef=BETA, flip_rate=FLIPPED))
    print(f"flipped: DPO {distance(plain, bandit.best):.3f}, robust {distance(robust, bandit.best):.1e}")
    assert distance(plain, bandit.best) > 0.1
    assert distance(robust, bandit.best) < 1e-6


def test_ipo_ends_at_the_policy_tilted_by_the_chance_of_winning() -> None:
    bandit = Bandit(*SMALL)
    policy, first = trained(bandit, bandit.win, IPOSettings(kl_coef=BETA))
    print(f"IPO: TV to π_ref · e^(q/β) {distance(policy, bandit.ipo_best):.1e}")
    assert first == pytest.approx(1 / (2 * BETA) ** 2, abs=1e-6)
    assert distance(policy, bandit.ipo_best) < 1e-6 < distance(policy, bandit.best)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("size", "pairs"),
    [
        pytest.param(SMALL, (1_000, 4_000, 16_000), id="small"),
        pytest.param(LARGE, (16_000, 64_000, 256_000), id="large", marks=pytest.mark.slow),
    ],
)
def test_the_error_shrinks_with_the_number_of_pairs(size: tuple[int, int], pairs: tuple[int, ...]) -> None:
    """As one over the square root: four times the pairs, half the error; here at least a third less is asked for."""
    bandit = Bandit(*size)
    errors = []
    for count in pairs:
        policy, first = trained(bandit, bandit.counts(count, seed=count), DPOSettings(kl_coef=BETA))
        assert first == pytest.approx(math.log(2), abs=1e-6)
        errors.append(distance(policy, bandit.best))
    print(
        "DPO: TV to π* "
        + ", ".join(f"{error:.4f} of {count} pairs" for error, count in zip(errors, pairs, strict=True))
    )
    assert errors[0] > 1.5 * errors[1] > 1.5**2 * errors[2]
