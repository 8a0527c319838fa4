"""The reward model: training of one or of several members, and the scorer that RL is given."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assent.models.scalar import MEMBER, load_scalar_model, member_folders
from assent.rewards.cost import ClassifierCost, CriterionCost
from assent.rewards.ensemble import EnsembleScorer
from assent.rewards.scorer import RewardModelScorer, Scorer
from assent.stages.arm_saving import savings_of_arms
from assent.stages.project import Project
from assent.stages.reward_labels import Labels, freeze_dataset, freeze_samples, frozen_samples, read_rankings
from assent.stages.reward_member import Course, Outcome, train_member
from assent.stages.sample import sample_run
from assent.store import find, write_atomic
from assent.store.runs import finish_run, get_run
from assent.types.errors import DataError, SettingsError


def train_reward(project: Project, round: int, reference: str, run_id: str | None = None) -> str:
    """Train a reward model on people's rankings, or on a file of samples. Returns the artifact's id.

    The first starts from the reference policy with a fresh head. A later one goes on from the round before with the
    new rankings (`reward_model.warm_start`): every ranking is learnt once. Otherwise it learns all of them anew.
    """
    run_id = run_id or f"round{round}-reward"
    settings = project.settings.reward_model
    dataset = freeze_samples(project, round, run_id) if settings.of_samples else freeze_dataset(project, round)
    previous = None if settings.of_samples else _previous(project, round)
    sections = ("model", "sampling", "reward_model")
    run = project.begin(run_id, "reward", round, sections, {"dataset": dataset, "initial": previous or reference})
    if run.done:
        return str(run.result["reward"])
    if settings.of_samples:
        labels = Labels(samples=frozen_samples(project, dataset, "train"))
    else:
        labels = Labels(rankings=read_rankings(project, round, "train", first=round if previous else 1))
    course = Course(project, run_id, round, reference, previous, labels)
    outcomes = [_trained(course, member) for member in range(settings.ensemble)]
    places = [_place(course, member) for member in range(settings.ensemble)]

    def write(folder: Path) -> None:
        if len(places) == 1:
            shutil.copytree(places[0], folder, dirs_exist_ok=True)
            return
        for member, place in enumerate(places, start=1):
            shutil.copytree(place, folder / f"{MEMBER}{member:02d}")

    card = _card(course, outcomes)
    asked = None if settings.of_samples or settings.dataset is not None else _asked_by_arms(project, round)
    if asked is not None and (found := savings_of_arms(project, round, lambda: _members(project, asked, {})[0])):
        card["arms"] = found
    name = project.keep("reward", run_id, write, card, parents=[previous or reference, dataset])
    finish_run(project.store, run_id, {"reward": name, **card})
    project.tidy(run_id)
    return name


def given_reward(project: Project, text: str) -> str:
    """The id of the reward model that `reward.model` names, by its id or the beginning of it.

    Raises:
        DataError: there is no such artifact, or it is none.
    """
    return _reward_named(project, "reward.model", text)


def _reward_named(project: Project, setting: str, text: str) -> str:
    found = find(project.store, text)
    if found.kind != "artifact" or (kind := project.artifact(found.id).kind) != "reward":
        what = found.kind if found.kind != "artifact" else kind
        raise DataError(f"{setting} = {text} is a {what}, not a reward model", "see them with `assent lineage`")
    return found.id


def load_scorer(project: Project, reward: str) -> RewardModelScorer | EnsembleScorer:
    """A saved reward model, ready to score, with the weights and the pessimism of the settings.

    Raises:
        SettingsError: pessimism without an ensemble, or a weight of a criterion that it has no head for.
    """
    settings = project.settings.reward
    members = _members(project, reward, settings.weights)
    if len(members) == 1 and settings.pessimism != "none":
        raise SettingsError(
            f"reward.pessimism = {settings.pessimism} needs members that can disagree, and {reward} is a single model",
            "train an ensemble (reward_model.ensemble = 4), or set reward.pessimism to none",
        )
    return members[0] if len(members) == 1 else EnsembleScorer(members, settings.pessimism, settings.pessimism_coef)


def load_cost(project: Project, reward: str | None) -> Scorer | None:
    """What tells the cost of a completion beside its reward, as the settings have it; None if nothing does.

    Args:
        reward: the reward model of the run, of which `reward.cost_criterion` may be a head.

    Raises:
        DataError: reward.cost_model is no reward model of this workspace.
        SettingsError: no such head.
    """
    settings = project.settings.reward
    if settings.costs is None or settings.cost_function is not None:
        return project.cost_function
    name = cost_artifact(project) or reward
    if name is None:
        raise SettingsError("reward.cost_criterion is a head of the reward model, and there is none")
    members = _members(project, name, {})
    scorer = members[0] if len(members) == 1 else EnsembleScorer(members)
    if project.artifact(name).card.get("loss") != "binary":
        return CriterionCost(scorer, settings.cost_criterion)
    if settings.cost_criterion is not None:
        raise SettingsError(
            f"reward.cost_criterion is {settings.cost_criterion!r}, and {name} is a classifier, which has no criteria",
            "leave it out: the cost is the chance of the bad label",
        )
    return ClassifierCost(scorer)


def cost_artifact(project: Project) -> str | None:
    """The id of the artifact that `reward.cost_model` names; None if it is not set. Errors as `given_reward`."""
    text = project.settings.reward.cost_model
    return None if text is None else _reward_named(project, "reward.cost_model", text)


def _members(project: Project, reward: str, weights: Mapping[str, float]) -> list[RewardModelScorer]:
    chat, tokens = project.chat(reward), project.settings.compute.tokens_per_microbatch
    folders = member_folders(project.folder(reward))
    return [RewardModelScorer(_frozen(project, folder), chat, tokens, weights) for folder in folders]


def _frozen(project: Project, folder: Path) -> Any:
    model = load_scalar_model(folder, project.settings.model.dtype)
    return model.to(project.device).eval().requires_grad_(False)


def _place(course: Course, member: int) -> Path:
    """Where a member's files wait until all members are trained."""
    return course.project.run_dir(course.run_id) / ".trained" / f"{member + 1:02d}"


def _trained(course: Course, member: int) -> Outcome:
    """What came of a member: trained now, or before the run was stopped."""
    place = _place(course, member)
    record = place.with_suffix(".json")
    if place.is_dir() and record.exists():
        return Outcome(**json.loads(record.read_text(encoding="utf-8")))
    shutil.rmtree(place, ignore_errors=True)
    outcome = train_member(course, member, place)
    write_atomic(record, json.dumps(asdict(outcome)))
    return outcome


def _card(course: Course, outcomes: list[Outcome]) -> dict[str, Any]:
    settings, labels = course.project.settings.reward_model, course.labels
    kind = "samples" if labels.samples else "rankings"
    card: dict[str, Any] = {
        kind: len(labels.samples or labels.rankings),
        "unused": len(labels.samples or labels.rankings) - outcomes[0].examples,
        "loss": settings.loss,
        "criteria": list(settings.criteria),
        "members": len(outcomes),
        "score_mean": [outcome.means for outcome in outcomes],
        "score_std": [outcome.stds for outcome in outcomes],
    }
    if settings.pseudo_labels:
        card["pseudo_labelled"] = [outcome.pseudo_labelled for outcome in outcomes]
    return card


def _asked_by_arms(project: Project, round: int) -> str | None:
    """The reward model that the arms of this round's sampling asked."""
    sampled = get_run(project.store, sample_run(round))
    return None if sampled is None else dict(sampled.inputs).get("reward")


def _previous(project: Project, round: int) -> str | None:
    """The reward model of the round before, if this one is to go on from it: one with the same heads and members."""
    settings = project.settings.reward_model
    before = get_run(project.store, f"round{round - 1}-reward")
    if not settings.warm_start or before is None or not before.done or settings.dataset is not None:
        return None
    made = before.result
    alike = (made.get("criteria"), made.get("members")) == (list(settings.criteria), settings.ensemble)
    return str(made["reward"]) if alike and "rankings" in made else None
