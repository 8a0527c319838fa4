"""One optimiser step, guarded: gradients are clipped, and a non-finite step changes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from assent.training.checkpoint import optimizer_tensors, restore_optimizer

MUON_RATE = 6.0  # Muon's step over AdamW's for the same model: its updates are orthogonal matrices, not signs


class GuardedOptimiser:
    """AdamW over a model's trainable parameters, or Muon for its hidden matrices with AdamW for the rest.

    Args:
        model: whose parameters with `requires_grad` are trained; biases, norms and vectors get no weight decay.
        kind: `muon` (Jordan et al. 2024; torch's own) needs a fraction of AdamW's tokens from scratch.
        epsilon: AdamW's; RL wants 1e-5 (Huang et al. 2024).
    """

    def __init__(
        self,
        model: nn.Module,
        learning_rate: float,
        weight_decay: float,
        max_grad_norm: float,
        epsilon: float = 1e-8,
        kind: str = "adamw",
    ) -> None:
        named = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
        self.parameters = [value for _, value in named]
        self.max_grad_norm = max_grad_norm
        hidden = [value for name, value in named if kind == "muon" and _is_hidden_matrix(name, value)]
        taken = set(map(id, hidden))
        rest = [value for value in self.parameters if id(value) not in taken]
        groups = [
            {"params": [p for p in rest if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
        ]
        adamw = torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=learning_rate, eps=epsilon, fused=True
        )
        self.optimizers: list[tuple[torch.optim.Optimizer, float]] = [(adamw, learning_rate)]
        if hidden:
            rate = MUON_RATE * learning_rate
            muon = torch.optim.Muon(hidden, lr=rate, weight_decay=weight_decay, adjust_lr_fn="original")
            self.optimizers.append((muon, rate))

    def apply(self, share: float = 1.0) -> float | None:
        """Step with the gradients that are there, then clear them.

        Args:
            share: of the peak learning rate, from the schedule.

        Returns:
            The gradient norm before clipping; None if it was not finite, in which case nothing was changed.
        """
        norm = self.clip()
        if math.isfinite(norm):
            self.advance(share)
            return norm
        self.drop_gradients()
        return None

    def clip(self) -> float:
        """Clip the gradients that are there; returns their norm before, which may be infinite or NaN."""
        gradients = [value.grad for value in self.parameters if value.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        found = float(norm)
        if not found <= self.max_grad_norm:  # a pass over all of them that most steps can do without
            nn.utils.clip_grads_with_norm_(self.parameters, self.max_grad_norm, norm)
        return found

    def advance(self, share: float = 1.0) -> None:
        """Step with gradients that were clipped and found finite, then clear them.

        Args:
            share: of the peak learning rate, from the schedule.
        """
        for optimizer, rate in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * share
            optimizer.step()
        self.drop_gradients()

    def drop_gradients(self) -> None:
        """Forget the gradients that were accumulated."""
        for optimizer, _ in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def memory(self) -> int:
        """Bytes of its states: AdamW keeps two numbers of each weight, Muon one."""
        return sum(
            (1 if isinstance(optimizer, torch.optim.Muon) else 2) * value.numel() * value.element_size()
            for optimizer, _ in self.optimizers
            for group in optimizer.param_groups
            for value in group["params"]
        )

    def tensors(self, prefix: str) -> dict[str, Tensor]:
        """The state, for a checkpoint."""
        found: dict[str, Tensor] = {}
        for place, (optimizer, _) in enumerate(self.optimizers):
            found |= optimizer_tensors(f"{prefix}{place}", optimizer)
        return found

    def restore(self, prefix: str, tensors: dict[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        for place, (optimizer, _) in enumerate(self.optimizers):
            restore_optimizer(f"{prefix}{place}", optimizer, tensors)


def all_finite(values: Iterable[float]) -> bool:
    """True if every number is finite."""
    return all(map(math.isfinite, values))


def _is_hidden_matrix(name: str, value: Tensor) -> bool:
    return value.ndim == 2 and not any(part in name for part in ("embed", "wte", "wpe", "lm_head", "score"))
