"""What is looked at before a workspace is made: everything that would otherwise stop the loop later."""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from assent.store import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assent.config import Settings
    from assent.stages.project import Project


def check_inputs(settings: Settings) -> dict[str, int]:
    """Read every file and load every model and function that the settings name; returns the prompts by split.

    Raises:
        AssentError: the first thing that is wrong.
    """
    with _scratch_project(settings) as project:
        found = {split: len(prompts) for split, prompts in project.prompts.items()}
        _ = project.marks, project.reward_function, project.cost_function, project.environment
        _check_texts(project)
        if settings.model.path is not None:
            _check_model(project)
        return found


@contextmanager
def _scratch_project(settings: Settings) -> Iterator[Project]:
    """A project whose workspace is thrown away."""
    from assent.cli.init import write_task_files
    from assent.stages.project import Project

    with tempfile.TemporaryDirectory(prefix="assent-init-") as folder:
        workspace = Workspace.create(Path(folder) / "workspace")
        write_task_files(workspace, settings)
        with workspace.open_store() as store:
            yield Project(workspace, store, settings)


def _check_texts(project: Project) -> None:
    from assent.data.files import read_texts
    from assent.data.samples import read_samples
    from assent.stages.comparisons import written_comparisons
    from assent.stages.language import demonstrations_of

    if project.settings.sft.demonstrations is not None:
        demonstrations_of(project)
    learnt = project.settings.model.path is None or project.settings.algorithm.ptx_coef > 0
    if project.settings.preference.comparisons is not None:
        written_comparisons(project)
    if (samples := (reward := project.settings.reward_model).samples) is not None:
        read_samples(project.resolve(samples), reward.loss == "binary", reward.criteria, reward.samples_holdout_share)
    if (path := project.settings.pretrain.texts) is not None and learnt:
        read_texts(project.resolve(path))


def _check_model(project: Project) -> None:
    """The checkpoint loads, its tokenizer fits it and has an end token, and every prompt fits its context."""
    from assent.data.chat import ChatFormat
    from assent.models.loading import context_length, load_causal_lm, load_tokenizer
    from assent.stages.language import local_checkpoint

    folder = local_checkpoint(project)
    tokenizer = load_tokenizer(folder)
    model = load_causal_lm(folder, project.settings.model.dtype, tokenizer=tokenizer)
    chat = ChatFormat(tokenizer, project.settings.prompts.template)
    for prompts in project.prompts.values():
        project.encode(chat, prompts, context_length(model))


def modules_elsewhere(settings: Settings, workspace: Path) -> bool:
    """True if a function that the settings name came from a folder that a command run in the workspace cannot see."""
    named = settings.reward.function, settings.reward.cost_function, settings.people.marks, settings.rl.environment
    names = [spec.partition(":")[0] for spec in named if spec]
    found = [sys.modules[name].__file__ for name in names if name in sys.modules]
    here = Path.cwd()
    return here != workspace and any(file and Path(file).is_relative_to(here) for file in found)
