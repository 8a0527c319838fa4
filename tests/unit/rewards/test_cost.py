"""Learnt costs: the chance of the bad label, and how far a criterion falls short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from assent.rewards.cost import ClassifierCost, CriterionCost
from assent.rewards.ensemble import EnsembleScorer
from assent.types.errors import SettingsError, UnhealthyRewardError
from tests.checkpoints import Shape
from tests.unit.rewards.test_ensemble import PROMPTS, TEXTS, member

Built = Callable[[Shape], Path]


@pytest.mark.parametrize("ones_are_good", [True, False])
def test_a_classifier_costs_the_chance_of_the_bad_label(checkpoint: Built, ones_are_good: bool) -> None:
    members = [member(checkpoint("llama"), seed) for seed in (1, 2)]
    for each in members:
        each.model.config.assent_sign = 1.0 if ones_are_good else -1.0
        each.reading = type(each.reading).of(each.model.config)
    ones = torch.tensor([each.raw_scores(PROMPTS, TEXTS) for each in members]).sigmoid().mean(0)
    assert ones.std() > 0.01, "texts that all score alike would prove nothing"
    expected = 1.0 - ones if ones_are_good else ones
    assert ClassifierCost(EnsembleScorer(members)).score(PROMPTS, TEXTS) == pytest.approx(expected.tolist(), abs=1e-6)
    assert ClassifierCost(members[0]).score(PROMPTS, TEXTS) != pytest.approx(expected.tolist(), abs=1e-3)


def test_a_logit_of_any_size_has_a_chance(checkpoint: Built) -> None:
    one = member(checkpoint("llama"), 1)
    with torch.no_grad():
        one.model.score.weight.mul_(1e5)
    costs = ClassifierCost(one).score(PROMPTS, TEXTS)
    assert all(cost in (0.0, 1.0) for cost in costs)
    with torch.no_grad():
        one.model.score.weight.mul_(-1.0)
    assert ClassifierCost(one).score(PROMPTS, TEXTS) == [1.0 - cost for cost in costs]
    with torch.no_grad():
        one.model.score.weight[0, 0] = float("nan")
    with pytest.raises(UnhealthyRewardError, match="non-finite"):
        ClassifierCost(one).score(PROMPTS, TEXTS)


def test_a_criterion_costs_what_it_lacks(checkpoint: Built) -> None:
    both = EnsembleScorer([member(checkpoint("llama"), seed, heads=2) for seed in (1, 2)])
    lacking = [-value for value in both.criteria_scores(PROMPTS, TEXTS)["harmless"]]
    assert CriterionCost(both, "harmless").score(PROMPTS, TEXTS) == lacking
    single = member(checkpoint("llama"), 1)
    assert CriterionCost(single, None).score(PROMPTS, TEXTS) == [-score for score in single.score(PROMPTS, TEXTS)]
    with pytest.raises(SettingsError, match=r"helpful, harmless.*\n?.*") as several:
        CriterionCost(both, None)
    assert "reward.cost_criterion" in str(several.value) + (several.value.hint or "")
    with pytest.raises(SettingsError, match="'kind'"):
        CriterionCost(both, "kind")
