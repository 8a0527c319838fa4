"""The reward model: training of one or of several members, and the scorer that RL is given."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assent.models.scalar import MEMBER, load_scalar_model, member_folders
from assent.rewards.ensemble import EnsembleScorer
from assent.rewards.scorer import RewardModelScorer
from assent.stages.project import Project
from assent.stages.reward_labels import Labels, freeze_dataset, freeze_samples, frozen_samples, read_rankings
from assent.stages.reward_member import Course, Outcome, train_member
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
    name = project.keep("reward", run_id, write, card, parents=[previous or reference, dataset])
    finish_run(project.store, run_id, {"reward": name, **card})
    project.tidy(run_id)
    return name


def given_reward(project: Project, text: str) -> str:
    """The id of the reward model that `reward.model` names, by its id or the beginning of it.

    Raises:
        DataError: there is no such artifact, or it is none.
    """
    found = find(project.store, text)
    if found.kind != "artifact" or (kind := project.artifact(found.id).kind) != "reward":
        what = found.kind if found.kind != "artifact" else kind
        raise DataError(f"reward.model = {text} is a {what}, not a reward model", "see them with `assent lineage`")
    return found.id


def load_scorer(project: Project, reward: str) -> RewardModelScorer | EnsembleScorer:
    """A saved reward model, ready to score, with the weights and the pessimism of the settings.

    Raises:
        SettingsError: pessimism without an ensemble, or a weight of a criterion that it has no head for.
    """
    settings = project.settings.reward
    members = [
        RewardModelScorer(
            _frozen(project, folder),
            project.chat(reward),
            project.settings.compute.tokens_per_microbatch,
            settings.weights,
        )
        for folder in member_folders(project.folder(reward))
    ]
    if len(members) == 1 and settings.pessimism != "none":
        raise SettingsError(
            f"reward.pessimism = {settings.pessimism} needs members that can disagree, and {reward} is a single model",
            "train an ensemble (reward_model.ensemble = 4), or set reward.pessimism to none",
        )
    return members[0] if len(members) == 1 else EnsembleScorer(members, settings.pessimism, settings.pessimism_coef)


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


def _previous(project: Project, round: int) -> str | None:
    """The reward model of the round before, if this one is to go on from it: one with the same heads and members."""
    settings = project.settings.reward_model
    before = get_run(project.store, f"round{round - 1}-reward")
    if not settings.warm_start or before is None or not before.done or settings.dataset is not None:
        return None
    made = before.result
    alike = (made.get("criteria"), made.get("members")) == (list(settings.criteria), settings.ensemble)
    return str(made["reward"]) if alike and "rankings" in made else None
