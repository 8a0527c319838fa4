"""Prompts, completions, tasks, people, runs: kept once, in order, and the same again when repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from assent.store import (
    NewPerson,
    NewTask,
    Store,
    add_completions,
    add_people,
    add_person,
    add_prompts,
    add_tasks,
    completions_of_run,
    dump_rows,
    fail_run,
    finish_run,
    get_completions,
    get_person,
    get_prompts,
    get_run,
    get_tasks,
    list_people,
    list_prompts,
    list_runs,
    open_tasks,
    register_artifact,
    start_run,
)
from assent.types.errors import DataError, WorkspaceError
from assent.types.feedback import PersonKind
from assent.types.messages import Message, Prompt, user_prompt
from assent.types.protocols import SamplingParams


def test_prompts_are_kept_once_and_in_order(store: Store) -> None:
    talk = Prompt(
        (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Bleach?")), "test", {"a": "b"}
    )
    ids = add_prompts(store, [user_prompt("one"), talk, user_prompt("one"), user_prompt("two")])
    assert ids == [1, 2, 1, 3]
    assert add_prompts(store, [user_prompt("two"), user_prompt("three")]) == [3, 4]
    assert get_prompts(store, [2, 1]) == [talk, user_prompt("one")]
    assert list_prompts(store, "test") == [(2, talk)]
    with pytest.raises(DataError, match="no prompts row with id 9"):
        get_prompts(store, [1, 9])


def test_a_test_prompt_never_becomes_a_train_prompt(store: Store) -> None:
    add_prompts(store, [user_prompt("one", split="test")])
    with pytest.raises(DataError, match="'test' and in 'train'"):
        add_prompts(store, [user_prompt("zero"), user_prompt("one", split="train")])
    assert len(list_prompts(store)) == 1, "nothing of a refused call stays"


def test_more_prompts_than_one_statement_takes(store: Store) -> None:
    many = [user_prompt(f"prompt {i}") for i in range(1201)]
    assert add_prompts(store, many) == list(range(1, 1202))
    assert add_prompts(store, many[::-1]) == list(range(1201, 0, -1))
    assert get_prompts(store, range(1, 1202)) == many


def test_completions_are_kept_with_what_wrote_them(store: Store, chain: Any) -> None:
    assert chain.completions == list(range(1, 13))
    (found,) = get_completions(store, [chain.completions[4]])
    assert (found.prompt_id, found.group_index, found.sample_index) == (chain.prompts[1], 1, 1)
    assert (found.text, found.token_ids, found.policy_version) == ("answer 1.1", (11, 1, 2), "sft-000000000000")
    assert found.sampling == {"temperature": 1.0, "max_new_tokens": 8, "greedy": False}


def test_completions_of_a_run_and_policy_are_added_once(
    store: Store, chain: Any, make_rollouts: Callable[..., Any]
) -> None:
    before = dump_rows(store)
    same = add_completions(store, "sample", chain.prompts, make_rollouts(4, 3), SamplingParams(1.0, 8))
    assert same == chain.completions
    with pytest.raises(DataError, match="already holds other completions"):
        add_completions(store, "sample", chain.prompts, make_rollouts(4, 2), SamplingParams(1.0, 8))
    with pytest.raises(DataError, match="already holds other completions"):
        add_completions(store, "sample", chain.prompts, make_rollouts(4, 3), SamplingParams(0.5, 8))
    with pytest.raises(DataError, match="no run 'nothing'"):
        add_completions(store, "nothing", chain.prompts, make_rollouts(4, 3), SamplingParams())
    assert dump_rows(store) == before
    other = add_completions(store, "sample", chain.prompts, make_rollouts(4, 1, "policy-1+40"), SamplingParams(1.0, 8))
    assert other == [13, 14, 15, 16]
    assert [c.id for c in completions_of_run(store, "sample")] == list(range(1, 17))
    mixed = make_rollouts(1, 1, "a") + make_rollouts(1, 1, "b")
    with pytest.raises(ValueError, match="several policies"):
        add_completions(store, "sample", chain.prompts, mixed, SamplingParams())


def test_tasks_of_a_run_are_added_once(store: Store, chain: Any) -> None:
    start_run(store, "round1", "collect", 1, {})
    c, p = chain.completions, chain.prompts
    train = [NewTask(p[0], (c[2], c[0]), priority=1), NewTask(p[1], (c[3], c[4]), overlap=2, priority=5)]
    held = [NewTask(p[2], (c[6], c[7]), purpose="holdout")]
    assert add_tasks(store, "round1", train) == [1, 2]
    assert add_tasks(store, "round1", held) == [3]
    assert add_tasks(store, "round1", train) == [1, 2]
    assert [task.task for task in get_tasks(store, "round1")] == train + held
    assert open_tasks(store, "round1") == [2, 1, 3], "highest priority first"
    assert open_tasks(store, "round1", "holdout") == [3]
    with pytest.raises(DataError, match="already has other tasks for train"):
        add_tasks(store, "round1", train[:1])
    start_run(store, "round2", "collect", 2, {})
    with pytest.raises(DataError, match=f"completion {c[3]} answers prompt {p[1]}"):
        add_tasks(store, "round2", [NewTask(p[0], (c[0], c[3]))])
    assert get_tasks(store, "round2") == []


def test_a_task_that_makes_no_sense_is_refused() -> None:
    for wrong in ({"completion_ids": (1,)}, {"completion_ids": (1, 1)}):
        with pytest.raises(ValueError, match="2 different completions"):
            NewTask(1, **wrong)
    with pytest.raises(ValueError, match="overlap"):
        NewTask(1, (1, 2), overlap=0)
    with pytest.raises(ValueError, match="purpose"):
        NewTask(1, (1, 2), purpose="training")


def test_people_keep_their_kind(store: Store) -> None:
    ann = add_person(store, "Ann", PersonKind.HUMAN, {"language": "de"})
    assert add_person(store, "Ann", PersonKind.HUMAN) == ann
    assert get_person(store, ann).profile == {"language": "de"}
    assert add_people(store, [NewPerson("Bot", PersonKind.AI), NewPerson("Ann", PersonKind.HUMAN)]) == [2, 1]
    with pytest.raises(DataError, match="recorded as human, not as simulated"):
        add_person(store, "Ann", PersonKind.SIMULATED)
    assert [person.name for person in list_people(store, PersonKind.AI)] == ["Bot"]
    with pytest.raises(DataError, match="no person 9"):
        get_person(store, 9)


def test_a_run_is_taken_up_with_the_same_settings_only(store: Store) -> None:
    base = register_artifact(store, "base", "b" * 64, "artifacts/base/x")
    settings = {"rl": {"lr": 1e-5, "steps": 40}, "seed": 0, "names": ["a"]}
    run = start_run(store, "round1-rl", "rl", 1, settings, {"policy": base})
    assert (run.state, run.inputs, run.settings) == ("running", (("policy", base),), settings)
    assert start_run(store, "round1-rl", "rl", 1, settings, [("policy", base)]) == run
    other = {"rl": {"lr": 2e-5, "steps": 40}, "names": ["a"], "new": True}
    with pytest.raises(WorkspaceError) as caught:
        start_run(store, "round1-rl", "rl", 1, other, {"ref": base})
    for line in ("settings.rl.lr: 1e-05 -> 2e-05", "settings.seed: 0 -> (not set)", "settings.new: (not set) -> true"):
        assert line in str(caught.value)
    assert f"inputs.policy: {base} -> (not set)" in str(caught.value)
    assert "steps" not in str(caught.value) and "names" not in str(caught.value)
    with pytest.raises(DataError, match="wants artifact 'ghost' as policy"):
        start_run(store, "round1-x", "rl", 1, {}, {"policy": "ghost"})
    assert get_run(store, "round1-x") is None


def test_settings_that_have_come_since_a_run_was_started_count_as_their_defaults(store: Store) -> None:
    start_run(store, "old", "rl", 1, {"rl": {"lr": 1e-5}, "seed": 0})
    now = {"rl": {"lr": 1e-5, "warmup": 0}, "seed": 0, "sampling": {"generator": "local"}}
    defaults = {**now, "rl": {"lr": 3e-4, "warmup": 0}}
    assert start_run(store, "old", "rl", 1, now, defaults=defaults).id == "old"
    other = {**now, "sampling": {"generator": "vllm"}, "rl": {"lr": 3e-4, "warmup": 0}}
    with pytest.raises(WorkspaceError) as caught:
        start_run(store, "old", "rl", 1, other, defaults=defaults)
    said = str(caught.value)
    assert "settings.rl.lr: 1e-05 -> 0.0003" in said and 'settings.sampling.generator: "local" -> "vllm"' in said
    assert "warmup" not in said


def test_a_run_ends_once_and_a_failed_one_is_taken_up(store: Store) -> None:
    start_run(store, "a", "sft", 0, {})
    start_run(store, "b", "rl", 1, {})
    assert fail_run(store, "a", "no space").result == {"reason": "no space"}
    assert start_run(store, "a", "sft", 0, {}).state == "running"
    assert finish_run(store, "a", {"loss": 0.5}).done
    assert finish_run(store, "a", {"loss": 0.5}).done
    with pytest.raises(ValueError, match="another result"):
        finish_run(store, "a", {"loss": 0.25})
    with pytest.raises(ValueError, match="done already"):
        fail_run(store, "a", "late")
    assert start_run(store, "a", "sft", 0, {}).result == {"loss": 0.5}
    assert [run.id for run in list_runs(store)] == ["a", "b"]
    assert [run.id for run in list_runs(store, round=1)] == ["b"]
    with pytest.raises(DataError, match="no run 'c'"):
        finish_run(store, "c")


def test_not_a_number_is_never_stored(store: Store) -> None:
    start_run(store, "a", "sft", 0, {})
    with pytest.raises(Exception, match="JSON compliant"):
        finish_run(store, "a", {"loss": float("nan")})
    run = get_run(store, "a")
    assert run is not None and run.state == "running"
