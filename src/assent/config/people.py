"""Settings of who judges, and how much."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from assent.config.section import Section


class PeopleSettings(Section):
    """Who judges, and how much."""

    kind: Literal["simulated", "human", "none"] = "human"
    marks: str | None = Field(None, description="module:function giving simulated people's underlying marks")
    count: int = Field(16, ge=1, description="simulated people who label for training")
    evaluators: int = Field(16, ge=1, description="simulated people who only ever compare policies")
    agreement: float = Field(0.73, gt=0.5, lt=1, description="share of pairs on which two people agree (InstructGPT)")
    careless_share: float = Field(0.07, ge=0, le=0.5)
    adversarial_share: float = Field(0.07, ge=0, le=0.5)
    biased_share: float = Field(0.2, ge=0, le=0.5, description="with position bias, and as many with length bias")
    rankings_per_round: int = Field(1200, ge=1, description="judgements asked for in a round, overlap included")
    completions_per_ranking: int = Field(4, ge=2, le=6, description="K")
    label: Literal["ranking", "best-of-k"] = Field(
        "ranking",
        description="what is asked for training: all K ranked (InstructGPT), or the best of them (Ziegler 2019)",
    )
    initial_share: float = Field(
        0.34, ge=0, lt=1, description="of a ranking's completions, by the initial policy, once another is in service"
    )
    holdout_share: float = Field(
        0.15, gt=0, lt=1, description="of the prompts: their judgements measure the reward model and never train it"
    )
    overlap: int = Field(3, ge=2, description="people per held-out task, whose agreement is the reward model's ceiling")
    arms: dict[Literal["random", "uncertainty", "near-ties", "new-against-old"], float] = Field(
        default={"random": 1.0},
        description="shares of the training tasks by what chose them: from round 2 on, where the reward model's members"
        " disagree, where its scores are close, or the policy beside the initial one; random must have some",
    )
    candidates: int = Field(3, ge=2, description="sets of completions written for each task, where arms are to choose")
    imports: str = Field(
        "none",
        description="imported judgements that are learnt from beside the rounds' own: none, all, or the names that"
        " `assent import` gave, with commas between; each from the round on that it was imported for",
    )
    criteria_marks: bool = Field(
        False, description="people also mark every completion per criterion, for reward_model.criteria"
    )

    @field_validator("arms")
    @classmethod
    def _some_stay_random(cls, arms: dict[str, float]) -> dict[str, float]:
        if any(share < 0 for share in arms.values()) or not arms.get("random", 0.0) > 0:
            raise ValueError("shares are at least 0, and that of random above 0: by it the other arms are measured")
        return arms
