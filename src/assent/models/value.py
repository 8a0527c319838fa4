"""The value model: a scalar model whose head has a bias, so that it can start at the normalised reward."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from assent.config.settings import LoraSettings
from assent.models.policy import add_adapter


def value_from_reward(model: Any, lora: LoraSettings, seed: int, zero: bool = False) -> nn.Module:
    """A trainable value model whose first outputs are the reward model's normalised scores.

    Args:
        model: a loaded reward model; its head is replaced.
        lora: the value model is adapted as the policy is; its head is always trained.
        zero: start at zero everywhere instead: there was no reward model to start from.
    """
    old = model.score
    head = nn.Linear(old.in_features, 1, bias=True, dtype=old.weight.dtype)
    mean = float(getattr(model.config, "assent_score_mean", 0.0))
    std = float(getattr(model.config, "assent_score_std", 1.0))
    with torch.no_grad():
        head.weight.copy_(torch.zeros_like(old.weight) if zero else old.weight / std)
        head.bias.fill_(0.0 if zero else -mean / std)
    model.score = head
    if lora.rank > 0:
        model = add_adapter(model, lora, "SEQ_CLS", seed)
    return model.train()  # type: ignore[no-any-return]
