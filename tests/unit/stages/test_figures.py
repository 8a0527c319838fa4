"""The summary and the report's data, read back from real runs of the loop."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from assent.cli.outcome import figure_lines
from assent.pipeline import Outcome, run_loop
from assent.report import render_report
from assent.report.data import cleaned
from assent.stages.figures import report_data, summary
from assent.stages.judge import LABELLERS, collect_judgements
from assent.stages.project import Project
from assent.stages.rounds import health_of, rounds_so_far, unmeasured
from assent.stages.sample import sample
from assent.store import completions_of_run, get_run, list_promotions, register_artifact, start_run
from assent.store.runs import finish_run
from assent.training.loop import read_metrics
from tests.unit.stages.conftest import OWN_REWARD, SIMULATED, MakeProject

KEYS = {
    "gold_win_rate",
    "people_win_rate",
    "kl",
    "criteria",
    "rm_accuracy",
    "rm_ceiling",
    "rankings_per_round",
    "comparisons_per_round",
    "unpenalised",
    "penalised",
    "measured",
    "promoted",
}


@pytest.fixture(scope="module")
def judged(make_project: MakeProject) -> tuple[Project, Outcome]:
    """Simulated people, a reward model, an unpenalised run; round 2 was only sampled and judged when it was left."""
    project = make_project({**SIMULATED, "loop.unpenalised-steps": 3, "loop.rounds": 2})
    outcome = run_loop(project, 1)
    collect_judgements(project, sample(project, 2, outcome.policy), LABELLERS)
    return project, outcome


@pytest.fixture(scope="module")
def scored(make_project: MakeProject) -> tuple[Project, Outcome]:
    """The user's own reward: no people, no reward model, no gold judge."""
    project = make_project(OWN_REWARD)
    return project, run_loop(project, 1)


def renders(project: Project, outcome: Outcome | None) -> str:
    data = report_data(project, outcome)
    json.dumps(cleaned(data), allow_nan=False)
    return render_report(data)


def test_a_loop_half_done(judged: tuple[Project, Outcome]) -> None:
    project, outcome = judged
    found = summary(project, outcome)
    assert found.keys() == KEYS
    json.dumps(found, allow_nan=False)
    health = get_run(project.store, "round1-health")
    assert health is not None
    assert found["rm_accuracy"] == health.result["accuracy"]["value"]
    assert found["rm_ceiling"] == health.result["ceiling"]["value"]
    assert len(found["rankings_per_round"]) == 2
    assert all(30 < count <= 40 for count in found["rankings_per_round"])
    # four completions make six pairs
    assert found["comparisons_per_round"] == [6 * count for count in found["rankings_per_round"]]
    assert len(found["promoted"]) == 2 and found["promoted"][1] is None
    # figures that were measured are told, whatever became of the round
    assert found["measured"] == {"round": 1, "promoted": found["promoted"][0]}
    for name in ("people_win_rate", "gold_win_rate"):
        assert 0.0 <= found[name]["low"] <= found[name]["high"] <= 1.0
    for name in ("unpenalised", "penalised"):
        assert all(math.isfinite(found[name][figure]) for figure in ("gold", "proxy", "kl"))
    evaluation = get_run(project.store, "round1-eval")
    assert evaluation is not None
    base = evaluation.result["criteria"][outcome.base]
    assert found["criteria"]["base"] == {name: base[name]["value"] for name in base}
    assert summary(project) == found


def test_the_report_of_a_loop_half_done(judged: tuple[Project, Outcome]) -> None:
    project, outcome = judged
    data = report_data(project, outcome)
    assert data["simulated"]
    assert [each["round"] for each in data["rounds"]] == [1, 2]
    first, second = data["rounds"]
    assert [step["step"] for step in first["training"]] == [1, 2, 3, 4]
    assert first["verdict"] is not None and first["health"] is not None
    assert first["health"]["forced"] is not first["health"]["healthy"]
    assert (second["health"], second["verdict"], second["training"]) == (None, None, [])
    assert second["judgements"] == summary(project, outcome)["rankings_per_round"][1]
    assert list(data["criteria"]) == ["base", "round 1"]  # there were no demonstrations, so no SFT
    (people,) = (tile for tile in data["headline"] if tile["label"] == "Preferred by simulated people")
    assert ("of round 1, not promoted" in people["detail"]) is not first["verdict"]["promoted"]
    (said,) = (line for line in figure_lines(summary(project, outcome), True) if "by simulated people: " in line[20:60])
    assert ("(of round 1, not promoted)" in said) is not first["verdict"]["promoted"]
    page = renders(project, outcome)
    assert "The people in this report are simulated" in page


def test_over_optimisation_is_what_the_runs_measured(judged: tuple[Project, Outcome]) -> None:
    project, outcome = judged
    panel = report_data(project, outcome)["over_optimisation"]
    assert panel is not None
    # measured before steps 0 and 2, and after the last
    assert [step["step"] for step in panel["penalised"]] == [0, 2, 4]
    assert [step["step"] for step in panel["unpenalised"]] == [0, 2, 3]
    rows = read_metrics(project.run_dir("round1-rl"))
    assert panel["penalised"][1]["gold"] == rows[2]["heldout_gold"]
    assert panel["penalised"][-1]["proxy"] == summary(project, outcome)["penalised"]["proxy"]
    assert panel["summary"].startswith("With the KL penalty the reward model's score went from")
    assert "Without it the reward model's score" in panel["summary"]


def test_samples_are_the_answers_of_the_evaluation(judged: tuple[Project, Outcome]) -> None:
    project, outcome = judged
    samples = report_data(project, outcome)["samples"]
    assert 5 <= len(samples) <= 10
    written = {(c.policy_version, c.text) for c in completions_of_run(project.store, "round1-eval")}
    new = list_promotions(project.store)[0].artifact_id
    for each in samples:
        assert [answer["who"] for answer in each["answers"]] == ["base", "round 1"]
        for answer, policy in zip(each["answers"], (outcome.base, new), strict=True):
            assert (policy, answer["text"]) in written
            assert answer["marks"] is not None
            assert set(answer["marks"]) == {"helpful", "honest", "harmless", "fluency"}
            assert answer["marks"]["fluency"] == 0.9


def test_lineage_leads_from_people_to_the_policy(judged: tuple[Project, Outcome]) -> None:
    project, outcome = judged
    lineage = report_data(project, outcome)["lineage"]
    assert lineage is not None
    kinds = {node["id"]: node["kind"] for node in lineage["nodes"]}
    assert len(kinds) == len(lineage["nodes"])
    below: dict[str, set[str]] = {}
    for source, target, role in lineage["edges"]:
        assert source in kinds and target in kinds and role
        below.setdefault(source, set()).add(target)
    people = [name for name, kind in kinds.items() if kind == "people"]
    assert len(people) == 2  # labellers and evaluators, who share nobody
    reached: set[str] = set()
    waiting = list(people)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += below.get(name, set())
    assert {"judgements", "dataset", "reward", "policy", "unpenalised"} <= {kinds[name] for name in reached}


def test_a_users_own_reward(scored: tuple[Project, Outcome]) -> None:
    project, outcome = scored
    found = summary(project, outcome)
    assert found.keys() == KEYS
    assert (found["rm_accuracy"], found["rm_ceiling"], found["people_win_rate"]) == (None, None, None)
    assert (found["rankings_per_round"], found["comparisons_per_round"]) == ([], [])
    assert set(found["criteria"]["rlhf"].values()) == {None}
    assert found["promoted"][0] is True, "the loop must learn so simple a reward"
    gold = found["gold_win_rate"]
    assert 0.5 < gold["low"] <= gold["value"] <= gold["high"] <= 1.0
    evaluation = get_run(project.store, "round1-eval")
    assert evaluation is not None
    assert found["kl"] == evaluation.result["kl"]
    assert found["penalised"]["gold"] is None and math.isfinite(found["penalised"]["proxy"])
    assert found["unpenalised"] == {"gold": None, "proxy": None, "kl": None}
    page = renders(project, outcome)
    assert "tests.unit.stages.scoring:share_of_vowels" in page
    assert "Preferred by the scoring function" in page
    assert "simulated" not in page.split("<details")[0]


def test_the_health_shown_is_that_of_the_reward_model_that_was_used(make_project: MakeProject) -> None:
    project = make_project(SIMULATED)
    store = project.store
    plain = project.settings.reward.model_dump(mode="json")
    wary = {**plain, "pessimism": "worst-case"}
    for name in ("own", "other", "third"):
        register_artifact(store, "reward", name, f"artifacts/reward/{name}", artifact_id=f"reward-{name}")

    def measured(run_id: str, reward: str, reading: dict[str, Any], accuracy: float) -> None:
        start_run(store, run_id, "health", 1, {"reward": reading}, {"reward": reward})
        finish_run(store, run_id, {"healthy": True, "accuracy": {"value": accuracy}})

    def used(reward: str, reading: dict[str, Any]) -> float | None:
        round = 1 + len(rounds_so_far(project))
        start_run(store, f"round{round}-rl", "rl", round, {"reward": reading}, {"reward": reward})
        last = rounds_so_far(project)[-1]
        told = unmeasured(project, [last])
        assert (told == []) is bool(health_of(project, last))
        assert all(f"Round {round}: RL used {reward}, and no health" in line for line in told)
        return health_of(project, last).get("accuracy", {}).get("value")

    measured("round1-health", "reward-own", plain, 0.6)
    assert health_of(project, rounds_so_far(project)[0])["accuracy"]["value"] == 0.6, "before RL"
    measured("round1-health-abcdef", "reward-own", wary, 0.7)
    measured("other-health", "reward-other", plain, 0.8)
    start_run(store, "round1-rl", "rl", 1, {"reward": wary}, {"reward": "reward-own"})
    assert health_of(project, rounds_so_far(project)[0])["accuracy"]["value"] == 0.7
    assert used("reward-own", plain) == 0.6
    assert used("reward-other", {**plain, "model": "reward-other"}) == 0.8
    assert used("reward-other", wary) is None
    assert used("reward-third", plain) is None


def test_nothing_promoted_and_nothing_begun(make_project: MakeProject) -> None:
    project = make_project(SIMULATED)
    found = summary(project)
    assert found.keys() == KEYS
    assert (found["promoted"], found["gold_win_rate"], found["kl"], found["measured"]) == ([], None, None, None)
    assert "The loop has not begun." in renders(project, None)
