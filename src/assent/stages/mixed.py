"""What RL mixes in and measures beside its rollouts: pretraining texts, demonstrations, and signs of exploration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from assent.data.chat import ChatFormat
from assent.evaluation import distinct_n, pass_at_k
from assent.models.loading import context_length
from assent.stages.language import demonstrations_of, sft_examples, text_rows
from assent.stages.project import Project
from assent.training.language_model import Example
from assent.training.mixing import Mixture
from assent.types.errors import DataError
from assent.types.rollout import Rollout


def mixtures_of(project: Project, chat: ChatFormat, model: Any) -> list[Mixture]:
    """The texts and demonstrations whose next-token loss is a part of every update.

    Raises:
        DataError: a file of them is wrong, or too small.
    """
    algorithm = project.settings.algorithm
    found = []
    if algorithm.ptx_coef:
        rows, _ = text_rows(project, chat.tokenizer, context_length(model))
        found.append(Mixture("ptx", rows, algorithm.ptx_coef, algorithm.mixed_tokens))
    if algorithm.sft_coef:
        pairs = demonstrations_of(project)
        if not pairs:
            raise DataError("algorithm.sft_coef needs demonstrations, and there are none", "give sft.demonstrations")
        examples = sft_examples(project, pairs, chat, context_length(model))
        found.append(Mixture("sft", examples, algorithm.sft_coef, algorithm.mixed_tokens))
    return found


def held_out_texts(project: Project, chat: ChatFormat, model: Any) -> list[Example]:
    """Rows of pretraining text that neither pretraining nor RL learns, if they are to be measured; else none."""
    if not (project.settings.rl.evaluate_texts or project.settings.algorithm.ptx_coef):
        return []
    return text_rows(project, chat.tokenizer, context_length(model))[1]


def watch_of(project: Project) -> Callable[[Sequence[Rollout], Sequence[float]], dict[str, float]]:
    """Signs of exploration in a step's rollouts, for its log."""
    rl = project.settings.rl
    return lambda rollouts, scores: exploration(rollouts, scores, rl.samples_per_prompt, rl.pass_score)


def exploration(
    rollouts: Sequence[Rollout], scores: Sequence[float], samples_per_prompt: int, pass_score: float | None
) -> dict[str, float]:
    """Distinct n-grams of all texts, and where a score counts as a pass: how many pass, and of how many prompts any."""
    texts = [rollout.text for rollout in rollouts]
    figures = {"distinct_1": distinct_n(texts, 1), "distinct_2": distinct_n(texts, 2)}
    if pass_score is not None:
        figures |= passes(scores, samples_per_prompt, pass_score)
    return figures


def passes(scores: Sequence[float], samples_per_prompt: int, threshold: float) -> dict[str, float]:
    """The share of completions at or above the threshold, and the share of prompts with at least one such."""
    passed = [score >= threshold for score in scores]
    groups = [passed[first : first + samples_per_prompt] for first in range(0, len(passed), samples_per_prompt)]
    return {"pass_rate": pass_at_k(groups, 1), "coverage": pass_at_k(groups, samples_per_prompt)}
