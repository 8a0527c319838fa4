"""The generator that a project's settings ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from assent.data.chat import ChatFormat
from assent.models.loading import stop_ids
from assent.rollouts.local import LocalGenerator
from assent.stages.project import Project
from assent.training.precision import sample_in_bf16
from assent.types.protocols import Generator


def generator_of(
    project: Project,
    model: Any,
    chat: ChatFormat,
    version: Callable[[], str],
    on_row: Callable[[int, int], None] | None = None,
) -> Generator:
    """One that writes with these weights, which may be trained on meanwhile.

    Raises:
        SettingsError: `sampling.generator` is vLLM, and that is not installed.
    """
    sampling = project.settings.sampling
    bf16 = sample_in_bf16(project.settings.compute, project.device, model.config.hidden_size)
    stops = stop_ids(model, chat.tokenizer)
    if sampling.generator == "local":
        return LocalGenerator(model, stops, version, sampling.batch_size, on_row, bf16)
    from assent.rollouts.vllm import VLLMGenerator

    dtype: Literal["float32", "bfloat16"] = "bfloat16" if bf16 else "float32"
    return VLLMGenerator(model, stops, version, sampling.batch_size, on_row, dtype, sampling.vllm_memory)
