"""The generator that a project's settings ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from assent.data.chat import ChatFormat
from assent.models.loading import stop_ids
from assent.rollouts.local import LocalGenerator
from assent.stages.project import Project
from assent.training.precision import sample_in_bf16


def local_generator(
    project: Project,
    model: Any,
    chat: ChatFormat,
    version: Callable[[], str],
    on_row: Callable[[int, int], None] | None = None,
) -> LocalGenerator:
    """One on these weights, which may be trained on meanwhile."""
    return LocalGenerator(
        model,
        stop_ids(model, chat.tokenizer),
        version,
        project.settings.sampling.batch_size,
        on_row,
        sample_in_bf16(project.settings.compute, project.device, model.config.hidden_size),
    )
