"""Projects on a tiny checkpoint, taken through the real loop."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from assent.config import dump_settings, load_settings
from assent.stages.project import Project
from assent.store import Workspace
from tests.checkpoints import build_checkpoint

SMALL = {
    "sampling.max-new-tokens": 8,
    "rl.rollouts-per-step": 16,
    "rl.evaluate-every": 2,
    "rl.evaluate-prompts": 4,
    "rl.steps": 4,
    "evaluation.bootstrap": 200,
    "evaluation.prompts": 12,
    "people.rankings-per-round": 40,
    "people.count": 6,
    "people.evaluators": 5,
    "reward-model.reference-samples": 16,
}
OWN_REWARD = {
    "people.kind": "none",
    "reward.function": "tests.unit.stages.scoring:share_of_vowels",
    "algorithm.learning-rate": 0.01,
    "algorithm.kl-coef": 0.01,
    "loop.kl-budget": 1000,
    "rl.steps": 10,
}
SIMULATED = {"people.kind": "simulated", "people.marks": "tests.unit.stages.scoring:marks"}

MakeProject = Callable[..., Project]


@pytest.fixture(scope="session")
def make_project(tmp_path_factory: pytest.TempPathFactory) -> MakeProject:
    """A fresh workspace with these settings, on a checkpoint of this shape."""

    def make(settings: dict[str, object], shape: str = "llama", pad: str | None = "<|pad|>") -> Project:
        folder = tmp_path_factory.mktemp("project")
        model = build_checkpoint(folder / "model", shape, pad=pad)  # type: ignore[arg-type]
        prompts = folder / "prompts.jsonl"
        lines = (json.dumps({"prompt": f"What of {'many ' * (i % 3)}things, number {i}?"}) for i in range(40))
        prompts.write_text("\n".join(lines) + "\n", encoding="utf-8")
        given = {"model.path": model, "prompts.path": prompts, **SMALL, **settings}
        loaded = load_settings([], [text for name, value in given.items() for text in (f"--{name}", str(value))])
        workspace = Workspace.create(folder / "w", dump_settings(loaded))
        return Project(workspace, workspace.open_store(), loaded, force=True)

    return make
