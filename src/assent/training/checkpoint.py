"""The state of a run on disk: whole or not at all, and checked when it is read."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from assent.store.atomic import atomic_dir
from assent.types.errors import WorkspaceError

KEPT = 2  # the newest, and one to roll back to


SCHEDULED, STOPPED = "step-", "stopped-"  # a roll-back goes to the former only: a signal must not change its course


def save_checkpoint(
    folder: Path, step: int, tensors: dict[str, Tensor], values: dict[str, Any], scheduled: bool = True
) -> None:
    """Write `folder/step-NNNNNN`, then drop all but the newest two. Nothing half-written is ever found there.

    Args:
        scheduled: False for one saved only because a signal came: `folder/stopped-NNNNNN`, dropped at the next save.
    """
    older = sorted(folder.glob(f"{STOPPED}*"))
    name = f"{SCHEDULED if scheduled else STOPPED}{step:06d}"
    with atomic_dir(folder / name) as aside:
        save_file(_owned(tensors), aside / "state.safetensors")
        manifest = {"step": step, "values": values, "sha256": _sha256(aside / "state.safetensors")}
        (aside / "state.json").write_text(json.dumps(manifest), encoding="utf-8")
    for old in [*sorted(folder.glob(f"{SCHEDULED}*"))[:-KEPT], *(path for path in older if path.name != name)]:
        shutil.rmtree(old)


def _owned(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each name with memory of its own, as safetensors wants it: of a tied weight there are copies."""
    found: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        whole = tensor.detach().contiguous()
        place = whole.untyped_storage().data_ptr()
        alone = place not in taken and whole.untyped_storage().nbytes() == whole.nbytes
        found[name] = whole if alone else whole.clone()
        taken.add(place)
    return found


def load_checkpoint(folder: Path, scheduled_only: bool = False) -> tuple[int, dict[str, Tensor], dict[str, Any]] | None:
    """The newest checkpoint as (step, tensors, values); None if there is none.

    Args:
        scheduled_only: pass over what a signal had saved, as a roll-back must.

    Raises:
        WorkspaceError: its files are damaged; the message says which, and what to do.
    """
    kinds = (SCHEDULED,) if scheduled_only else (SCHEDULED, STOPPED)
    found = sorted((path for kind in kinds for path in folder.glob(f"{kind}*")), key=_step_of)
    if not found:
        return None
    newest = found[-1]
    hint = f"delete {newest}: the run then goes on from the checkpoint before it, or from its start"
    try:
        manifest = json.loads((newest / "state.json").read_text(encoding="utf-8"))
        if _sha256(newest / "state.safetensors") != manifest["sha256"]:
            raise WorkspaceError(f"{newest / 'state.safetensors'} is damaged (its checksum differs)", hint)
        return manifest["step"], load_file(newest / "state.safetensors"), manifest["values"]
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise WorkspaceError(f"{newest} is damaged: {error}", hint) from error


def _step_of(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


def trainable_tensors(prefix: str, model: nn.Module) -> dict[str, Tensor]:
    """The parameters that training changes, by name; frozen ones are in the checkpoint the model came from."""
    return {f"{prefix}.{name}": value for name, value in model.named_parameters() if value.requires_grad}


def restore_tensors(prefix: str, model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """The inverse of `trainable_tensors`, bit for bit."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.requires_grad:
                value.copy_(tensors[f"{prefix}.{name}"])


def optimizer_tensors(prefix: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Every tensor of the optimiser's state, by parameter index."""
    state = optimizer.state_dict()["state"]
    return {f"{prefix}.{index}.{name}": value for index, slots in state.items() for name, value in slots.items()}


def restore_optimizer(prefix: str, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`."""
    slots: dict[int, dict[str, Tensor]] = {}
    for key in _under(prefix, tensors):
        _, index, name = key.rsplit(".", 2)
        slots.setdefault(int(index), {})[name] = tensors[key]
    whole = optimizer.state_dict()
    optimizer.load_state_dict({"state": slots, "param_groups": whole["param_groups"]})


def _under(prefix: str, tensors: Iterable[str]) -> list[str]:
    return [key for key in tensors if key.startswith(prefix + ".")]


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
