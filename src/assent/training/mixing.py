"""Supervised gradients mixed into RL's updates: PPO-ptx (Ouyang et al. 2022, section 3.5), and demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assent.config.settings import ComputeSettings
from assent.training.language_model import Example, accumulate_nll
from assent.training.order import batches_by_tokens


@dataclass(frozen=True)
class Mixture:
    """Texts whose next-token loss is a part of every update's."""

    name: str  # its loss is logged as NAME_loss, in nats a token
    examples: Sequence[Example]
    coef: float
    tokens: int  # at least, in each update


class Mixing:
    """Which texts each update takes, and their gradients.

    Args:
        mixtures: none is fine.
        updates: that a whole run can make. An update's texts follow from its number: resuming needs no saved position.
    """

    def __init__(self, mixtures: Sequence[Mixture], updates: int, seed: int) -> None:
        self.mixtures = mixtures
        self.plans = {
            each.name: batches_by_tokens(_lengths(each.examples), each.tokens, updates, seed, f"mixed {each.name}")
            for each in mixtures
        }

    def accumulate(self, model: Any, number: int, compute: ComputeSettings) -> dict[str, float]:
        """Add the gradients of update `number` (0-based); returns each mixture's mean loss, without its coefficient.

        A mean over all tokens taken, whatever the microbatches. The temperature is 1: it is about texts, not samples.
        """
        return {
            f"{each.name}_loss": accumulate_nll(
                model, [each.examples[i] for i in self.plans[each.name][number]], compute, each.coef
            )
            for each in self.mixtures
        }


def _lengths(examples: Sequence[Example]) -> list[int]:
    return [len(learnt) for _, learnt in examples]
