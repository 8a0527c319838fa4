"""What has to be said to the libraries before and after they are imported."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assent.config.settings import ComputeSettings

_QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def prepare_environment() -> None:
    """Set what torch and the Hugging Face libraries read once, when they are imported. The user's own choice stays."""
    if "OMP_WAIT_POLICY" not in os.environ:
        # Threads that spin while they wait make two processes on one machine many times slower.
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may differ from run to run
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


def prepare_torch(compute: ComputeSettings) -> None:
    """Threads as set, only operations that give the same bits every time, and no bars but our own."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()  # its bars do not ask the hub's variable
    if compute.threads is not None:
        torch.set_num_threads(compute.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # We read no memory that nothing wrote, and filling it all would take a twentieth of a training step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
