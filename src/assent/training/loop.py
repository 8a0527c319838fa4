"""The training loop that every stage shares: steps, metrics, checkpoints, exact resume, and the non-finite guard."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from assent.store.atomic import write_atomic
from assent.training.checkpoint import load_checkpoint, save_checkpoint
from assent.training.interrupt import raise_if_stopped, stop_requested
from assent.types.errors import TrainingHalted
from assent.types.protocols import Progress

METRICS, TIMINGS = "metrics.jsonl", "timings.jsonl"


class Stage(Protocol):
    """What the loop trains. A step is a function of the state and the step's index alone: no hidden streams.

    It may have `ended`, true once no further step is wanted, and `waited`, the seconds of the last step without work.
    """

    def step(self, index: int, attempt: int) -> dict[str, float]:
        """One optimiser step (or one RL iteration); `skipped` = 1 in the metrics if a non-finite one was left out."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Weights and optimiser state."""
        ...

    def values(self) -> dict[str, Any]:
        """The rest of the state, as JSON."""
        ...

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """The inverse of `tensors` and `values`."""
        ...


@dataclass(frozen=True)
class LoopSettings:
    """How long, how often saved, how patient."""

    steps: int
    checkpoint_every: int
    max_nonfinite_steps: int = 3
    headline: str = "loss"  # the metric shown in the progress line


def run_steps(stage: Stage, run_dir: Path, settings: LoopSettings, progress: Progress, name: str) -> None:
    """Run the stage to its last step, or until it has ended, from its newest checkpoint if it has one.

    `metrics.jsonl` gets one line a step, the same bits however often the run was stopped; wall-clock figures go to
    `timings.jsonl`.

    Raises:
        Interrupted: a signal came; the state was saved first.
        TrainingHalted: too many non-finite steps in a row, again after a roll-back to the last checkpoint.
        WorkspaceError: a checkpoint is damaged, or the disk is full.
    """
    log = MetricsLog(run_dir)
    done, attempt, skipped = 0, 0, 0
    if (found := load_checkpoint(run_dir / "checkpoints")) is not None:
        done, attempt, skipped = _restore(stage, found)
    log.truncate(done)
    progress.start(name, settings.steps, done)
    while done < settings.steps and not _ended(stage):
        started = time.perf_counter()
        metrics = stage.step(done, attempt)
        done += 1
        skipped = skipped + 1 if metrics.get("skipped") else 0
        seconds = time.perf_counter() - started
        bubble = getattr(stage, "waited", 0.0) / seconds
        log.append({"step": done, **metrics}, seconds)
        progress.advance(done, _headline(metrics, settings.headline) + (f", bubble {bubble:.0%}" if bubble else ""))
        if skipped >= settings.max_nonfinite_steps:
            done, attempt, skipped = _roll_back(stage, run_dir, attempt, skipped, name)
            log.truncate(done)
            continue
        due = done % settings.checkpoint_every == 0 or done == settings.steps or _ended(stage)
        if due or stop_requested():
            values = {"attempt": attempt, "skipped": skipped, "stage": stage.values()}
            save_checkpoint(run_dir / "checkpoints", done, stage.tensors(), values, scheduled=due)
        raise_if_stopped(f"{name}: step {done} of {settings.steps} is saved in {run_dir}")
    progress.finish()


def _ended(stage: Stage) -> bool:
    return bool(getattr(stage, "ended", False))


def _restore(stage: Stage, found: tuple[int, dict[str, Tensor], dict[str, Any]]) -> tuple[int, int, int]:
    step, tensors, values = found
    stage.restore(tensors, values["stage"])
    return step, values["attempt"], values["skipped"]


def _roll_back(stage: Stage, run_dir: Path, attempt: int, skipped: int, name: str) -> tuple[int, int, int]:
    """Back to the last checkpoint with other random numbers: the same ones would lead to the same place."""
    found = load_checkpoint(run_dir / "checkpoints", scheduled_only=True)
    if attempt > 0 or found is None:
        raise TrainingHalted(
            f"{name}: {skipped} steps in a row gave non-finite losses or gradients"
            + (", again after a roll-back" if attempt else " before the first checkpoint"),
            f"lower the learning rate; {run_dir / METRICS} shows what came before",
        )
    step, _, _ = _restore(stage, found)
    return step, attempt + 1, 0


def _headline(metrics: dict[str, float], name: str) -> str:
    return f"{name} {metrics[name]:.3f}" if name in metrics else ""


class MetricsLog:
    """One JSON line a step. Figures that repeat exactly and wall-clock ones go to different files."""

    def __init__(self, run_dir: Path) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        self._metrics = run_dir / METRICS
        self._timings = run_dir / TIMINGS

    def append(self, metrics: dict[str, float], seconds: float) -> None:
        """Add a step."""
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(metrics) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with self._timings.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": metrics["step"], "seconds": round(seconds, 4)}) + "\n")

    def truncate(self, steps: int) -> None:
        """Forget what came after a checkpoint, so that going on from it repeats no line."""
        for path in (self._metrics, self._timings):
            if path.exists():
                lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
                write_atomic(path, "".join(lines[:steps]))


def read_metrics(run_dir: Path) -> list[dict[str, float]]:
    """The steps logged so far; a last line that a full disk or a kill cut off is left out."""
    path = run_dir / METRICS
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def cosine_share(step: int, steps: int, warmup: int, final_share: float) -> float:
    """Share of the peak learning rate at a step (0-based): linear warm-up, then a cosine down to `final_share`."""
    if step < warmup:
        return (step + 1) / warmup
    place = (step - warmup) / max(1, steps - warmup)
    return final_share + (1.0 - final_share) * 0.5 * (1.0 + math.cos(math.pi * place))
