"""What people are asked is chosen as the settings say, and what they are found to be reaches the reward model."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from assent.config import load_settings
from assent.stages.judge import LABELLERS, collect_judgements
from assent.stages.language import base_model
from assent.stages.project import Project
from assent.stages.reward import train_reward
from assent.stages.reward_labels import person_weights, read_rankings
from assent.stages.sample import sample
from assent.stages.which_next import arms_of_tasks
from assent.store import get_run, get_tasks
from assent.types.errors import SettingsError
from tests.unit.stages.conftest import SIMULATED, MakeProject

ARMS = "{random = 0.4, uncertainty = 0.3, near-ties = 0.3}"


@pytest.fixture(scope="module")
def project(make_project: MakeProject) -> Project:
    """Two rounds of labelling, the second chosen by the first's ensemble."""
    made = make_project({**SIMULATED, "people.arms": ARMS, "reward-model.ensemble": 2, "people.candidates": 2})
    base = base_model(made)
    collect_judgements(made, sample(made, 1, base, base), LABELLERS)
    train_reward(made, 1, base)
    collect_judgements(made, sample(made, 2, base, base), LABELLERS)
    return made


def test_the_arm_of_every_task_is_recorded(project: Project) -> None:
    first, second = (arms_of_tasks(project.store, f"round{number}-sample") for number in (1, 2))
    assert set(first.values()) == {"random"}, "in round 1 nobody knows what they are unsure of"
    shares = Counter(second.values())
    assert shares.keys() == {"random", "uncertainty", "near-ties"}
    assert shares["random"] == pytest.approx(0.4 * len(second), abs=1.0)
    run = get_run(project.store, "round2-sample")
    assert run is not None and "reward" in dict(run.inputs)
    tasks = get_tasks(project.store, "round2-sample")
    assert len(tasks) == run.result["tasks"] and sum(t.task.overlap for t in tasks) == run.result["judgements_wanted"]
    assert {task.id for task in tasks if task.task.purpose == "train"} == second.keys()


def test_what_the_arms_saved_is_measured_with_the_reward_model(project: Project) -> None:
    base = base_model(project)
    train_reward(project, 2, base)
    first, second = (get_run(project.store, f"round{number}-reward") for number in (1, 2))
    assert first is not None and second is not None
    assert "arms" not in first.result
    found = second.result["arms"]
    given = read_rankings(project, 2, "train", first=2)
    assert sum(found["labels"].values()) == len(given)
    assert found["saving"].keys() == {"uncertainty", "near-ties"}
    assert all(isinstance(each, str) and "too few tasks" in each for each in found["saving"].values())


def test_enough_judgements_tell_what_an_arm_saves(make_project: MakeProject) -> None:
    settings = {"people.rankings-per-round": 160, "people.arms": "{random = 0.5, near-ties = 0.5}"}
    made = make_project({**SIMULATED, **settings, "people.candidates": 2, "people.holdout-share": 0.4})
    base = base_model(made)
    for number in (1, 2):
        collect_judgements(made, sample(made, number, base, base), LABELLERS)
        train_reward(made, number, base)
    run = get_run(made.store, "round2-reward")
    assert run is not None
    found = run.result["arms"]["saving"]["near-ties"]
    assert isinstance(found, dict), found
    assert 0.0 < found["low"] < found["high"] and 0.0 < found["target"] < 1.0


@pytest.mark.parametrize("kind", ["none", "agreement", "bradley-terry"])
def test_weights_have_mean_one_and_keep_the_cap(project: Project, kind: str) -> None:
    flags = ["--reward-model.reliability", kind, "--reward-model.influence-cap", "1.3"]
    given = load_settings([project.workspace.settings_file], flags)
    learnt = read_rankings(project, 2, "train")
    weights = person_weights(replace(project, settings=given), learnt, 2)
    counts = Counter(ranking.person_id for ranking in learnt)
    assert sum(weights[person] * n for person, n in counts.items()) == pytest.approx(len(learnt))
    if kind == "none":
        assert set(weights.values()) == {1.0}
        return
    trusted = [person for person in counts if weights[person] > 0]
    assert max(weights[person] * counts[person] for person in trusted) <= 1.3 / len(trusted) * len(learnt) * (1 + 1e-9)
    assert len({round(weight, 6) for weight in weights.values()}) > 1


def test_settings_that_leave_nothing_to_chance_are_refused() -> None:
    with pytest.raises(SettingsError, match="random above 0"):
        load_settings([], ["--task", "household", "--people.arms", "{uncertainty = 1.0}"])
    with pytest.raises(SettingsError, match="influence_cap"):
        load_settings([], ["--task", "household", "--reward-model.influence-cap", "0.5"])
