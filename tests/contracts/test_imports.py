"""Who may import whom, and what is loaded by what."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "assent"
PACKAGES = sorted(".".join(("assent", *file.parent.relative_to(SOURCE).parts)) for file in SOURCE.rglob("__init__.py"))


def test_layers_are_kept() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run([linter, "--no-logo"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    "module",
    ["assent", "assent.types", "assent.config", "assent.store", "assent.feedback", "assent.evaluation", "assent.web"],
)
def test_light_packages_load_no_deep_learning_library(module: str) -> None:
    names = "torch transformers tokenizers peft safetensors ray vllm"
    code = f"import sys, {module}; print(*[name for name in '{names}'.split() if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


@pytest.mark.parametrize("package", PACKAGES)
def test_exported_names_exist(package: str) -> None:
    if "migrations" in package:  # Alembic runs these itself
        return
    module = importlib.import_module(package)
    names = getattr(module, "__all__", [])
    assert [name for name in names if not hasattr(module, name)] == []
    assert len(names) == len(set(names))
