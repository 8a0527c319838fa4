"""Compiled kernels give the same bits in the process that first needed them as in all later ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from assent.kernels import missing

WORK = """
import hashlib, sys
import torch
from assent.functional.rms_norm import rms_norm
from assent.kernels import elsewhere
if sys.argv[1] == "here":
    elsewhere._ask = lambda *_: False
torch.manual_seed(0)
x = torch.randn(640, 128, requires_grad=True)
weight = torch.rand(128, requires_grad=True)
rms_norm(x, weight, 1e-5, torch.bfloat16).backward(torch.randn(640, 128).bfloat16() * 1e-3)
print(*(hashlib.md5(each.grad.numpy().tobytes()).hexdigest() for each in (x, weight)))
"""


def bits(cache: Path, where: str) -> str:
    words = [sys.executable, "-P", "-c", WORK, where]
    given = {**os.environ, "NUMBA_CACHE_DIR": str(cache / "kept")}
    return subprocess.run(words, env=given, cwd=cache, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(missing() is not None, reason="no kernels here")
def test_the_process_that_compiles_rounds_as_later_ones_do(tmp_path: Path) -> None:
    (tmp_path / "secrets.py").write_text("raise ImportError('a file of the user, which is none of ours')")
    first = bits(tmp_path, "elsewhere")
    assert list(tmp_path.rglob("layers.norm_back*.nbc"))
    assert first == bits(tmp_path, "elsewhere") == bits(tmp_path, "here")


@pytest.mark.skipif(missing() is not None, reason="no kernels here")
def test_without_a_helper_kernels_are_compiled_here(tmp_path: Path) -> None:
    assert bits(tmp_path, "here")
    assert list(tmp_path.rglob("layers.norm_back*.nbc"))


INTERRUPTED = """
import torch
from assent import kernels
from assent.kernels import elsewhere
assert kernels.missing() is None
helper = elsewhere._helper()
class Stops:
    def readline(self):
        raise KeyboardInterrupt
class Helper:
    stdin, stdout = helper.stdin, Stops()
    def kill(self):
        helper.kill()
elsewhere._helpers.append(Helper())
gate = lambda: kernels.call("layers.gate", *(torch.ones(4, 8) for _ in range(3)))
try:
    gate()
except KeyboardInterrupt:
    print("interrupted", elsewhere._helpers)
gate()
from assent.kernels import layers
print(len(layers.gate.stats.cache_hits), helper.wait())
"""


@pytest.mark.skipif(missing() is not None, reason="no kernels here")
def test_an_interrupted_question_is_asked_of_another(tmp_path: Path) -> None:
    given = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    words = [sys.executable, "-P", "-c", INTERRUPTED]
    done = subprocess.run(words, env=given, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["interrupted []", "1 -9"]
