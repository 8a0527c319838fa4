"""How the raw outputs of a saved reward model are read: what its config carries beside the weights.

Plain transformers gives the raw outputs; a score of the library's is in deviations over the reference policy's samples.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.types.errors import SettingsError

OVERALL = "overall"  # the name of a single head


@dataclass(frozen=True)
class RewardReading:
    """Names, normalisation and weights of a reward model's heads, [H] each.

    The score is Σ weight · (raw - mean) / std.
    """

    criteria: tuple[str, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]
    weights: tuple[float, ...]
    text_only: bool = False  # it reads the completion alone, as a classifier of texts does
    length_slope: float = 0.0  # raw score a token that explained the labels' bias and was left out of the score

    @classmethod
    def of(cls, config: Any, weights: Mapping[str, float] | None = None) -> RewardReading:
        """As a model's config has it; one that was not trained here is read as it is.

        Args:
            weights: criterion -> weight; none: all alike, summing to 1.

        Raises:
            SettingsError: a weight of a criterion that this model has no head for.
        """
        criteria = tuple(getattr(config, "assent_criteria", None) or (OVERALL,))
        sign = float(getattr(config, "assent_sign", 1.0))
        return cls(
            criteria,
            _numbers(getattr(config, "assent_score_mean", None), len(criteria), 0.0),
            _numbers(getattr(config, "assent_score_std", None), len(criteria), 1.0),
            tuple(sign * weight for weight in _weights(criteria, weights)),
            bool(getattr(config, "assent_text_only", False)),
            float(getattr(config, "assent_length_slope", 0.0)),
        )

    def combined(self, raw: Sequence[Sequence[float]]) -> list[float]:
        """The score of each completion from its raw outputs, [B][H] -> [B]."""
        normalised = [self.normalised(index, [row[index] for row in raw]) for index in range(len(self.criteria))]
        return [sum(w * z for w, z in zip(self.weights, row, strict=True)) for row in zip(*normalised, strict=True)]

    def normalised(self, head: int, raw: Sequence[float]) -> list[float]:
        """One head's raw outputs in deviations from the reference's mean."""
        return [(value - self.means[head]) / self.stds[head] for value in raw]

    @property
    def logit_scale(self) -> float | None:
        """What a difference of scores is in logits of a preference; None where several heads are added up."""
        return abs(self.stds[0] / self.weights[0]) if len(self.criteria) == 1 and self.weights[0] else None


def _numbers(value: Any, count: int, default: float) -> tuple[float, ...]:
    if value is None:
        return (default,) * count
    found = tuple(map(float, value)) if isinstance(value, list | tuple) else (float(value),)
    if len(found) != count:
        raise ValueError(f"the config normalises {len(found)} heads, the model has {count}")
    return found


def _weights(criteria: Sequence[str], given: Mapping[str, float] | None) -> list[float]:
    if not given:
        return [1.0 / len(criteria)] * len(criteria)
    for name in given:
        if name not in criteria:
            near = difflib.get_close_matches(name, criteria, n=1)
            raise SettingsError(
                f"reward.weights names '{name}', but the reward model has heads for {', '.join(criteria)} only",
                f"did you mean '{near[0]}'?" if near else "leave it out, or train a model with reward_model.criteria",
            )
    if not any(given.values()):
        raise SettingsError("reward.weights are all 0", "give at least one criterion a weight")
    return [float(given.get(name, 0.0)) for name in criteria]
