"""`assent reward` on every kind of label, from a file and from the store: trained, checked, used by RL, and resumed."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from assent.config import load_settings
from assent.rewards.ensemble import EnsembleScorer
from assent.stages.judge import LABELLERS, collect_judgements
from assent.stages.language import base_model
from assent.stages.project import Project
from assent.stages.reward import load_scorer, train_reward
from assent.stages.reward_health import check_health
from assent.stages.sample import sample
from assent.store import Workspace, get_artifact, get_run, list_runs
from assent.training import loop
from assent.training.loop import read_metrics
from assent.types.errors import DataError, SettingsError
from tests.checkpoints import Shape
from tests.command_line import assent, flags
from tests.integration.test_bad_input import refused

KIND, RUDE = ("kind", "calm", "warm", "clean"), ("mouldy", "rotten", "grim", "foul")
SMALL = {
    "sampling.max-new-tokens": 6,
    "rl.steps": 1,
    "rl.rollouts-per-step": 4,
    "rl.evaluate-prompts": 2,
    "people.rankings-per-round": 40,
    "people.count": 6,
    "people.criteria-marks": "true",
    "reward-model.reference-samples": 8,
    "reward-model.learning-rate": 0.002,
    "compute.threads": 1,
}
PEOPLE = {"people.kind": "simulated", "people.marks": "tests.integration.own_functions:vowel_marks"}


def write_lines(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def labelled(path: Path) -> Path:
    """Texts that are rude in one word or not at all."""
    rng = random.Random(0)
    lines = []
    for _ in range(240):
        words, label = [rng.choice(KIND) for _ in range(rng.randint(3, 7))], int(rng.random() < 0.4)
        if label:
            words[rng.randrange(len(words))] = rng.choice(RUDE)
        lines.append({"text": " ".join(words), "label": label})
    return write_lines(path, lines)


def rewarded(path: Path) -> Path:
    """Answers whose reward is their number of kind words."""
    rng = random.Random(0)
    lines = []
    for i in range(240):
        words = [rng.choice(KIND + RUDE) for _ in range(rng.randint(3, 7))]
        reward = 50 + 10 * sum(word in KIND for word in words)
        lines.append({"prompt": f"What of thing {i % 60}?", "completion": " ".join(words), "reward": reward})
    return write_lines(path, lines)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, checkpoint: Callable[[Shape], Path]) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    prompts = write_lines(folder / "prompts.jsonl", [{"prompt": f"What of thing {i}?"} for i in range(40)])
    words = ["--model", checkpoint("llama"), "--prompts", prompts, *flags({**SMALL, **PEOPLE})]
    done = assent("init", "w", *words, cwd=folder)
    assert done.code == 0, done.err
    return folder / "w"


def test_a_classifier_of_texts_is_plain_and_a_reward(workspace: Path, tmp_path: Path) -> None:
    from transformers import pipeline

    file = labelled(tmp_path / "labelled.jsonl")
    words = ["--reward-model.samples", file, "--reward-model.loss", "binary", "--reward-model.ones-are", "bad"]
    done = assent("reward", "--run", "rude", *words, "--reward-model.epochs", "4", "--json", cwd=workspace)
    assert done.code == 0, done.err
    found = done.json
    assert found["healthy"] and found["auc"] > 0.95 and found["accuracy"] > 0.8
    with Workspace.open(workspace).open_store() as store:
        card = get_artifact(store, found["reward"]).card
        health = get_run(store, "rude-health")
        rankings = get_run(store, "round1-sample")
    assert card["loss"] == "binary" and card["samples"] > 150 and "rankings" not in card
    assert health is not None and health.result["auc"]["value"] == found["auc"]
    assert health.result["calibration_error"] < 0.15 and len(health.result["calibration"]) >= 2
    assert rankings is None, "nobody was asked"

    texts = ["calm warm clean kind", "calm warm foul kind"]
    plain = pipeline("text-classification", model=str(workspace / "artifacts" / "reward" / found["reward"]))
    chances = [each["score"] for each in plain(texts)]
    assert chances[0] < 0.3 and chances[1] > 0.7
    settings = load_settings([workspace / "assent.toml"])
    with Workspace.open(workspace).open_store() as store:
        project = Project(Workspace.open(workspace), store, settings)
        scorer = load_scorer(project, found["reward"])
        asked = project.prompts["train"][:2]
        raw = [row[0] for row in scorer.members[0].raw_outputs(asked, texts)]
        assert torch.sigmoid(torch.tensor(raw)).tolist() == pytest.approx(chances, abs=1e-4)
        kind, rude = scorer.score(asked, texts)
    assert kind > rude, "a 1 is bad, so RL gets the negative"

    rl = assent("rl", "--run", "civil", "--round", 1, "--reward", found["reward"][:10], "--json", cwd=workspace)
    assert rl.code == 0, rl.err
    with Workspace.open(workspace).open_store() as store:
        run = get_run(store, "civil")
        assert run is not None and dict(run.inputs)["reward"] == found["reward"]
        policy = get_artifact(store, rl.json["policy"])
    assert found["reward"] in policy.parents
    refused(assent("rl", "--run", "other", "--round", 1, "--reward", policy.id, cwd=workspace), 3, "not a reward model")
    as_a_cost(workspace, found["reward"], policy.id)
    refused(assent("rl", "--run", "other", "--round", 1, "--reward", "nothing", cwd=workspace), 3, "no artifact")


def as_a_cost(workspace: Path, classifier: str, policy: str) -> None:
    """The same classifier bounds what a run may cost that is rewarded by somebody else."""
    words = ["rl", "--run", "bounded", "--round", 1, "--reward.function", f"{__name__}:length", "--reward.cost-model"]
    done = assent(*words, classifier[:10], "--algorithm.cost-limit", 0.05, "--json", cwd=workspace)
    assert done.code == 0, done.err
    rows = read_metrics(workspace / "runs" / "bounded")
    assert all(0.0 <= row["cost"] <= 1.0 and 0.0 <= row["heldout_cost"] <= 1.0 for row in rows if "heldout_cost" in row)
    assert all(row["cost_multiplier"] >= 1.0 and row["score"] > row["reward"] for row in rows), "the cost is taken off"
    with Workspace.open(workspace).open_store() as store:
        run = get_run(store, "bounded")
        assert run is not None and dict(run.inputs)["cost"] == classifier
        assert classifier in get_artifact(store, done.json["policy"]).parents
    words[2] = "other"
    refused(assent(*words, policy, cwd=workspace), 3, "reward.cost_model")
    criterion = ["--reward.cost-criterion", "harmless"]
    refused(assent(*words, classifier, *criterion, cwd=workspace), 2, "is a classifier, which has no criteria")
    refused(assent(*words[:-1], *criterion, cwd=workspace), 2, "reward.function takes that model's place")


def length(prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
    """A reward that knows nothing of costs."""
    return [float(len(text)) for text in completions]


def test_rewards_of_samples_are_fitted(workspace: Path, tmp_path: Path) -> None:
    file = rewarded(tmp_path / "rewards.jsonl")
    words = ["--reward-model.samples", file, "--reward-model.loss", "regression", "--reward-model.epochs", "4"]
    done = assent("reward", "--run", "stars", *words, "--json", cwd=workspace)
    assert done.code == 0, done.err
    assert done.json["explained"] > 0.5 and done.json["rmse"] < 10  # their deviation is about 13
    file.write_text(file.read_text() + '{"prompt": "new", "completion": "kind", "reward": 1}\n')
    refused(assent("reward", "--run", "stars", *words, cwd=workspace), 6, "has changed since stars was begun")
    file.write_text('{"prompt": "q", "completion": "kind", "reward": NaN}\n')
    refused(assent("reward", "--run", "more", *words, cwd=workspace), 3, "rewards.jsonl, line 1", "finite number")
    refused(assent("reward", "--run", "more", *words[:2], cwd=workspace), 2, "set reward_model.loss to regression")


VARIANTS: dict[str, dict[str, object]] = {
    "plackett-luce": {"reward-model.loss": "plackett-luce"},
    "davidson": {"reward-model.ties": "davidson", "reward-model.reliability": "agreement"},
    "length": {"reward-model.length-penalty": 2.0},
    "pseudo": {"reward-model.pseudo-labels": 6, "reward-model.pseudo-confidence": 0.55, "reward-model.lm-coef": 0.1},
    "marks": {"reward-model.loss": "regression", "reward-model.criteria": "['helpful', 'harmless']"},
}


@pytest.fixture(scope="module")
def judged(workspace: Path) -> Path:
    with Workspace.open(workspace).open_store() as store:
        project = Project(Workspace.open(workspace), store, load_settings([workspace / "assent.toml"]))
        collect_judgements(project, sample(project, 1, base_model(project)), LABELLERS)
    return workspace


def opened(folder: Path, given: dict[str, object]) -> Project:
    place = Workspace.open(folder)
    return Project(place, place.open_store(), load_settings([folder / "assent.toml"], flags(given)), force=True)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_loss_on_rankings_is_trained_and_measured(name: str, judged: Path) -> None:
    project = opened(judged, VARIANTS[name])
    reward = train_reward(project, 1, base_model(project), name)
    health = check_health(project, reward)
    assert 0.0 <= health["accuracy"]["value"] <= 1.0 and health["pairs"] > 10
    assert health["score_differences"].keys() == {"batch size", "padding side", "packing"}
    card = project.artifact(reward).card
    assert card["rankings"] > 10 and card["unused"] == 0
    if name == "length":
        assert health["length_correlation_before"] is not None  # of ranks: on so few pairs it may be the same
    if name == "pseudo":
        assert card["pseudo_labelled"][0] >= 1
        assert (project.run_dir(name) / "second" / "metrics.jsonl").exists()
    if name == "marks":
        assert health["criteria"].keys() == {"helpful", "harmless"}
        assert (health["calibration"], health["calibration_error"]) == ([], None)


class Killed(BaseException):
    """What kill -9 looks like from inside."""


def test_an_ensemble_is_resumed_plain_and_pessimistic(
    judged: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForSequenceClassification

    given: dict[str, object] = {
        "reward-model.ensemble": 2,
        "reward-model.criteria": "['helpful', 'harmless']",
        "reward-model.checkpoint-every": 1,
        "reward.pessimism": "worst-case",
    }
    project = opened(judged, given)
    base = base_model(project)
    saved = loop.save_checkpoint
    count = 0

    def dies(*arguments: Any, **more: Any) -> None:
        nonlocal count
        saved(*arguments, **more)
        count += 1
        if count in (1, 4):  # in the first member, and in the second
            raise Killed

    monkeypatch.setattr(loop, "save_checkpoint", dies)
    for _ in range(2):
        with pytest.raises(Killed):
            train_reward(project, 1, base, "cut")
    reward = train_reward(project, 1, base, "cut")
    monkeypatch.undo()
    whole = opened(judged, given)
    assert sorted(path.name for path in whole.folder(reward).iterdir()) == ["member-01", "member-02"]
    raw = []
    for folder in sorted(whole.folder(reward).iterdir()):
        plain = AutoModelForSequenceClassification.from_pretrained(folder)
        assert plain.config.id2label == {0: "helpful", 1: "harmless"}
        raw.append(plain.score.weight)
    assert not torch.equal(*raw)
    health = check_health(whole, reward)
    assert health["criteria"]["harmless"]["pairs"] > 10
    scorer = load_scorer(whole, reward)
    assert isinstance(scorer, EnsembleScorer) and scorer.pessimism == "worst-case"
    asked, texts = whole.prompts["test"][:3], ["a", "kind and calm", "no"]
    scores = [member.score(asked, texts) for member in scorer.members]
    assert scorer.score(asked, texts) == pytest.approx([min(pair) for pair in zip(*scores, strict=True)])
    assert scorer.criteria_scores(asked, texts).keys() == {"helpful", "harmless"}
    assert not list(whole.run_dir("cut").rglob("checkpoints")) and not (whole.run_dir("cut") / ".trained").exists()
    # measured anew where RL would read it otherwise
    other = opened(judged, {**given, "reward.weights.helpful": 1.0, "reward.pessimism": "none"})
    assert check_health(other, reward)["pairs"] == health["pairs"]
    assert len([run for run in list_runs(other.store, "health") if run.id.startswith("cut-health")]) == 2
    assert train_reward(whole, 1, base, "cut") == reward


def test_a_second_pass_that_was_killed_ends_in_the_same_bits(
    judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, object] = {
        "reward-model.pseudo-labels": 5,
        "reward-model.pseudo-confidence": 0.52,
        "reward-model.checkpoint-every": 1,
        "reward-model.length-penalty": 1.0,
    }
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for copy in (whole, cut):
        shutil.copytree(judged, copy)
    project = opened(whole, given)
    expected = train_reward(project, 1, base_model(project), "twice")
    assert project.artifact(expected).card["pseudo_labelled"][0] >= 1
    saved = loop.save_checkpoint

    def dies(folder: Path, step: int, *arguments: Any, **more: Any) -> None:
        saved(folder, step, *arguments, **more)
        if folder.parent.name == "second" and step == 1:
            raise Killed

    monkeypatch.setattr(loop, "save_checkpoint", dies)
    project = opened(cut, given)
    with pytest.raises(Killed):
        train_reward(project, 1, base_model(project), "twice")
    monkeypatch.undo()
    assert train_reward(project, 1, base_model(project), "twice") == expected


def test_what_does_not_fit_is_refused(judged: Path) -> None:
    project = opened(judged, {})
    unasked = project.settings.reward_model.model_copy(update={"criteria": ["politeness"]})
    project.settings = project.settings.model_copy(update={"reward_model": unasked})  # people were asked otherwise
    base = base_model(project)
    with pytest.raises(DataError, match="tells completions apart by 'politeness'"):
        train_reward(project, 1, base, "polite")
    single = opened(judged, {})
    reward = train_reward(single, 1, base, "single")
    for given, said in (
        ({"reward.pessimism": "mean-std"}, "needs members that can disagree"),
        ({"reward.weights.overal": 1}, "did you mean 'overall'"),
    ):
        with pytest.raises(SettingsError, match=said):
            load_scorer(opened(judged, {"reward.model": reward, **given}), reward)
