"""Which loss each form of judgement trains. The losses themselves live in `assent.functional.reward_loss`."""

from __future__ import annotations

from assent.types.feedback import LabelKind

LOSS_OF_LABEL: dict[LabelKind, str] = {
    LabelKind.RANKING: "pairwise",
    LabelKind.BEST_OF_K: "best-of-k",
}
"""Label kind -> the value of `reward_model.loss` that uses all the judgement says."""
