"""The value model: a scalar model whose head has a bias, so that it can start at the normalised reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from assent.config.settings import LoraSettings
from assent.models.policy import add_adapter
from assent.models.reward_reading import RewardReading


def value_from_reward(
    model: Any, lora: LoraSettings, seed: int, zero: bool = False, weights: Mapping[str, float] | None = None
) -> nn.Module:
    """A trainable value model whose first outputs are the reward model's normalised scores.

    Args:
        model: a loaded reward model (of an ensemble, one member); its head is replaced.
        lora: the value model is adapted as the policy is; its head is always trained.
        zero: start at zero everywhere instead: there was no reward model to start from.
        weights: of the criteria, where the reward model has several heads.
    """
    old = model.score
    head = nn.Linear(old.in_features, 1, bias=True, dtype=old.weight.dtype)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        if not zero:
            reading = RewardReading.of(model.config, weights)
            for row, (weight, mean, std) in enumerate(zip(reading.weights, reading.means, reading.stds, strict=True)):
                head.weight.add_(weight * old.weight[row] / std)
                head.bias.sub_(weight * mean / std)
    model.score = head
    if lora.rank > 0:
        model = add_adapter(model, lora, "SEQ_CLS", seed)
    return model.train()  # type: ignore[no-any-return]
