"""Which loss a type names and what it is given: figures worked out by hand from two completions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from assent.algorithms.preference import Completions, judged_loss, mismatched_kl, pair_loss
from assent.config import (
    DPOSettings,
    IPOSettings,
    KTOSettings,
    ORPOSettings,
    PreferenceSettings,
    SimPOSettings,
)

ONE = torch.ones(1)
# Log-ratios +1 and -1, so that they differ by 2; a token costs 1 and 2 nats.
CHOSEN = Completions(torch.tensor([-2.0]), torch.tensor([-3.0]), torch.tensor([2.0]))
REJECTED = Completions(torch.tensor([-6.0]), torch.tensor([-5.0]), torch.tensor([3.0]))


@pytest.mark.parametrize(
    ("settings", "loss", "chosen", "rejected"),
    [
        # h = 0.5 · 2 = 1; -log σ(1) = 0.313262, -log σ(-1) = 1.313262
        (DPOSettings(kl_coef=0.5), 0.313262, 0.5, -0.5),
        # 0.9 · 0.313262 + 0.1 · 1.313262
        (DPOSettings(kl_coef=0.5, label_smoothing=0.1), 0.413262, 0.5, -0.5),
        (DPOSettings(kl_coef=0.5, label_smoothing=0.1, ties="learn"), 0.413262, 0.5, -0.5),
        # (0.9 · 0.313262 - 0.1 · 1.313262) / 0.8
        (DPOSettings(kl_coef=0.5, flip_rate=0.1), 0.188262, 0.5, -0.5),
        # (2 - 1 / (2 · 0.5))²
        (IPOSettings(kl_coef=0.5), 1.0, 0.5, -0.5),
        # per token 1/2 and -1/3: (5/6 - 1)² = 1/36
        (IPOSettings(kl_coef=0.5, length_average=True), 1 / 36, 0.25, -1 / 6),
        # odds of e⁻¹ are 0.581977, of e⁻² 0.156518; log odds -0.541325 and -1.854587, apart by 1.313262;
        # 1 + 0.2 · log(1 + e^-1.313262) = 1 + 0.2 · 0.238183
        (ORPOSettings(odds_coef=0.2), 1.047637, -0.541325, -1.854587),
        # 2 · (-1 + 2) - 1 = 1
        (SimPOSettings(reward_scale=2.0, margin=1.0), 0.313262, -2.0, -4.0),
    ],
    ids=["dpo", "smoothed", "smoothed, ties", "robust", "ipo", "ipo, averaged", "orpo", "simpo"],
)
def test_one_pair(settings: PreferenceSettings, loss: float, chosen: float, rejected: float) -> None:
    found, won, lost = pair_loss(settings, CHOSEN, REJECTED, ONE, ONE, 1.0)
    assert float(found) == pytest.approx(loss, abs=1e-6)
    assert (float(won), float(lost)) == pytest.approx((chosen, rejected), abs=1e-6)
    doubled, _, _ = pair_loss(settings, CHOSEN, REJECTED, ONE, 3 * ONE, 2.0)
    assert float(doubled) == pytest.approx(1.5 * loss, abs=1e-5)


def test_a_tie_is_learnt_where_it_is_asked_for_and_a_mistake_elsewhere() -> None:
    tie = torch.tensor([0.5])
    # (0.313262 + 1.313262) / 2, whatever the smoothing
    for smoothing in (0.0, 0.2):
        settings = DPOSettings(kl_coef=0.5, ties="learn", label_smoothing=smoothing)
        assert float(pair_loss(settings, CHOSEN, REJECTED, tie, ONE, 1.0)[0]) == pytest.approx(0.813262, abs=1e-6)
    for other in (DPOSettings(), DPOSettings(flip_rate=0.1), IPOSettings(), ORPOSettings(), SimPOSettings()):
        with pytest.raises(ValueError, match="no notion of a tie"):
            pair_loss(other, CHOSEN, REJECTED, tie, ONE, 1.0)
    with pytest.raises(ValueError, match="no loss of pairs has settings of type kto"):
        pair_loss(KTOSettings(), CHOSEN, REJECTED, ONE, ONE, 1.0)


def test_kto() -> None:
    """z = 0.4: the desirable one gains 0.5 · (1 - 0.4) = 0.3, the other loses 0.5 · (-1 - 0.4) = -0.7."""
    both = Completions(torch.tensor([-2.0, -6.0]), torch.tensor([-3.0, -5.0]), torch.tensor([2.0, 3.0]))
    settings = KTOSettings(kl_coef=0.5, desirable_weight=2.0, undesirable_weight=1.0)
    point = torch.tensor(0.4)
    loss, rewards = judged_loss(settings, both, torch.tensor([True, False]), torch.ones(2), point, 2.0)
    # (2 σ(-0.3) + σ(-0.7)) / 2 = (2 · 0.425557 + 0.331812) / 2
    assert float(loss) == pytest.approx(0.591463, abs=1e-6)
    assert rewards.tolist() == pytest.approx([0.5, -0.5])


@pytest.mark.parametrize(("logprobs", "expected"), [([-2.0, -5.2], 0.4), ([-4.0, -7.0], 0.0)])
def test_the_reference_point_is_a_mean_never_below_zero(logprobs: list[float], expected: float) -> None:
    policy = torch.tensor(logprobs, requires_grad=True)
    point = mismatched_kl(Completions(policy, torch.tensor([-3.0, -5.0]), torch.ones(2)))
    assert float(point) == pytest.approx(expected, abs=1e-6)
    assert not point.requires_grad


def test_only_the_policy_learns() -> None:
    def leaves(values: list[float]) -> Tensor:
        return torch.tensor(values, requires_grad=True)

    for settings in (DPOSettings(), IPOSettings(length_average=True), ORPOSettings(), SimPOSettings()):
        chosen = Completions(leaves([-2.0]), leaves([-3.0]), torch.tensor([2.0]))
        rejected = Completions(leaves([-6.0]), leaves([-5.0]), torch.tensor([3.0]))
        pair_loss(settings, chosen, rejected, ONE, ONE, 1.0)[0].backward()
        assert float(chosen.logprobs.grad or 0.0) < 0.0 < float(rejected.logprobs.grad or 0.0)
        assert chosen.ref_logprobs.grad is None and rejected.ref_logprobs.grad is None
