"""Several reward models as one: where they disagree, nobody has judged anything like it, and the score can say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from assent.data.chat import ChatFormat
from assent.functional import pessimistic_score, worst_case_score
from assent.rewards.scorer import RewardModelScorer, finite
from assent.types.messages import Prompt

Pessimism = Literal["none", "mean-std", "worst-case"]


class EnsembleScorer:
    """One score from the members' scores, each normalised on the same samples before they are put together.

    Args:
        members: at least one.
        pessimism: the mean, the mean less `coef` standard deviations, or the lowest.
        coef: deviations that are taken off.

    Raises:
        ValueError: no member.
    """

    def __init__(self, members: Sequence[RewardModelScorer], pessimism: Pessimism = "none", coef: float = 1.0) -> None:
        if not members:
            raise ValueError("an ensemble needs at least one member, got none")
        self.members = list(members)
        self.pessimism = pessimism
        self.coef = coef

    @property
    def chat(self) -> ChatFormat:
        """How texts become tokens, the same for all members."""
        return self.members[0].chat

    @property
    def logit_scale(self) -> float | None:
        """What a difference of scores is in logits of a preference, on average; None where heads are added up."""
        scales = [scale for member in self.members if (scale := member.logit_scale) is not None]
        return sum(scales) / len(scales) if len(scales) == len(self.members) else None

    def score(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """Scores with the pessimism asked for.

        Raises:
            UnhealthyRewardError: a member gave a score that is not finite.
        """
        return finite(self.unchecked(prompts, completions))

    def unchecked(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """The scores, finite or not, for a health check to judge."""
        return self._joined([member.unchecked(prompts, completions) for member in self.members])

    def criteria_scores(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> dict[str, list[float]]:
        """The members' mean for each criterion: whether more of one is good or bad, only its user knows.

        Raises:
            UnhealthyRewardError: a member gave a score that is not finite.
        """
        found = [member.criteria_scores(prompts, completions) for member in self.members]
        return {
            name: torch.tensor([each[name] for each in found], dtype=torch.float64).mean(dim=0).tolist()
            for name in found[0]
        }

    def disagreement(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """The members' standard deviation about their mean score, per completion."""
        scores = torch.tensor([member.score(prompts, completions) for member in self.members], dtype=torch.float64)
        spread: list[float] = scores.std(dim=0, correction=0).tolist()
        return spread

    def _joined(self, scores: list[list[float]]) -> list[float]:
        table = torch.tensor(scores, dtype=torch.float64)
        if self.pessimism == "worst-case":
            found = worst_case_score(table)
        else:
            found = pessimistic_score(table, self.coef if self.pessimism == "mean-std" else 0.0)
        joined: list[float] = found.tolist()
        return joined
