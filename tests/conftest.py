"""What all tests share: quiet threads, shapes checked at run time, and tiny checkpoints of three architectures."""

from __future__ import annotations

import os

# Both are read once, when torch and the Hugging Face libraries are imported: no import may come before them.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from tests.checkpoints import Shape, build_checkpoint

install_import_hook("assent.functional", "beartype.beartype")

settings.register_profile("assent", deadline=None, max_examples=50)
settings.load_profile("assent")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    gpu_items = [item for item in items if item.get_closest_marker("gpu")]
    if not gpu_items:
        return
    import torch

    if not torch.cuda.is_available():
        for item in gpu_items:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Shape], Path]:
    """The folder of a tiny checkpoint of this shape, built once per session. Do not change it: copy it first."""
    built: dict[Shape, Path] = {}

    def folder_of(shape: Shape) -> Path:
        if shape not in built:
            built[shape] = build_checkpoint(tmp_path_factory.mktemp(f"{shape}-checkpoint"), shape)
        return built[shape]

    return folder_of
