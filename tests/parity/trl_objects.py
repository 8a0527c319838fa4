"""TRL's own trainers without what surrounds their losses: no datasets, no optimiser, and logits that are given.

A loss that TRL keeps inside a trainer's method is computed by that method, on an object of its class that has only the
attributes which the method reads. One that stands in the middle of a longer method is computed by its own lines, cut
out of the source at the words that begin and end them.
"""

from __future__ import annotations

import inspect
import textwrap
from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

VOCABULARY = 23


class GivenLogits(torch.nn.Module):
    """A model that answers every batch with the logits it was made with, or those of the batch's width."""

    is_gradient_checkpointing = False

    def __init__(self, *tables: Tensor) -> None:
        super().__init__()
        self.tables = {table.shape[1]: table for table in tables}

    def forward(self, input_ids: Tensor, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(logits=self.tables[input_ids.shape[1]])


def trainer_of(kind: type, **attributes: Any) -> Any:
    """An object of one of TRL's trainers with these attributes, and an accelerator of one process."""
    from accelerate import Accelerator

    trainer = kind.__new__(kind)  # its initialiser loads models and data
    trainer.accelerator = Accelerator(cpu=True)
    trainer._metrics = {mode: defaultdict(list) for mode in ("train", "eval")}
    trainer._total_train_tokens = 0
    trainer.aux_loss_enabled = False
    for name, value in attributes.items():
        setattr(trainer, name, value)
    return trainer


def lines_of(method: Callable[..., Any], first: str, last: str) -> str:
    """The part of a method from the line that begins with `first` to the one that begins with `last`.

    Raises:
        ValueError: there is no such part; this TRL is another than the one that is compared with.
    """
    lines = inspect.getsource(method).splitlines()
    starts = [i for i, line in enumerate(lines) if line.strip().startswith(first)]
    ends = [i for i, line in enumerate(lines) if line.strip().startswith(last) and starts and i >= starts[0]]
    if not starts or not ends:
        raise ValueError(
            f"{method.__qualname__} has no lines from {first!r} to {last!r}: see the version in the Makefile"
        )
    return textwrap.dedent("\n".join(lines[starts[0] : ends[0] + 1]))


def run_lines(method: Callable[..., Any], first: str, last: str, **names: Any) -> dict[str, Any]:
    """What these lines of the method leave behind, run with the given names and those of the method's module."""
    scope = {**inspect.getmodule(method).__dict__, **names}
    exec(lines_of(method, first, last), scope)
    return scope
