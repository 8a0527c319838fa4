"""Running `assent` as a user does, but in this process: torch is imported once for all tests."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assent.cli import main

# A loop of seconds. The model learns nothing, so people look at the length of what it writes, and no reward model that
# saw so little could be called healthy: it needs --force.
TINY = {
    "model.shape.hidden-size": 64,
    "model.shape.layers": 2,
    "model.shape.intermediate-size": 128,
    "model.shape.vocab-size": 500,
    "pretrain.steps": 10,
    "pretrain.tokens-per-step": 512,
    "sft.steps": 3,
    "sft.tokens-per-step": 512,
    "sampling.max-new-tokens": 12,
    "people.kind": "simulated",
    "people.marks": "tests.command_line:length_mark",
    "people.rankings-per-round": 60,
    "reward-model.reference-samples": 8,
    "health.min-accuracy": 0.999,
    "rl.steps": 2,
    "rl.rollouts-per-step": 8,
    "rl.evaluate-prompts": 8,
    "evaluation.prompts": 12,
    "evaluation.bootstrap": 100,
    "loop.unpenalised-steps": 1,
    "compute.threads": 1,
}


def length_mark(prompt: str, completion: str) -> float:
    """A gold judge that texts of an untrained model differ by."""
    return min(1.0, len(completion) / 60)


def flags(settings: dict[str, Any]) -> list[str]:
    """Settings as flags."""
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The last line, for scripts."""
        found = json.loads(self.out.splitlines()[-1])
        assert isinstance(found, dict)
        return found


def assent(*words: object, cwd: Path | None = None, typed: str = "") -> Done:
    """Run a command to its end. `typed` is what a person enters, line by line."""
    out, err = io.StringIO(), io.StringIO()
    here = os.getcwd()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["assent", *map(str, words)])
        patch.setattr(sys, "stdin", io.StringIO(typed))
        patch.setattr(sys, "path", list(sys.path))
        patch.setenv("COLUMNS", "200")
        os.chdir(cwd or here)
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            os.chdir(here)
    return Done(code, out.getvalue(), err.getvalue())
