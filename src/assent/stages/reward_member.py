"""One reward model, or one member of an ensemble: its passes over the labels, its normalisation, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

from assent.data.chat import ChatFormat
from assent.models.loading import load_causal_lm
from assent.models.policy import add_adapter, save_merged
from assent.models.scalar import load_scalar_model, member_folders
from assent.rewards.scorer import RewardModelScorer
from assent.stages.project import Project
from assent.stages.reward_labels import Labels, examples_of
from assent.stages.sample import Writer, is_held_out
from assent.store import atomic_dir
from assent.training.loop import LoopSettings, run_steps
from assent.training.order import endless
from assent.training.reward_examples import Example, Tokens, examples_of_confidence
from assent.training.reward_model import RewardModelTraining, normalisation
from assent.types.messages import Prompt
from assent.types.rollout import Rollout

PAD = "<|pad|>"


@dataclass
class Course:
    """What all members of a run have in common.

    Args:
        reference: the policy that reward scores are normalised on, that heads are fresh on, and that writes what is
            not labelled.
        previous: the reward model of the round before, to go on from; None: begin from the reference.
        labels: what is learnt.
    """

    project: Project
    run_id: str
    round: int
    reference: str
    previous: str | None
    labels: Labels

    @cached_property
    def reference_samples(self) -> tuple[list[Prompt], list[Rollout]]:
        """Fresh samples of the reference policy on training prompts, on which scores are normalised."""
        count = self.project.settings.reward_model.reference_samples
        train = self.project.prompts["train"]
        prompts = [train[i % len(train)] for i in range(count)]
        seed = self.project.seed(self.run_id, "samples")
        return prompts, Writer(self.project, self.reference, "reference samples").write(prompts, 1, seed)

    @cached_property
    def unlabelled(self) -> list[tuple[Prompt, list[str]]]:
        """Completions that nobody judged: groups by the reference policy on training prompts that are not held out."""
        settings = self.project.settings
        train = [prompt for prompt in self.project.prompts["train"] if not is_held_out(self.project, prompt)]
        order = endless(len(train), self.project.seed(self.run_id, "unlabelled"), "prompts")
        prompts = [train[i] for i in islice(order, settings.reward_model.pseudo_labels)]
        count = settings.people.completions_per_ranking
        writer = Writer(self.project, self.reference, "unlabelled completions")
        rollouts = writer.write(prompts, count, self.project.seed(self.run_id, "unlabelled tokens"))
        texts = [rollout.text for rollout in rollouts]
        return [(prompt, texts[i * count : (i + 1) * count]) for i, prompt in enumerate(prompts)]


@dataclass(frozen=True)
class Outcome:
    """What a member's training came to."""

    examples: int  # judgements or samples that were learnt
    pseudo_labelled: int  # groups that the model labelled itself
    means: list[float]  # of the reference samples' raw outputs, per head
    stds: list[float]


def train_member(course: Course, member: int, folder: Path) -> Outcome:
    """Train member number `member` (from 0) and save it into `folder`, ready for plain transformers."""
    project, settings = course.project, course.project.settings.reward_model
    place = project.run_dir(course.run_id) / (f"members/{member + 1:02d}" if member else ".")
    name = "reward model" + (f" {member + 1} of {settings.ensemble}" if settings.ensemble > 1 else "")
    model, chat = _classifier(course, member)
    scorer = RewardModelScorer(model, chat, project.settings.compute.tokens_per_microbatch)
    examples, target_means, target_stds = examples_of(project, course.labels, scorer, course.round)
    training = _train(course, member, model, examples, place, name)
    sure: list[Example] = []
    if settings.pseudo_labels:
        model.eval()
        sure = _label(course, scorer)
        # A second model learns both kinds of label in one pass, as if people had given all of them.
        model, chat = _classifier(course, member)
        scorer = RewardModelScorer(model, chat, project.settings.compute.tokens_per_microbatch)
        training = _train(course, member, model, [*examples, *sure], place / "second", f"{name}, second pass")
    model.eval()
    means, stds = _normalise(course, scorer)
    plain: Any = model.get_base_model() if project.settings.model.lora.rank > 0 else model
    plain.config.assent_score_mean = means if len(means) > 1 else means[0]
    plain.config.assent_score_std = stds if len(stds) > 1 else stds[0]
    if target_means:
        plain.config.assent_target_mean, plain.config.assent_target_std = target_means, target_stds
    plain.config.assent_length_slope = training.objective.slope_per_token
    _save(model, chat, folder, merged=project.settings.model.lora.rank > 0)
    return Outcome(len(examples), len(sure), means, stds)


def _train(
    course: Course, member: int, model: Any, examples: Sequence[Example], place: Path, name: str
) -> RewardModelTraining:
    project, settings = course.project, course.project.settings.reward_model
    training = RewardModelTraining(
        model,
        examples,
        settings,
        project.seed(course.run_id, "order", *_number(member)),
        project.settings.compute,
        _language_head(course) if settings.lm_coef > 0 else None,
    )
    headline = "rmse" if settings.loss == "regression" else "accuracy"
    loop = LoopSettings(training.steps, settings.checkpoint_every, headline=headline)
    project.require_memory(course.run_id, training.memory, name)
    run_steps(training, place, loop, project.progress, name)
    return training


def _label(course: Course, scorer: RewardModelScorer) -> list[Example]:
    """The unlabelled groups, with the model's own preferences where it is sure of them."""
    asked = [prompt for prompt, texts in course.unlabelled for _ in texts]
    scores = iter(scorer.raw_scores(asked, [text for _, texts in course.unlabelled for text in texts]))
    groups: list[list[Tokens]] = []
    logits: list[list[float]] = []
    for prompt, texts in course.unlabelled:
        groups.append([scorer.encode(prompt, text) for text in texts])
        logits.append([next(scores) for _ in texts])
    return examples_of_confidence(groups, logits, course.project.settings.reward_model.pseudo_confidence)


def _normalise(course: Course, scorer: RewardModelScorer) -> tuple[list[float], list[float]]:
    """Mean and deviation of each head's raw outputs on the reference's samples."""
    prompts, rollouts = course.reference_samples
    raw = scorer.raw_outputs(prompts, [rollout.text for rollout in rollouts])
    found = [normalisation(column) for column in zip(*raw, strict=True)]
    return [mean for mean, _ in found], [std for _, std in found]


def _classifier(course: Course, member: int) -> tuple[Any, ChatFormat]:
    """The initial model with its heads, and a tokenizer whose pad token is no other token."""
    project, settings = course.project, course.project.settings
    initial = course.previous or course.reference
    folders = member_folders(project.folder(initial))
    fresh = course.previous is None
    seed = project.seed(course.run_id, "head", *_number(member))
    model: Any = load_scalar_model(
        folders[0 if fresh else member],
        settings.model.dtype,
        fresh_head_seed=seed if fresh else None,
        heads=max(1, len(settings.reward_model.criteria)),
    )
    chat = project.chat(initial)
    tokenizer = chat.tokenizer
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        # Plain transformers finds the last token by the pad id, which must therefore never stand in a text.
        tokenizer.add_special_tokens({"pad_token": PAD})
        if len(tokenizer) > (rows := model.get_input_embeddings().weight.shape[0]):
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
            with torch.no_grad():  # what was drawn for it came from no seed of ours
                model.get_input_embeddings().weight[rows:] = 0.0
    model.config.pad_token_id = tokenizer.pad_token_id
    _describe(course, model.config)
    if settings.model.lora.rank > 0:
        model = add_adapter(model, settings.model.lora, "SEQ_CLS", seed)
    model.to(project.device).train()
    return model, chat


def _describe(course: Course, config: Any) -> None:
    """Say in the config what the outputs are, in transformers' words and in our own."""
    settings = course.project.settings.reward_model
    if settings.criteria:
        config.assent_criteria = list(settings.criteria)
        config.id2label = dict(enumerate(settings.criteria))
        config.label2id = {name: index for index, name in enumerate(settings.criteria)}
    if settings.loss == "binary":
        # Of a single label with this problem type, plain transformers gives the sigmoid: P(label is 1).
        config.problem_type = "multi_label_classification"
        config.id2label, config.label2id = {0: "1"}, {"1": 0}
        config.assent_sign = 1.0 if settings.ones_are == "good" else -1.0
        config.assent_text_only = course.labels.text_only
    if settings.loss == "regression":
        config.problem_type = "regression"


def _language_head(course: Course) -> nn.Module:
    """The reference policy's, frozen."""
    settings = course.project.settings.model
    head: nn.Module = load_causal_lm(course.project.folder(course.reference), settings.dtype).get_output_embeddings()
    return head.to(course.project.device).requires_grad_(False)


def _save(model: Any, chat: ChatFormat, folder: Path, merged: bool) -> None:
    with atomic_dir(folder) as aside:
        if merged:
            save_merged(model, aside)
        else:
            model.save_pretrained(aside)
        chat.tokenizer.save_pretrained(aside)


def _number(member: int) -> tuple[int, ...]:
    """The address of a member's random numbers; the first has those of a model that is no ensemble."""
    return (member,) if member else ()
