"""What the estimators of KL(π ‖ π_ref) are worth: bias and deviation where the KL is known.

π = N(0, 1) and π_ref = N(√(2 KL), 1), so that log π - log π_ref is N(KL, 2 KL) under π. By hand, over the KL:
k1 has no bias and the deviation √(2/KL); k2 = ½ logr² has the mean ½ (KL² + 2 KL), a bias of KL/2, and the variance
½ (2 KL)² + (2 KL) KL²; k3 has no bias and the variance e^{2 KL} - 1 - 2 KL. At a KL of 0.5 these are
Schulman's figures (2020, "Approximating KL divergence"): biases 0, 0.25 and 0, deviations 2, 1.73 and 1.7.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from assent.functional import kl_k1, kl_k2, kl_k3, kl_loss
from tests.science.findings import Figure, Findings, Section

DRAWS = 4_000_000
KL = 0.5  # nats
ESTIMATORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"k1": kl_k1, "k2": kl_k2, "k3": kl_k3}
# Relative bias, how far off the measured one may be, and relative deviation, by hand, at a KL of 0.5.
EXPECTED = {
    "k1": (0.0, 0.005, 2.0),
    "k2": (0.25, 0.01, math.sqrt(0.75) / KL),
    "k3": (0.0, 0.005, math.sqrt(math.e - 2.0) / KL),
}
AXES = ("KL, nats", "over the KL")
SECTION = Section(
    key="kl-estimators",
    order=3,
    title="Estimators of the KL",
    text=f"""
4 million draws from N(0, 1) against N(√(2 KL), 1), where the KL and the moments of each estimator are known. Bias and
standard deviation are over the KL, as in Schulman (2020): at a KL of {KL} nats a bias of 0.25 is 0.125 nats. k1 and k3
are unbiased; k3 is never negative and deviates less, up to a KL of 0.63; k2 is biased by half the KL.
""",
    source="tests/science/test_kl_estimators.py",
    columns=("estimator", "bias", "must be", "deviation", "by hand"),
    figures=(
        Figure("kl-bias", "Mean of each estimator over the KL, from samples", *AXES),
        Figure("kl-deviation", "Standard deviation of each estimator over the KL, from samples", *AXES),
    ),
)


def logprobs_at(kl: float, draws: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """log π and log π_ref of draws from π."""
    x = torch.randn(draws, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return -0.5 * x.square(), -0.5 * (x - math.sqrt(2.0 * kl)).square()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_bias_and_deviation_are_those_by_hand(name: str, findings: Findings) -> None:
    estimates = ESTIMATORS[name](*logprobs_at(KL, DRAWS))
    bias, deviation = float(estimates.mean()) / KL - 1.0, float(estimates.std()) / KL
    expected, off, expected_deviation = EXPECTED[name]
    findings.row(SECTION, name, bias, f"{expected} ± {off}", deviation, expected_deviation)
    assert abs(bias - expected) < off
    assert deviation == pytest.approx(expected_deviation, rel=0.01)


def test_along_the_kl(findings: Findings) -> None:
    kls = [0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0]
    moments = {name: [] for name in ESTIMATORS}
    for kl in kls:
        tables = logprobs_at(kl, 400_000)
        for name, estimator in ESTIMATORS.items():
            estimates = estimator(*tables)
            moments[name].append((float(estimates.mean()) / kl, float(estimates.std()) / kl))
    for name, found in moments.items():
        findings.line("kl-bias", name, [(kl, mean) for kl, (mean, _) in zip(kls, found, strict=True)])
        findings.line("kl-deviation", name, [(kl, std) for kl, (_, std) in zip(kls, found, strict=True)])
    # k2's bias is half the KL, over the KL; k3 beats k1 as long as e^{2 KL} - 1 - 2 KL < 2 KL, up to a KL of 0.628
    for kl, (mean, _) in zip(kls, moments["k2"], strict=True):
        assert mean == pytest.approx(1.0 + kl / 2, rel=0.05)
    better = [k3 < k1 for (_, k1), (_, k3) in zip(moments["k1"], moments["k3"], strict=True)]
    assert better == [kl < 0.628 for kl in kls]


@pytest.mark.parametrize("vocabulary", [50, 5000])
def test_over_a_vocabulary_the_expectations_are_exact(vocabulary: int) -> None:
    numbers = torch.Generator().manual_seed(vocabulary)
    policy, reference = torch.randn(2, 4, vocabulary, generator=numbers, dtype=torch.float64).log_softmax(-1)
    exact = torch.nn.functional.kl_div(reference, policy, log_target=True, reduction="none").sum(-1)
    for estimator in (kl_k1, kl_k3):
        torch.testing.assert_close((policy.exp() * estimator(policy, reference)).sum(-1), exact, rtol=1e-12, atol=0)


@pytest.mark.parametrize("estimator", ["k2", "k3"])
def test_the_loss_has_the_gradient_of_the_exact_kl(estimator: str) -> None:
    """Expected over all actions, by the logits; and k3 as it is has another."""
    numbers = torch.Generator().manual_seed(1)
    logits, reference = torch.randn(2, 3, 20, generator=numbers, dtype=torch.float64)
    leaf, reference = logits.requires_grad_(), reference.log_softmax(-1)
    policy = leaf.log_softmax(-1)
    (exact,) = torch.autograd.grad((policy.exp() * (policy - reference)).sum(), leaf, retain_graph=True)
    weights, every = policy.exp().detach(), torch.ones(3, 20, dtype=torch.bool)
    ours = kl_loss(policy, policy.detach(), reference, every, estimator, 1.0, weights)  # type: ignore[arg-type]
    torch.testing.assert_close(torch.autograd.grad(ours, leaf, retain_graph=True)[0], exact, rtol=1e-10, atol=1e-12)
    (plain,) = torch.autograd.grad((weights * kl_k3(policy, reference)).sum(), leaf)
    assert (plain - exact).abs().max() > 0.1
