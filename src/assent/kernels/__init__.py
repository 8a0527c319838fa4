"""What lies between a CPU's matrix products, in one pass over memory each: compiled by Numba when it is first called.

Each kernel has a twin of plain torch beside it in `assent.functional`, which is taken on other devices, for float64,
and where Numba is not installed; that of `writing` is the model's own forward pass. What is compiled is kept on disk.
Reductions do not depend on the number of threads.
"""

from __future__ import annotations

import sys
from importlib import import_module
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

_DTYPES = (torch.float32, torch.bfloat16)
_found: list[str | None] = []
_begun: list[bool] = []
_one_at_a_time = Lock()  # not all that Numba can share threads by lets two of Python's threads in


def fits(*tables: Tensor) -> bool:
    """Whether kernels take these tensors: on the CPU, in fp32 or bf16, and with Numba here."""
    return all(table.device.type == "cpu" and table.dtype in _DTYPES for table in tables) and missing() is None


def array(table: Tensor) -> Any:
    """The tensor's own memory as a NumPy array, bf16 as uint16; a copy if it is not contiguous."""
    table = table.detach().contiguous()
    return (table.view(torch.uint16) if table.dtype == torch.bfloat16 else table).numpy()


def call(kernel: str, *arguments: Any) -> None:
    """Run a kernel, such as `layers.norm`, as `fits` allowed it, on as many threads as torch uses.

    It is given tensors, of which those that it writes to must be contiguous, what `array` made of them, or numbers.
    """
    file, _, name = kernel.partition(".")
    with _one_at_a_time:
        _share_threads()
        getattr(sys.modules[f"{__name__}.{file}"], name)(*map(_given, arguments))


def _share_threads() -> None:
    import numba

    threads = torch.get_num_threads()
    numba.set_num_threads(min(threads, _numba_threads()))
    if not _begun:  # both use the same OpenMP, and Numba sets its threads for itself when it begins
        _begun.append(True)
        torch.set_num_threads(threads)


def _numba_threads() -> int:
    from numba.core import config

    return int(config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


def _given(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return array(argument)
    return np.float32(argument) if isinstance(argument, float) else argument


def missing() -> str | None:
    """Why there are no kernels on this machine, if there are none."""
    if not _found:
        try:
            for name in ("layers", "seen", "vocabulary", "writing"):
                module = import_module(f"assent.kernels.{name}")
                import_module("assent.kernels.elsewhere").compile_elsewhere(module)
            _found.append(None)
        except (ImportError, RuntimeError) as error:  # no Numba, one that does not fit NumPy, or nowhere to keep code
            _found.append(str(error))
    return _found[0]
