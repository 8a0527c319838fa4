"""Best-of-n against its bounds, and every method against the frontier of reward and KL that none can pass."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor

from assent.config import (
    A2CSettings,
    GRPOSettings,
    OnPolicySettings,
    PPOSettings,
    ReinforcePlusPlusSettings,
    ReinforceSettings,
    RLOOSettings,
)
from assent.evaluation.best_of_n import best_of_n_kl_bound
from tests.science.bandit import REF, SCORE, mean_kl, mean_score, plain_k3, training
from tests.science.findings import Figure, Findings, Section

COUNTS = (2, 4, 16, 64)
DRAWS = 400_000
BINS = 1000
SECTION = Section(
    key="best-of-n",
    order=4,
    title="Best-of-n against its bounds",
    text=f"""
Taking the best of n samples by reward costs at most log n - (n - 1)/n nats of KL, and beats a fresh sample in at most
n/(n + 1) of cases; without ties both are equalities. Continuous: the best of n normal rewards, {DRAWS:,} times over.
Its KL is that of a histogram of {BINS} bins, which knows nothing of the formula, and its wins are against fresh draws.
Bandit: the exact distribution over the 50 actions of each context, where ties make both figures smaller.
""",
    source="tests/science/test_best_of_n.py",
    columns=(
        "n",
        "bound of the KL",
        "KL, continuous",
        "KL, bandit",
        "bound of wins",
        "wins, continuous",
        "wins, bandit",
    ),
    figures=(Figure("best-of-n", "KL of the best of n from one sample, in nats", "log n", "KL, nats"),),
)
FRONTIER = Section(
    key="frontier",
    order=5,
    title="No method exceeds the exponential tilt",
    text="""
At a given KL no policy has a higher mean reward than the tilt π_ref · e^{r/β} of that KL. On the bandit every policy
along the training of each algorithm, and best-of-n, is set against the tilt of equal KL. Shown is the smallest gap to
the tilt on the way and the gap at the end, in reward. None is negative; k1 in the reward ends on the frontier,
best-of-n and k3 itself in the loss end below it.
""",
    source="tests/science/test_best_of_n.py",
    columns=("method", "smallest gap", "gap at the end", "KL at the end, nats"),
    figures=(
        Figure(
            "frontier",
            "How much less than the tilt of equal KL each policy earns, along its training on the bandit",
            "KL, nats",
            "reward below the tilt",
            root=True,
        ),
    ),
)


def best_of(policy: Tensor, score: Tensor, n: int) -> Tensor:
    """Probabilities [C, A] of the best of n draws from `policy` [C, A]; of equal scores the last action is taken."""
    order = score.argsort(dim=-1, stable=True)
    below = policy.gather(-1, order).cumsum(-1).clamp(max=1.0)
    powers = below.pow(n)
    chances = torch.cat([powers[:, :1], powers.diff(dim=-1)], dim=-1)
    return torch.zeros_like(policy).scatter(-1, order, chances)


def wins_against(best: Tensor, policy: Tensor, score: Tensor) -> float:
    """How often a draw from `best` has the higher score than one from `policy`, ties counted half; over contexts."""
    ahead = (score[:, :, None] > score[:, None, :]).double() + 0.5 * (score[:, :, None] == score[:, None, :]).double()
    return float(torch.einsum("ca,cab,cb->c", best, ahead, policy).mean())


@pytest.mark.parametrize("n", COUNTS)
def test_best_of_n_keeps_its_bounds(n: int, findings: Findings) -> None:
    kl, wins = best_of_n_kl_bound(n), n / (n + 1)
    # continuous: the largest of n draws, its place in the reference's distribution, and a fresh draw to beat
    numbers = torch.Generator().manual_seed(n)
    best = torch.cat(
        [torch.randn(4000, n, generator=numbers, dtype=torch.float64).amax(1) for _ in range(DRAWS // 4000)]
    )
    places = torch.special.ndtr(best)
    share = torch.histc(places, BINS, 0.0, 1.0) / DRAWS
    found_kl = float(torch.special.xlogy(share, share * BINS).sum())
    # a histogram of independent counts is too high by about half a nat per bin and draw
    found_kl -= (int((share > 0).sum()) - 1) / (2 * DRAWS)
    found_wins = float((best > torch.randn(DRAWS, generator=numbers, dtype=torch.float64)).double().mean())
    # the bandit: exact, and its ties (the same action twice) make it smaller
    chances = best_of(REF.exp(), SCORE, n)
    bandit_kl, bandit_wins = mean_kl(chances), wins_against(chances, REF.exp(), SCORE)
    findings.row(SECTION, str(n), kl, found_kl, bandit_kl, wins, found_wins, bandit_wins)
    assert found_kl == pytest.approx(kl, abs=0.02)
    assert found_wins == pytest.approx(wins, abs=4 * math.sqrt(wins * (1 - wins) / DRAWS))
    assert torch.allclose(chances.sum(-1), torch.ones(len(REF), dtype=torch.float64))
    assert 0 < bandit_kl < kl
    assert 0.5 < bandit_wins < wins


def test_along_n(findings: Findings) -> None:
    counts = [2**k for k in range(11)]
    bound = [(math.log(n), best_of_n_kl_bound(n)) for n in counts]
    bandit = [(math.log(n), mean_kl(best_of(REF.exp(), SCORE, n))) for n in counts]
    findings.line("best-of-n", "log n - (n - 1)/n", bound)
    findings.line("best-of-n", "exact on the bandit", bandit)
    assert all(found <= most + 1e-12 for (_, found), (_, most) in zip(bandit, bound, strict=True))
    assert [found for _, found in bandit] == sorted(found for _, found in bandit)


def tilt(inverse: float) -> Tensor:
    """π_ref · e^{inverse · r}, normalised."""
    return (REF + inverse * SCORE).softmax(-1)


def reward_of_the_tilt(kl: float) -> float:
    """The most that a policy of this mean KL can earn."""
    if kl <= 1e-12:
        return mean_score(REF.exp())
    inverse = brentq(lambda x: mean_kl(tilt(x)) - kl, 0.0, 1e4, xtol=1e-14)
    return mean_score(tilt(inverse))


def gaps(policies: Sequence[Tensor]) -> list[float]:
    """How much less than the tilt of equal KL each policy earns."""
    return [reward_of_the_tilt(mean_kl(policy)) - mean_score(policy) for policy in policies]


COMMON = {"kl_coef": 0.5, "missing_eos_penalty": 0.0}
METHODS: dict[str, OnPolicySettings] = {
    "PPO": PPOSettings(**COMMON, epochs=2),
    "A2C": A2CSettings(**COMMON),
    "REINFORCE": ReinforceSettings(**COMMON),
    "RLOO": RLOOSettings(**COMMON),
    "REINFORCE++": ReinforcePlusPlusSettings(**COMMON),
    "GRPO": GRPOSettings(**COMMON),
    "GRPO, a small β": GRPOSettings(**{**COMMON, "kl_coef": 0.1}),
}


def _check(name: str, policies: Sequence[Tensor], findings: Findings, dashed: bool = False) -> list[float]:
    found, kls = gaps(policies), [mean_kl(policy) for policy in policies]
    findings.row(FRONTIER, name, f"{min(found):.1e}", f"{found[-1]:.1e}", kls[-1])
    points = list(zip(kls, found, strict=True))
    findings.line("frontier", name, points, hue="c-base" if dashed else None, dashed=dashed)
    assert min(found) >= -1e-9
    return found


def _along(path: Sequence[Tensor]) -> list[Tensor]:
    """Policies of a training, the first ones close to one another, as it moves the most there."""
    return [path[step].softmax(-1) for step in (*range(1, 13), 14, 17, 20, 25, 30, 40, 60, 100, 150, 250)]


def test_the_tilt_itself_is_on_the_frontier() -> None:
    for inverse in (0.5, 2.0, 8.0):
        assert gaps([tilt(inverse)]) == [pytest.approx(0.0, abs=1e-9)]


@pytest.mark.parametrize("name", METHODS)
def test_no_algorithm_exceeds_the_tilt(name: str, findings: Findings) -> None:
    found = _check(name, _along(training(METHODS[name])), findings)
    assert max(found) > 1e-3  # it has been off the frontier, so that the gap measures something
    assert found[-1] < 2e-3


def test_best_of_n_does_not_exceed_the_tilt(findings: Findings) -> None:
    found = _check("best-of-n", [best_of(REF.exp(), SCORE, n) for n in (1, 2, 4, 8, 16, 32, 64)], findings)
    assert found[-1] > 1e-4


def test_plain_k3_in_the_loss_ends_below_the_tilt(findings: Findings) -> None:
    found = _check("k3 itself in the loss", _along(plain_k3()), findings, dashed=True)
    assert found[-1] > 0.02
