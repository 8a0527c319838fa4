"""What a completion costs by a learnt model's lights: the other side of a reward, to be bounded rather than traded."""

from __future__ import annotations

import math
from collections.abc import Sequence

from assent.rewards.ensemble import EnsembleScorer
from assent.rewards.scorer import RewardModelScorer
from assent.types.errors import SettingsError
from assent.types.messages import Prompt


class ClassifierCost:
    """The chance that a completion is of the bad kind, by a classifier of 0/1 labels; the members' mean.

    Args:
        scorer: its single head's raw output is the logit of label 1, its weight's sign says whether 1 is good.
    """

    def __init__(self, scorer: RewardModelScorer | EnsembleScorer) -> None:
        self._members = scorer.members

    def score(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """Costs in [0, 1], higher is worse.

        Raises:
            UnhealthyRewardError: the model gave a logit that is not finite.
        """
        found = [
            [_sigmoid(-member.reading.weights[0] * logit) for logit in member.finite_raw_scores(prompts, completions)]
            for member in self._members
        ]
        return [sum(row) / len(row) for row in zip(*found, strict=True)]


class CriterionCost:
    """How far a completion falls below the reference's mean in one criterion, in deviations of the reference's samples.

    Args:
        scorer: a reward model, or several.
        criterion: the head; may be left out where there is one only.

    Raises:
        SettingsError: the model has no such head, or several and none is named.
    """

    def __init__(self, scorer: RewardModelScorer | EnsembleScorer, criterion: str | None) -> None:
        heads = scorer.members[0].reading.criteria
        if criterion is None and len(heads) > 1:
            raise SettingsError(
                f"reward.cost_model has heads for {', '.join(heads)}", "say which is the cost: reward.cost_criterion"
            )
        if criterion is not None and criterion not in heads:
            raise SettingsError(
                f"reward.cost_criterion is {criterion!r}, but the reward model has heads for {', '.join(heads)} only",
                "name one of them, or train a model with that criterion (reward_model.criteria)",
            )
        self._scorer, self._criterion = scorer, criterion or heads[0]

    def score(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """Costs, higher is worse; 0 for what the reference writes on average.

        Raises:
            UnhealthyRewardError: the model gave a score that is not finite.
        """
        return [-value for value in self._scorer.criteria_scores(prompts, completions)[self._criterion]]


def _sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1.0 + math.exp(logit))
