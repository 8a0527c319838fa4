"""What ends at the best policy of the β-regularised bandit, and what does not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
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
from assent.report.charts import Rule
from tests.science.bandit import KL_COEF, REF, SCORE, distance, penalised_by_hand, plain_k3, training
from tests.science.findings import Figure, Findings, Section

COMMON = {"kl_coef": KL_COEF, "missing_eos_penalty": 0.0}
PLAIN = {"ppo": "PPO", "a2c": "A2C", "reinforce": "REINFORCE", "rloo": "RLOO", "grpo": "GRPO"}
AXES = ("step", "log₁₀ of the total variation from π*")
TITLE = "from the reference to the best policy of the bandit"
SECTION = Section(
    key="bandit",
    order=1,
    title="The bandit whose best policy is known",
    text="""
8 contexts, 50 actions, β = 0.5 reward per nat: the best policy is π* ∝ π_ref · e^{r/β}. A tabular policy is trained
with the algorithms' own losses, in exact expectation: each action counts with the policy's probability of it. What is
measured is the total variation between π* and where the training ends. With k1 in the reward it vanishes, and so it
does with k2 or the ratio-corrected k3 in the loss, which have the right gradient. k1 and k3 themselves in the loss lead
elsewhere, and `assent` refuses them. ≤ is the most that is allowed, > the least that must be seen.
""",
    source="tests/science/test_bandit.py",
    columns=("policy", "distance at the end", "must be"),
    figures=(
        Figure("bandit", f"Every algorithm with its penalty in the reward, {TITLE}", *AXES),
        Figure("bandit-losses", "The penalty in the loss: which estimators lead to the best policy", *AXES),
        *(
            Figure(f"bandit-{name}", f"{shown}, {TITLE}", *AXES, rules=(Rule("0.01", -2.0),), shown=False)
            for name, shown in (*PLAIN.items(), ("reinforce-plus-plus", "REINFORCE++"))
        ),
    ),
)

K3 = "k3-corrected-loss"
# What is trained: its name, the figure that it belongs to, its settings, and how far from the best it may end.
CASES: list[tuple[str, str, OnPolicySettings, float]] = [
    ("PPO, two epochs", "ppo", PPOSettings(**COMMON, epochs=2), 0.01),
    ("PPO, advantages not whitened", "ppo", PPOSettings(**COMMON, epochs=2, whiten_advantages=False), 0.01),
    ("A2C", "a2c", A2CSettings(**COMMON), 0.01),
    ("REINFORCE", "reinforce", ReinforceSettings(**COMMON), 0.01),
    ("REINFORCE, no baseline", "reinforce", ReinforceSettings(**COMMON, baseline="none"), 0.01),
    ("RLOO", "rloo", RLOOSettings(**COMMON), 0.01),
    ("REINFORCE++", "reinforce-plus-plus", ReinforcePlusPlusSettings(**COMMON), 0.01),
    ("REINFORCE++-baseline", "reinforce-plus-plus", ReinforcePlusPlusSettings(**COMMON, baseline="group-mean"), 0.01),
    ("Dr. GRPO", "grpo", GRPOSettings(**COMMON, scale="none", loss_mean="constant"), 0.01),
    # These scale each context's scores by another number, and get there all the same.
    ("GRPO", "grpo", GRPOSettings(**COMMON), 0.02),
    ("DAPO", "grpo", GRPOSettings(**COMMON, epochs=2, clip_high=0.28), 0.02),
    ("GSPO", "grpo", GRPOSettings(**COMMON, ratio="sequence", loss_mean="sequences"), 0.02),
    ("CISPO", "grpo", GRPOSettings(**COMMON, ratio="detached"), 0.02),
    ("REINFORCE, k2 in the loss", "reinforce", ReinforceSettings(**COMMON, kl_penalty="k2-loss"), 0.03),
    ("REINFORCE, k3 corrected", "reinforce", ReinforceSettings(**COMMON, kl_penalty=K3), 0.03),
    # Here every action is seen, and a group that is no sample makes of the scores ACTIONS / (ACTIONS - 1) of them.
    ("RLOO, k2 in the loss", "rloo", RLOOSettings(**COMMON, kl_penalty="k2-loss"), 0.03),
    ("Dr. GRPO, k3 corrected", "grpo", GRPOSettings(**COMMON, kl_penalty=K3, scale="none"), 0.03),
    (
        "PPO, k3 corrected",
        "ppo",
        PPOSettings(**COMMON, kl_penalty=K3, whiten_advantages=False, epochs=2),
        0.03,
    ),
]
IN_THE_OVERVIEW = {"PPO, two epochs", "A2C", "REINFORCE", "RLOO", "REINFORCE++", "GRPO"}
IN_THE_LOSSES = {"REINFORCE, k2 in the loss", "REINFORCE, k3 corrected"}


def _curve(path: Sequence[Tensor]) -> list[tuple[float, float]]:
    return [(float(step), math.log10(distance(logits))) for step, logits in enumerate(path)]


def test_there_is_something_to_learn(findings: Findings) -> None:
    findings.row(SECTION, "the reference", distance(REF), "> 0.5")
    assert distance(REF) > 0.5
    assert distance(REF + SCORE / KL_COEF) < 1e-12


@pytest.mark.parametrize(("name", "figure", "settings", "bound"), CASES, ids=[case[0] for case in CASES])
def test_the_right_gradient_ends_at_the_best_policy(
    name: str, figure: str, settings: OnPolicySettings, bound: float, findings: Findings
) -> None:
    path = training(settings)
    findings.row(SECTION, name, distance(path[-1]), f"≤ {bound}")
    findings.line(f"bandit-{figure}", name, _curve(path))
    if name in IN_THE_OVERVIEW:
        findings.line("bandit", name, _curve(path))
    if name in IN_THE_LOSSES:
        findings.line("bandit-losses", name, _curve(path))
    assert distance(path[-1]) <= bound


def test_plain_k3_in_the_loss_does_not(findings: Findings) -> None:
    end = distance(plain_k3()[-1])
    findings.row(SECTION, "k3 itself in the loss", end, "> 0.3")
    for figure in SECTION.figures:
        findings.line(figure.key, "k3 itself in the loss", _curve(plain_k3()), hue="c-base", dashed=True)
    assert end > 0.3


def test_k1_in_the_loss_penalises_nothing(findings: Findings) -> None:
    # ∇x = 1, so that the policy ends where scores alone lead it, on each context's best action
    path = penalised_by_hand(torch.ones_like)
    findings.row(SECTION, "k1 itself in the loss", distance(path[-1]), "> 0.3")
    findings.line("bandit-losses", "k1 itself in the loss", _curve(path), hue="c-4", dashed=True)
    assert distance(path[-1]) > 0.3


def test_k2_by_hand_ends_at_the_best_policy(findings: Findings) -> None:
    """What is above is then due to the estimators, not to the descent."""
    end = distance(penalised_by_hand(lambda logr: logr)[-1])
    findings.row(SECTION, "k2 in the loss, by hand", end, "≤ 0.01")
    assert end <= 0.01


def test_scaling_by_the_deviation_breaks_a_penalty_in_the_loss(findings: Findings) -> None:
    """The penalty is then weighed against scores of another size in each context."""
    path = training(GRPOSettings(**COMMON, kl_penalty="k2-loss"))
    findings.row(SECTION, "GRPO, k2 in the loss, scaled by the deviation", distance(path[-1]), "> 0.1")
    findings.line("bandit-losses", "GRPO, k2, scaled by the deviation", _curve(path))
    assert distance(path[-1]) > 0.1


@pytest.mark.parametrize("penalty", ["k3-loss", "k1-loss"])
def test_what_does_not_work_is_refused_with_the_reason(penalty: str) -> None:
    with pytest.raises(ValueError, match="gradient"):
        RLOOSettings(kl_penalty=penalty)
