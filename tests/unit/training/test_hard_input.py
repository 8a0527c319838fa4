"""What a reward or a policy may do that an algorithm must cope with, or refuse: for every algorithm."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from assent.config.algorithm import ALGORITHMS
from assent.rewards.scorer import CallableScorer
from assent.rollouts.local import LocalGenerator
from assent.training.rl import RLTraining
from assent.types.errors import UnhealthyRewardError
from tests.checkpoints import Shape
from tests.unit.training.building import on_policy

Built = Callable[[Shape], Path]
GROUPED = [name for name, section in ALGORITHMS.items() if section().needs_groups]


def built(path: Path, name: str, **changes: object) -> RLTraining:
    given = {"learning_rate": 1e-3} | ({} if name == "online-dpo" else {"kl_coef": 0.0}) | changes
    return on_policy(path, ALGORITHMS[name](**given), group=4)


def weights(training: RLTraining) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in training.tensors().items() if name.startswith("policy.")}


def steps(training: RLTraining, count: int = 2) -> list[dict[str, float]]:
    """Two steps in which nothing went wrong."""
    rows = [training.step(index, 0) for index in range(count)]
    assert all(row["nonfinite"] == 0.0 and "skipped" not in row for row in rows)
    assert all(math.isfinite(value) for row in rows for value in row.values())
    assert all(torch.isfinite(value).all() for value in training.tensors().values())
    return rows


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_reward_that_is_all_alike_breaks_nothing(name: str, checkpoint: Built) -> None:
    training = built(checkpoint("llama"), name, missing_eos_penalty=0.0)
    alike = CallableScorer(lambda prompts, texts: [1.0] * len(texts), "alike")
    training.parts = replace(training.parts, scorer=alike)
    before = weights(training)
    rows = steps(training)
    same = all(torch.equal(before[key], value) for key, value in weights(training).items())
    # Within groups nothing is better than anything else: nothing is learnt. A baseline that is learnt is not exact.
    assert same or name not in GROUPED
    if name in ("expert-iteration", "online-dpo"):
        assert rows[-1]["trained_share"] == 0.0 and rows[-1]["updates"] == 0.0


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("ends", ["at once", "never"])
def test_completions_of_nothing_but_an_end_and_without_one(name: str, ends: str, checkpoint: Built) -> None:
    training = built(checkpoint("llama"), name)
    end = range(400) if ends == "at once" else ()
    generator = LocalGenerator(training.parts.policy.model, end, lambda: "tested")
    training.parts = replace(training.parts, generator=generator)
    rows = steps(training)
    assert {row["length"] for row in rows} == {1.0 if ends == "at once" else 12.0}
    assert {row["finished"] for row in rows} == {1.0 if ends == "at once" else 0.0}


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_refused_before_anything_is_learnt(
    name: str, value: float, checkpoint: Built
) -> None:
    training = built(checkpoint("llama"), name)
    bad = CallableScorer(lambda prompts, texts: [0.0] * (len(texts) - 1) + [value], "mine:bad")
    training.parts = replace(training.parts, scorer=bad)
    before = weights(training)
    with pytest.raises(UnhealthyRewardError, match=r"reward mine:bad gave (nan|inf) for the completion"):
        training.step(0, 0)
    assert all(torch.equal(before[key], value) for key, value in weights(training).items())


def test_a_cost_that_is_no_number_is_refused_by_its_name(checkpoint: Built) -> None:
    training = built(checkpoint("llama"), "rloo")
    bad = CallableScorer(lambda prompts, texts: [math.nan] * len(texts), "mine:bad", "cost")
    training.parts = replace(training.parts, cost=bad)
    with pytest.raises(UnhealthyRewardError, match="cost mine:bad gave nan"):
        training.step(0, 0)


@pytest.mark.parametrize("name", GROUPED)
def test_a_group_of_one_has_nothing_to_compare(name: str, checkpoint: Built) -> None:
    training = on_policy(checkpoint("llama"), ALGORITHMS[name](), group=1)
    with pytest.raises(ValueError, match="no groups to compare within"):
        training.step(0, 0)
