"""Offline preference learning: a policy straight from people's comparisons, without a reward model or RL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from assent.feedback import bootstrap_mean
from assent.models.loading import context_length
from assent.models.policy import Policy
from assent.stages.comparisons import (
    Lesson,
    compared_by_people,
    compared_in_file,
    freeze_file,
    held_out_pairs,
    lesson_of,
    written_comparisons,
)
from assent.stages.project import Project
from assent.stages.reward_labels import freeze_dataset
from assent.store.runs import finish_run
from assent.training.loop import LoopSettings, run_steps
from assent.training.preference import PreferenceTraining, passes_of, plan_of, preference_training
from assent.training.reference import Example, ReferenceMeasuring


def learn_preferences(project: Project, round: int, policy: str, reference: str, run_id: str | None = None) -> str:
    """Train `policy` on the rankings of the rounds so far, or on the user's comparisons. Returns the new policy's id.

    Args:
        policy: where it starts.
        reference: what its loss, where that needs one, and the KL are measured against.
    """
    run_id = run_id or f"round{round}-preference"
    settings = project.settings.preference
    written = written_comparisons(project) if settings.comparisons is not None else None
    dataset = freeze_dataset(project, round) if written is None else freeze_file(project, round, run_id, written)
    inputs = {"policy": policy, "reference": reference, "dataset": dataset}
    run = project.begin(run_id, "preference", round, ("model", "sampling", "preference", "prompts"), inputs)
    if run.done:
        return str(run.result["policy"])
    lora, dtype = project.settings.model.lora, project.settings.model.dtype
    model = Policy(
        project.folder(policy), project.folder(reference), lora, dtype, project.device, project.seed(run_id, "adapter")
    )
    chat, context = project.chat(policy), context_length(model.model)
    if written is None:
        compared = compared_by_people(project, chat, context, round, "train")
        held_out = held_out_pairs(compared_by_people(project, chat, context, round, "holdout"))
    else:
        compared, held_out = compared_in_file(project, chat, context, written), []
    lesson = lesson_of(compared, settings, project.seed(run_id, "mismatched"))
    project.progress.say(f"{settings.type}: {lesson.words()}")
    training = _training(project, run_id, model, lesson, held_out)
    loop = LoopSettings(training.steps, settings.checkpoint_every, headline="accuracy")
    project.require_memory(run_id, training.memory)
    run_steps(training, project.run_dir(run_id), loop, project.progress, f"preference ({settings.type})")

    def write(folder: Path) -> None:
        model.save(folder, base_name=reference)
        chat.tokenizer.save_pretrained(folder)

    accuracy = _held_out_accuracy(project, run_id, training, len(lesson.examples))
    card = {"steps": training.steps, "algorithm": settings.type, **lesson.card(), "held_out_accuracy": accuracy}
    name = project.keep("policy", run_id, write, card, [policy, reference, dataset])
    finish_run(project.store, run_id, {"policy": name, **card})
    project.tidy(run_id)
    return name


def _training(
    project: Project, run_id: str, policy: Policy, lesson: Lesson, held_out: Sequence[Example]
) -> PreferenceTraining:
    """The training, with the reference measured and, so that its memory is free, dropped."""
    settings, compute = project.settings.preference, project.settings.compute
    examples = [*lesson.examples, *held_out]
    learnt = len(lesson.examples)
    plan = plan_of(learnt, settings, project.seed(run_id, "order"))
    reference = None
    if settings.needs_reference:
        reference = _reference(project, run_id, policy, examples, learnt, plan)
    policy.drop_reference()
    return preference_training(policy.model, examples, reference, plan, settings, project.sampling.temperature, compute)


def _reference(
    project: Project,
    run_id: str,
    policy: Policy,
    examples: Sequence[Example],
    learnt: int,
    plan: Sequence[Sequence[int]],
) -> Float[Tensor, "N 2"]:
    """Log-probabilities under the reference, from where measuring stopped; they are kept until the run is done."""
    settings = project.settings.preference
    size = settings.batch_size
    steps = [*plan, *(range(first, min(first + size, len(examples))) for first in range(learnt, len(examples), size))]
    temperature, compute = project.sampling.temperature, project.settings.compute
    measuring = ReferenceMeasuring(policy, examples, steps, passes_of(settings), temperature, compute)
    loop = LoopSettings(measuring.steps, settings.checkpoint_every, headline="examples")
    folder = project.run_dir(run_id) / "checkpoints" / "reference"
    run_steps(measuring, folder, loop, project.progress, "reference")
    return measuring.logprobs


def _held_out_accuracy(
    project: Project, run_id: str, training: PreferenceTraining, learnt: int
) -> dict[str, Any] | None:
    """Share of held-out pairs whose winner the policy's implicit reward is higher for; people may well disagree."""
    rows = range(learnt, len(training.examples))
    if not rows:
        return None
    right = [float(margin > 0) for margin in training.margins(rows)]
    asked = [tuple(training.examples[row].prompt) for row in rows]
    number = {prompt: place for place, prompt in enumerate(dict.fromkeys(asked))}
    prompts = [number[prompt] for prompt in asked]
    resamples = project.settings.evaluation.bootstrap
    return bootstrap_mean(right, prompts, project.seed(run_id, "intervals"), resamples).as_dict()
