"""Weights that a run may go back to: the last within a bound, the best that were measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from assent.training.checkpoint import restore_tensors, trainable_tensors


class Snapshot:
    """What a model had learnt when it was taken; false until then.

    Args:
        name: under which its tensors stand in a checkpoint.
    """

    def __init__(self, name: str, model: nn.Module) -> None:
        self.name, self.model = name, model
        self._kept: dict[str, Tensor] = {}

    def __bool__(self) -> bool:
        return bool(self._kept)

    def memory(self) -> int:
        """Bytes that it takes."""
        return sum(value.numel() * value.element_size() for value in self._weights().values())

    def take(self) -> None:
        """Of the weights as they are."""
        self._kept = {name: value.detach().clone() for name, value in self._weights().items()}

    def put_back(self) -> None:
        """Into the model."""
        restore_tensors(self.name, self.model, self._kept)

    def tensors(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return dict(self._kept)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `tensors`, among others."""
        here = self._weights()
        self._kept = {name: tensors[name].to(value.device) for name, value in here.items() if name in tensors}

    def _weights(self) -> dict[str, Tensor]:
        return trainable_tensors(self.name, self.model)


class Best:
    """Of all weights that were measured the best, and of such that are as good the last.

    Args:
        worth: of what was measured; the first numbers that differ decide, and higher is better.
    """

    def __init__(self, model: nn.Module, worth: Callable[[Mapping[str, float]], Sequence[float]]) -> None:
        self._snapshot = Snapshot("best", model)
        self._worth = worth
        self.step = 0
        self.figures: dict[str, float] = {}

    def consider(self, step: int, figures: Mapping[str, float]) -> None:
        """What was measured of the weights as they are, after so many steps; passed over if it is not finite."""
        worth = list(self._worth(figures))
        if all(map(math.isfinite, worth)) and (not self._snapshot or worth >= list(self._worth(self.figures))):
            self._snapshot.take()
            self.step, self.figures = step, dict(figures)

    def memory(self) -> int:
        """Bytes that it takes."""
        return self._snapshot.memory()

    def put_back(self) -> bool:
        """The best into the model; False if none was measured."""
        if self._snapshot:
            self._snapshot.put_back()
        return bool(self._snapshot)

    def tensors(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return self._snapshot.tensors()

    def values(self) -> dict[str, Any]:
        """The rest of its state, as JSON."""
        return {"step": self.step, "figures": self.figures}

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """The inverse of `tensors` and `values`."""
        self._snapshot.restore(tensors)
        self.step, self.figures = values["step"], dict(values["figures"])
