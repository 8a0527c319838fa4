"""One optimiser step, guarded: gradients are clipped, and a non-finite step changes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from assent.training.checkpoint import optimizer_tensors, restore_optimizer


class GuardedAdamW:
    """AdamW over a model's trainable parameters.

    Args:
        model: whose parameters with `requires_grad` are trained; biases, norms and vectors get no weight decay.
        epsilon: Adam's; RL wants 1e-5 (Huang et al. 2024).
    """

    def __init__(
        self, model: nn.Module, learning_rate: float, weight_decay: float, max_grad_norm: float, epsilon: float = 1e-8
    ) -> None:
        self.parameters = [value for value in model.parameters() if value.requires_grad]
        self.learning_rate = learning_rate
        self.max_grad_norm = max_grad_norm
        groups = [
            {"params": [p for p in self.parameters if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in self.parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=learning_rate, eps=epsilon, fused=True
        )

    def apply(self, share: float = 1.0) -> float | None:
        """Step with the gradients that are there, then clear them.

        Args:
            share: of the peak learning rate, from the schedule.

        Returns:
            The gradient norm before clipping; None if it was not finite, in which case nothing was changed.
        """
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm))
        finite = math.isfinite(norm)
        if finite:
            for group in self.optimizer.param_groups:
                group["lr"] = self.learning_rate * share
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm if finite else None

    def tensors(self, prefix: str) -> dict[str, Tensor]:
        """The state, for a checkpoint."""
        return optimizer_tensors(prefix, self.optimizer)

    def restore(self, prefix: str, tensors: dict[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        restore_optimizer(prefix, self.optimizer, tensors)


def all_finite(values: Iterable[float]) -> bool:
    """True if every number is finite."""
    return all(map(math.isfinite, values))
