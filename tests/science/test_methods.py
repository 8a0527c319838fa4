"""Six ways to a policy from one reward model's world, on one figure of reward against KL; and where they over-optimise.

The `reviews` world in Ziegler et al.'s (2019) setting: 5,000 choices of the best of four by simulated people, no
fine-tuning, PPO under an adaptive penalty; then A2C, RLOO, GRPO, DPO and best-of-16 by the same commands, three seeds.
All of it is `benchmarks/methods.py`; what is asked of it stands here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from assent.evaluation import OptimisationPoint, fit_gao, summarise_over_optimisation
from assent.evaluation.over_optimisation import Form
from benchmarks.methods import METHODS, Measured, measure, spread
from tests.science.findings import Figure, Findings, Section

SEEDS = (0, 1, 2)
LIMIT = 1e3  # nats: a peak of the fit beyond says that it does not turn
UNBOUNDED = "PPO without a penalty"
METHODS_SECTION = Section(
    key="methods",
    order=11,
    title="Six methods on the reviews world",
    text="""
`reviews` with its recipe, three seeds: 5,000 choices of the best of four by simulated people, one reward model a seed,
and no fine-tuning, as in the first task of Ziegler et al. (2019), whose policy was preferred to the zero-shot one in
86 % of pairs. PPO is the recipe's; A2C, RLOO and GRPO have its step size, penalty, rollouts and number of steps; DPO
learns from the same choices without a reward model; best-of-16 trains nothing. On the 200 held-out prompts: KL from the
zero-shot policy (of best-of-n the bound, which is reached where no two scores are equal), mean score of the reward
model, the gold judge's mean mark, and how often the gold judge prefers the policy to the zero-shot one. ± is half of a
95 % interval over seeds.
""",
    source="tests/science/test_methods.py",
    columns=("method", "KL, nats", "reward model's score", "gold mark", "preferred to zero-shot"),
    figures=(
        Figure("methods", "The reward model's score against KL, means over seeds", "KL, nats", "score", root=True),
        Figure("methods-gold", "The gold judge's mark against KL, means over seeds", "KL, nats", "mark", root=True),
    ),
)
CURVES = Section(
    key="methods-curves",
    order=10,
    title="Over-optimisation on the reviews world",
    text="""
Gold against √KL, fitted with the two forms of Gao, Schulman and Hilton (2023), d = √KL: R = d (α - β d), which they
found for best-of-n, and R = d (α - β log d), for RL; the better one is drawn. Best-of-n up to 64; PPO without a KL
penalty, 96 steps of a fifth of the recipe's size, seed 0. With steps of the recipe's size KL leaps from 12 to 32 nats
within three of them, and gold is no function of KL any more (R² .19 and .11).
""",
    source="tests/science/test_methods.py",
    columns=("what", "form", "α", "β", "R²", "peak of the fit, nats"),
    figures=(
        Figure("methods-curves", "Gold's gain against KL on reviews, with the fits", "KL, nats", "gain", root=True),
    ),
)


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Measured]:
    """Every seed, in the folder that `--keep` names or in one of its own."""
    kept = request.config.getoption("--keep", default=None)
    folder = Path(kept) if kept else tmp_path_factory.mktemp("methods")
    return [measure(folder, seed, threads=1, curves=seed == SEEDS[0]) for seed in SEEDS]


@pytest.mark.slow
@pytest.mark.timeout(14400)
def test_the_tuned_policy_is_preferred_and_near(measured: list[Measured], findings: Findings) -> None:
    starts = [each.start for each in measured]
    findings.row(
        METHODS_SECTION, "zero-shot", "0", *(_cell([getattr(s, k) for s in starts]) for k in ("proxy", "gold")), ""
    )
    for name in METHODS:
        each = [seed.outcomes[name] for seed in measured]
        cells = [_cell([getattr(one, what) for one in each]) for what in ("kl", "proxy", "gold", "won")]
        findings.row(METHODS_SECTION, name, *cells)
    for name in measured[0].curves:
        curves = [seed.curves[name] for seed in measured if name in seed.curves]
        if name != UNBOUNDED:
            for key, which in (("methods", "proxy"), ("methods-gold", "gold")):
                findings.line(key, name, [(kl, value) for kl, value in _mean_curve(curves, which)])
    dots = [(spread([seed.outcomes["DPO"].kl for seed in measured])[0], what) for what in ("proxy", "gold")]
    for (kl, what), key in zip(dots, ("methods", "methods-gold"), strict=True):
        found = [getattr(seed.outcomes["DPO"], what) for seed in measured]
        findings.line(key, "DPO", [(kl, spread(found)[0])], joined=False)
    for seed in measured:
        ppo, start = seed.outcomes["PPO"], seed.start
        assert ppo.won >= 0.86 and ppo.kl <= 10.0, f"seed {seed.seed}: {ppo}"
        for name, outcome in seed.outcomes.items():
            assert outcome.proxy > start.proxy + 0.3 and outcome.gold > start.gold, f"{name}, seed {seed.seed}"


@pytest.mark.slow
@pytest.mark.timeout(14400)
def test_gold_follows_the_published_forms(measured: list[Measured], findings: Findings) -> None:
    """R² is given; the better form must explain more than half, and without a penalty gold must fall in the end."""
    forms: tuple[Form, ...] = ("best-of-n", "rl")
    for name in ("best-of-n", UNBOUNDED):
        points = measured[0].curves[name]
        start = points[0]
        findings.line("methods-curves", f"gold, {name}", [(p.kl, p.gold - start.gold) for p in points], joined=False)
        fits = [fit for form in forms if (fit := fit_gao(points, "gold", form)) is not None]
        for fit in fits:
            peak = "none" if fit.peak_kl is None or fit.peak_kl > LIMIT else f"{fit.peak_kl:.2f}"
            cells = (f"{fit.alpha:.4f}", f"{fit.beta:.4f}", f"{fit.r_squared:.4f}", peak)
            findings.row(CURVES, name, fit.form, *cells)
        better = max(fits, key=lambda fit: fit.r_squared)
        end = max(point.kl for point in points)
        at = [end * (i / 20) for i in range(1, 21)]
        findings.line("methods-curves", f"fit, {name}", [(kl, better.gain(kl)) for kl in at], dashed=True)
        assert better.r_squared > 0.5
        assert points[-1].proxy > start.proxy + 0.3
    found = summarise_over_optimisation(measured[0].curves[UNBOUNDED])
    assert found.gold_peak - found.gold_end > 0.05 and found.proxy_end > found.proxy_at_peak


def _cell(values: list[float]) -> str:
    mean, half = spread(values)
    return f"{mean:.3f} ± {half:.3f}"


def _mean_curve(curves: list[list[OptimisationPoint]], which: str) -> list[tuple[float, float]]:
    """Mean KL and mean value at each measurement, over seeds."""
    return [
        (max(0.0, sum(p.kl for p in points) / len(points)), sum(getattr(p, which) for p in points) / len(points))
        for points in zip(*curves, strict=False)
    ]
