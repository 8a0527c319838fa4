"""What a run writes into its folder while it goes on: a line of figures for every step."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assent.store.workspace import Workspace

METRICS = "metrics.jsonl"
PAIRS = "pairs.jsonl"
Figures = list[dict[str, float]]

# By kind of run, the settings that say how many steps it takes.
_STEPS = {"pretrain": ("pretrain", "steps"), "sft": ("sft", "steps"), "rl": ("rl", "steps")}


@dataclass(frozen=True)
class Course:
    """One course of steps within a run; an ensemble of reward models has one for each member."""

    name: str  # empty where the run has but one
    figures: Figures


def courses_of(workspace: Workspace, run_id: str) -> list[Course]:
    """The figures that a run has written so far, by step. A line that is being written is left out."""
    folder = workspace.run_dir(run_id)
    if not folder.resolve().is_relative_to(workspace.runs.resolve()) or not folder.is_dir():
        return []
    found = [path for path in sorted(folder.rglob(METRICS)) if path.is_file()]
    return [Course("" if path.parent == folder else path.parent.name, _figures(_lines(path))) for path in found]


def steps_wanted(kind: str, settings: Any) -> int | None:
    """How many steps a run of this kind takes; None where its settings do not say."""
    for name in _STEPS.get(kind, ()):
        settings = settings.get(name) if isinstance(settings, dict) else None
    return settings if isinstance(settings, int) else None


def held_out_pairs(workspace: Workspace, run_id: str) -> list[dict[str, Any]]:
    """How a health check scored each pair that people ordered; empty where it did not write that down."""
    folder = workspace.run_dir(run_id)
    path = folder / PAIRS
    inside = folder.resolve().is_relative_to(workspace.runs.resolve())
    return _lines(path) if inside and path.is_file() else []


def _lines(path: Any) -> list[dict[str, Any]]:
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        if line.endswith("\n"):
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                found.append(value)
    return found


def _figures(lines: Sequence[dict[str, Any]]) -> Figures:
    return [
        {
            name: float(value)
            for name, value in line.items()
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        }
        for line in lines
    ]
