"""What RL can have beside its reward: texts mixed in, a bound on KL, a bound on cost, a temperature that moves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from assent.config import GRPOSettings, RLOOSettings
from assent.rewards.scorer import CallableScorer
from assent.training.experience import measure
from assent.training.language_model import mean_nll
from assent.training.loop import LoopSettings, read_metrics, run_steps
from assent.training.rl import RLTraining
from assent.types.protocols import Silent
from tests.checkpoints import Shape
from tests.unit.training.building import EXAMPLES, STEPS, hybrid, length_cost, on_policy
from tests.unit.training.test_microbatches import alike, gradients_of
from tests.unit.training.test_resume import Killed, KilledAt, same_bits

Built = Callable[[Shape], Path]
FAST = {"learning_rate": 1e-3, "kl_coef": 0.2}


def models(training: RLTraining) -> list[torch.nn.Module]:
    return [training.parts.policy.model]


def test_mixed_texts_add_their_gradient_and_no_more(checkpoint: Built) -> None:
    """RL's own gradient plus coefficient times that of the texts' mean loss, in however many microbatches."""
    plain = on_policy(checkpoint("llama"), RLOOSettings(**FAST))
    mixed, split = (
        hybrid(checkpoint("llama"), RLOOSettings(**FAST, ptx_coef=0.7), tokens=budget, temperature_from=None)
        for budget in (8192, 64)
    )
    rl, both = (gradients_of(models(each), lambda each=each: each.step(0, 0)) for each in (plain, mixed))  # type: ignore[misc]
    alike(both, gradients_of(models(split), lambda: split.step(0, 0)))
    chosen = [EXAMPLES[::2][i] for i in mixed.mixing.plans["ptx"][0]]
    model = on_policy(checkpoint("llama"), RLOOSettings(**FAST)).parts.policy.model
    alone = hybrid(checkpoint("llama"), RLOOSettings(**FAST, ptx_coef=0.7))
    found = alone.mixing.accumulate(model, 0, alone.compute)
    assert found["ptx_loss"] == pytest.approx(mean_nll(model, chosen, 8192), rel=1e-6)
    texts = [weight.grad for weight in model.parameters() if weight.grad is not None]
    alike(both, [a + b for a, b in zip(rl, texts, strict=True)])


def test_both_kinds_are_logged_and_learnt(checkpoint: Built) -> None:
    training = hybrid(checkpoint("llama"), RLOOSettings(learning_rate=1e-2, ptx_coef=5.0, sft_coef=5.0))
    rows = [training.step(index, 0) for index in range(STEPS)]
    for name in ("ptx_loss", "sft_loss"):
        assert rows[0][name] - rows[-1][name] > 0.5


def test_the_temperature_moves_and_the_trainer_moves_with_it(checkpoint: Built) -> None:
    training = hybrid(checkpoint("llama"), RLOOSettings(**FAST), temperature_from=2.0, temperature_to=0.5)
    rows = [training.step(index, 0) for index in range(STEPS)]
    assert [row["temperature"] for row in rows] == pytest.approx([2.0, 1.7, 1.4, 1.1, 0.8, 0.5])
    assert all(row["mismatch_max"] < 1e-4 for row in rows)
    assert "temperature" not in on_policy(checkpoint("llama"), RLOOSettings(**FAST)).step(0, 0)


def test_the_constant_of_a_mean_is_what_may_be_written_at_most(checkpoint: Built) -> None:
    """Of Dr. GRPO: the generation budget, which in games is that of all turns together."""
    training = on_policy(checkpoint("llama"), GRPOSettings(loss_mean="constant"))
    rollouts = training._sample(0, 0)
    sampling, p = training.sampling, training.parts
    found = {}
    for turns in (1, 3):
        measured = measure(
            rollouts, [0.0, 1.0] * (len(rollouts) // 2), p.policy, None, sampling, 2, training.compute, p.device, turns
        )
        e = measured.experience
        assert e.max_new_tokens == turns * sampling.max_new_tokens
        targets = p.algorithm.targets(e, 0.0)
        targets = replace(targets, advantages=torch.ones_like(targets.advantages))
        update = p.algorithm.losses(e.old_logprobs, None, None, e, targets, 1.0, len(rollouts))
        found[turns] = float(update.policy_loss)
        written = float(e.mask.sum())
    assert found[1] == pytest.approx(-written / (len(rollouts) * sampling.max_new_tokens))
    assert found[3] == pytest.approx(found[1] / 3)


def far(path: Path, **bound: object) -> RLTraining:
    """Steps so large that the policy soon leaves the reference."""
    return on_policy(path, RLOOSettings(learning_rate=1e-2, kl_coef=1e-3, **bound))


def run_off(training: RLTraining) -> None:
    """Make a policy that hardly prefers any token prefer some by far: nats from the reference at every token."""
    with torch.no_grad():
        training.parts.policy.model.lm_head.weight.mul_(30.0)


def test_the_budget_ends_the_run_with_the_last_policy_within_it(checkpoint: Built, tmp_path: Path) -> None:
    free = far(checkpoint("llama"))
    kls = [free.step(index, 0)["kl"] for index in range(STEPS)]
    past = max(range(1, STEPS), key=lambda index: kls[index] - max(kls[:index]))  # of all, the furthest above
    limit = (kls[past] + max(kls[:past])) / 2
    assert past >= 2 and kls[past] > limit > 0.1
    stopped = far(checkpoint("llama"), kl_budget=limit)
    run_steps(stopped, tmp_path / "whole", LoopSettings(STEPS, 2), Silent(), "rl")
    rows = read_metrics(tmp_path / "whole")
    assert [row["kl"] for row in rows] == kls[: past + 1]
    assert stopped.values()["ended"] and stopped.budget.ended
    # the weights are those of which the last rollouts within the budget were drawn
    again = far(checkpoint("llama"))
    for index in range(past - 1):
        again.step(index, 0)
    ours, theirs = stopped.tensors(), again.tensors()
    names = [name for name in theirs if name.startswith("policy.")]
    assert names and all(torch.equal(ours[name], theirs[name]) for name in names)
    # a run that has ended stays so; killed on its way it ends with the same bits
    resumed = far(checkpoint("llama"), kl_budget=limit)
    with pytest.raises(Killed):
        run_steps(resumed, tmp_path / "cut", LoopSettings(STEPS, 1), KilledAt(past + 1), "rl")
    for _ in range(2):
        resumed = far(checkpoint("llama"), kl_budget=limit)
        run_steps(resumed, tmp_path / "cut", LoopSettings(STEPS, 1), Silent(), "rl")
        same_bits(stopped, resumed)
        assert (tmp_path / "whole" / "metrics.jsonl").read_bytes() == (tmp_path / "cut" / "metrics.jsonl").read_bytes()


def test_the_last_update_is_held_against_the_budget_too(checkpoint: Built) -> None:
    training = far(checkpoint("llama"), kl_budget=1.0)
    training.settings = training.settings.model_copy(update={"steps": 1})
    before = {name: value.clone() for name, value in training.tensors().items()}
    training.step(0, 0)
    run_off(training)
    training.settle()
    assert training.budget.ended
    assert all(torch.equal(training.tensors()[name], before[name]) for name in before if name.startswith("policy."))


def test_the_budget_may_raise_the_penalty_instead(checkpoint: Built) -> None:
    training = far(checkpoint("llama"), kl_budget=1.0, kl_budget_action="raise")
    rows = [training.step(0, 0)]
    run_off(training)
    rows += [training.step(index, 0) for index in (1, 2)]
    assert rows[0]["kl"] < 1.0 < min(rows[1]["kl"], rows[2]["kl"])
    assert [row["kl_coef"] for row in rows] == [1e-3, 1e-3, 2e-3]
    assert training.kl_coef == 4e-3
    fall = training.budget.next_kl_coef
    assert [fall(4e-3, kl) for kl in (0.9, 0.6)] == [4e-3, 2e-3]  # held near the budget, halved well within it
    assert fall(1e-3, 0.1) == 1e-3  # never below what was set
    assert fall(10.0, 5.0) == 10.0  # nor without end above it
    training.settle()
    assert not training.budget.ended


def test_a_start_past_the_budget_stays_as_it_is(checkpoint: Built) -> None:
    training = far(checkpoint("llama"), kl_budget=1.0)
    run_off(training)
    before = {name: value.detach().clone() for name, value in training.parts.policy.model.named_parameters()}
    training.step(0, 0)
    assert training.budget.ended and not training.budget.learnt
    for name, value in training.parts.policy.model.named_parameters():
        assert torch.equal(value, before[name])


def costly(path: Path, **bound: object) -> RLTraining:
    training = on_policy(path, RLOOSettings(**FAST, **bound))
    cost = CallableScorer(length_cost, "length", "cost")
    free = CallableScorer(lambda prompts, texts: [1.0] * len(texts), "alike")
    return RLTraining(
        replace(training.parts, cost=cost, scorer=free),
        training.settings,
        training.hyper,
        training.sampling,
        11,
        training.compute,
    )


def test_a_cost_is_taken_from_the_score_and_moves_its_weight(checkpoint: Built) -> None:
    training = costly(checkpoint("llama"), cost_limit=0.5, cost_learning_rate=0.2, cost_multiplier=1.5)
    first, second = training.step(0, 0), training.step(1, 0)
    assert first["score"] == 1.0 and first["cost"] > 0.5
    assert first["reward"] == pytest.approx(1.0 - 1.5 * first["cost"] - 0.2 * first["kl"], rel=1e-5)
    moved = math.log(1.5) + 0.2 * 1.5 * (first["cost"] - 0.5)
    assert second["cost_multiplier"] == pytest.approx(math.exp(moved), rel=1e-9)


def test_without_a_limit_a_cost_is_only_told(checkpoint: Built) -> None:
    found = costly(checkpoint("llama")).step(0, 0)
    assert found["cost"] > 0 and found["cost_multiplier"] == 0.0
    assert found["reward"] == pytest.approx(1.0 - 0.2 * found["kl"], rel=1e-5)


def test_a_weighted_sum_is_a_multiplier_that_is_held(checkpoint: Built) -> None:
    training = costly(checkpoint("llama"), cost_limit=0.0, cost_learning_rate=0.0, cost_multiplier=0.3)
    assert [training.step(index, 0)["cost_multiplier"] for index in range(3)] == pytest.approx([0.3] * 3)
