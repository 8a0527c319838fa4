"""From weights down to people, and from a judgement up to every artifact that it shaped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from assent.store import (
    Judgements,
    Node,
    Store,
    add_completions,
    add_person,
    ancestors,
    descendants,
    find,
    finish_run,
    get_artifact,
    latest,
    list_artifacts,
    list_promotions,
    promoted,
    rankings,
    record_promotion,
    register_artifact,
    start_run,
)
from assent.types.errors import DataError, WorkspaceError
from assent.types.feedback import PersonKind
from assent.types.protocols import SamplingParams


@pytest.fixture
def ids(store: Store, chain: Any, make_tasks: Callable[..., list[int]], judge: Callable[..., Any]) -> dict[str, str]:
    """base -> sft -> (judgements) dataset -> reward -> policy, each made by a run; 3 of 5 judgements in the dataset."""
    made = {}
    start_run(store, "pretrain", "pretrain", 0, {})
    made["base"] = register_artifact(store, "base", "1" * 64, "artifacts/base/1", run_id="pretrain")
    start_run(store, "sft", "sft", 0, {}, {"base": made["base"]})
    made["sft"] = register_artifact(store, "sft", "0" * 64, "artifacts/sft/0", run_id="sft")
    assert made["sft"] == "sft-000000000000"  # what the chain's completions name as their policy version
    tasks = make_tasks("round1-collect", overlap=2)
    human = add_person(store, "Ann", PersonKind.HUMAN)
    judgements = Judgements(store)
    for person, wanted in ((chain.people[0], tasks), (human, tasks[:1])):
        for assignment in judgements.lease(wanted, person, 5):
            judgements.submit(assignment.id, judge(assignment))
    numbers = [ranking.judgement_id for ranking in rankings(store)]
    assert numbers == [1, 2, 3, 4, 5]
    chosen = [1, 2, 5]
    made["dataset"] = register_artifact(
        store, "dataset", "d" * 64, "artifacts/dataset/d", run_id="round1-collect", judgement_ids=chosen
    )
    start_run(store, "round1-rm", "reward", 1, {}, {"model": made["sft"], "data": made["dataset"]})
    made["reward"] = register_artifact(store, "reward", "e" * 64, "artifacts/reward/e", run_id="round1-rm")
    start_run(store, "round1-rl", "rl", 1, {}, {"policy": made["sft"], "reward": made["reward"]})
    made["policy"] = register_artifact(
        store, "policy", "f" * 64, "artifacts/policy/f", {"steps": 40}, "round1-rl", [made["sft"]]
    )
    return made


def kinds(node: Node) -> list[tuple[str, str]]:
    return [(found.kind, found.id) for found in node.walk()]


def test_the_ancestors_of_a_policy_reach_the_people(store: Store, ids: dict[str, str]) -> None:
    tree = ancestors(store, ids["policy"])
    assert (tree.kind, tree.id) == ("artifact", ids["policy"])
    (run,) = tree.children  # the parent is an input of the run too, so it is told once
    assert (run.id, run.role) == ("round1-rl", "made by")
    assert [(node.id, node.role) for node in run.children] == [(ids["sft"], "policy"), (ids["reward"], "reward")]
    reward_run = run.children[1].children[0]
    assert [(node.id, node.role) for node in reward_run.children] == [(ids["dataset"], "data"), (ids["sft"], "model")]
    collected, held = reward_run.children[0].children
    assert collected.id == "round1-collect"
    assert held.kind == "judgements"
    assert held.facts["ids"] == [1, 2, 5]
    assert held.facts["by_kind"] == {"simulated": 2, "human": 1}
    people = [node for node in held.children if node.kind == "person"]
    assert [(p.facts["name"], p.facts["kind"], p.facts["count"]) for p in people] == [
        ("person 0", "simulated", 2),
        ("Ann", "human", 1),
    ]
    (written,) = [node for node in held.children if node.kind == "completions"]
    assert written.facts["count"] == 6  # two tasks of three completions
    assert (written.children[0].id, written.children[0].repeated) == (ids["sft"], True)
    assert kinds(tree).count(("run", "pretrain")) == 1


def test_the_descendants_of_a_judgement_are_all_it_shaped(store: Store, ids: dict[str, str]) -> None:
    tree = descendants(store, "judgement:2")
    shaped = [node.id for node in tree.walk() if node.kind == "artifact"]
    assert shaped == [ids["dataset"], ids["reward"], ids["policy"]]
    assert [node.id for node in tree.walk() if node.kind == "run"] == ["round1-rm", "round1-rl"]
    assert descendants(store, "judgement:3").children == (), "not in the dataset, so it shaped nothing"


def test_the_descendants_of_an_artifact(store: Store, ids: dict[str, str]) -> None:
    tree = descendants(store, ids["base"])
    found = [node.id for node in tree.walk() if node.kind == "artifact" and not node.repeated]
    assert found == [ids["base"], ids["sft"], ids["reward"], ids["policy"]]
    child = register_artifact(store, "policy", "9" * 64, "artifacts/policy/9", parents=[ids["policy"]])
    assert kinds(descendants(store, ids["policy"])) == [("artifact", ids["policy"]), ("artifact", child)]


def test_the_ancestors_of_a_judgement(store: Store, ids: dict[str, str]) -> None:
    tree = ancestors(store, "judgement:5")
    assert tree.facts["ranks"] == [1, 2, 3]
    assert [(node.kind, node.title) for node in tree.children] == [
        ("person", "Ann (human)"),
        ("completions", "3 completions by sft-000000000000"),
    ]
    assert ("run", "pretrain") in kinds(tree)


def test_a_policy_version_with_steps_leads_to_its_artifact(
    store: Store, chain: Any, ids: dict[str, str], make_rollouts: Callable[..., Any], judge: Callable[..., Any]
) -> None:
    from assent.store import NewTask, add_tasks

    start_run(store, "round2-sample", "sample", 2, {})
    version = f"{ids['policy']}+40"
    new = add_completions(store, "round2-sample", chain.prompts, make_rollouts(1, 2, version), SamplingParams())
    (task,) = add_tasks(store, "round2-sample", [NewTask(chain.prompts[0], tuple(new))])
    (assignment,) = Judgements(store).lease([task], chain.people[0], 5)
    number = Judgements(store).submit(assignment.id, judge(assignment, (1, 2)))
    tree = ancestors(store, f"judgement:{number}")
    assert ("artifact", ids["policy"]) in kinds(tree)
    assert ("artifact", ids["base"]) in kinds(tree)


def test_find(store: Store, ids: dict[str, str]) -> None:
    assert str(find(store, ids["policy"])) == ids["policy"]
    assert find(store, "pol").id == ids["policy"]
    assert find(store, "ffff").id == ids["policy"]
    assert str(find(store, "judgement:3")) == "judgement:3"
    register_artifact(store, "policy", "a" * 64, "artifacts/policy/a")
    with pytest.raises(DataError, match="may mean 2 artifacts"):
        find(store, "policy-")
    with pytest.raises(DataError, match="Did you mean policy-"):
        find(store, "polcy-ffffffffffff")
    with pytest.raises(DataError, match="no artifact '%'"):
        find(store, "%")
    with pytest.raises(DataError, match="no judgement 99"):
        find(store, "judgement:99")


def test_registering_again_does_nothing_and_other_content_is_refused(store: Store, ids: dict[str, str]) -> None:
    before = get_artifact(store, ids["dataset"])
    again = register_artifact(store, "dataset", "d" * 64, "elsewhere", judgement_ids=[3])
    assert again == ids["dataset"]
    assert get_artifact(store, ids["dataset"]) == before
    with pytest.raises(WorkspaceError, match="other content"):
        register_artifact(store, "dataset", "c" * 64, "x", artifact_id=ids["dataset"])
    for wrong in ({"parents": ["ghost"]}, {"judgement_ids": [99]}, {"run_id": "ghost"}):
        with pytest.raises(DataError):
            register_artifact(store, "dataset", "7" * 64, "x", **wrong)
    assert [artifact.id for artifact in list_artifacts(store, "dataset")] == [ids["dataset"]]


def test_promotion(store: Store, ids: dict[str, str]) -> None:
    assert promoted(store) is None
    assert record_promotion(store, ids["policy"], 1, False, {"win_rate": 0.5}) == 1
    assert promoted(store) is None
    second = register_artifact(store, "policy", "a" * 64, "artifacts/policy/a")
    assert record_promotion(store, second, 2, True, {"win_rate": 0.9}) == 2
    assert record_promotion(store, second, 2, True, {"win_rate": 0.9}) == 2
    with pytest.raises(DataError, match="another verdict"):
        record_promotion(store, second, 2, False, {"win_rate": 0.9})
    third = register_artifact(store, "policy", "b" * 64, "artifacts/policy/b")
    found = promoted(store)
    assert found is not None and found.id == second
    newest = latest(store, "policy")
    assert newest is not None and newest.id == third
    record_promotion(store, third, 3, True)
    found = promoted(store)
    assert found is not None and found.id == third
    assert promoted(store, "reward") is None
    assert [p.promoted for p in list_promotions(store)] == [False, True, True]
    finish_run(store, "round1-rl", {})
