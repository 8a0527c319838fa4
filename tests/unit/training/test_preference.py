"""Offline preference learning as it is trained: where it starts, what a step does, and what is held together."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from assent.config import (
    DPOSettings,
    IPOSettings,
    KTOSettings,
    ORPOSettings,
    SimPOSettings,
)
from assent.config.preference import PREFERENCES
from assent.config.settings import LoraSettings
from assent.functional import masked_sum
from assent.functional.batching import make_batch
from assent.models.policy import Policy, completion_logprobs
from assent.training.loop import LoopSettings, run_steps
from assent.training.preference import passes_of, plan_of
from assent.training.reference import ReferenceMeasuring, microbatches
from assent.types.protocols import Silent
from tests.checkpoints import Shape
from tests.unit.training.building import CPU, JUDGEMENTS, PAIRS, compute, preference

Built = Callable[[Shape], Path]

AT_LN_2 = [
    DPOSettings(),
    DPOSettings(kl_coef=5.0),
    DPOSettings(label_smoothing=0.2),
    DPOSettings(flip_rate=0.2),
    DPOSettings(ties="learn", label_smoothing=0.1),
]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("settings", AT_LN_2, ids=["plain", "large β", "smoothed", "robust", "ties"])
@pytest.mark.parametrize(("shape", "rank"), [("llama", 0), ("gpt2", 0), ("qwen3", 2)])
def test_dpo_starts_at_ln_2(settings: DPOSettings, shape: Shape, rank: int, precision: str, checkpoint: Built) -> None:
    first = preference(checkpoint(shape), settings, rank, tokens=64, precision=precision).step(0, 0)
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert (first["log_ratio"], first["margin"], first["accuracy"]) == (0.0, 0.0, 0.0)
    assert first["grad_norm"] > 1e-4


def test_the_others_start_where_they_must(checkpoint: Built) -> None:
    """IPO at (1 / 2β)²; KTO at λ / 2; the loss of the other two has no reference and depends on the model."""
    assert preference(checkpoint("llama"), IPOSettings(kl_coef=0.25)).step(0, 0)["loss"] == pytest.approx(4.0, abs=1e-5)
    averaged = IPOSettings(kl_coef=0.25, length_average=True)
    assert preference(checkpoint("llama"), averaged).step(0, 0)["loss"] == pytest.approx(4.0, abs=1e-5)
    kto = preference(checkpoint("llama"), KTOSettings(desirable_weight=3.0, undesirable_weight=1.0))
    desirable = sum(JUDGEMENTS[row].label for row in kto.plan[0])
    first = kto.step(0, 0)
    assert first["loss"] == pytest.approx((3.0 * desirable + (4 - desirable)) / 2 / 4, abs=1e-6)
    assert (first["reference_kl"], first["log_ratio"]) == (0.0, 0.0)
    for settings in (ORPOSettings(), SimPOSettings()):
        metrics = preference(checkpoint("llama"), settings).step(0, 0)
        assert "log_ratio" not in metrics and metrics["loss"] > 0.5


@pytest.mark.parametrize("name", PREFERENCES)
@pytest.mark.parametrize("rank", [0, 2])
def test_every_loss_learns_its_examples(name: str, rank: int, checkpoint: Built) -> None:
    settings = PREFERENCES[name](learning_rate=1.0)  # `preference` sets another
    training = preference(checkpoint("llama"), settings, rank)
    rows = range(len(training.examples))
    before = training.accumulate(rows)
    training.optimiser.drop_gradients()
    for index in range(training.steps):
        assert math.isfinite(training.step(index, 0)["loss"])
    after = training.accumulate(rows)
    assert after["loss"] < before["loss"]
    assert after["margin"] > before["margin"]
    assert after["margin"] == pytest.approx(after["chosen_reward"] - after["rejected_reward"])
    if name != "kto":  # whose second completions are of other prompts
        assert after["margin"] == pytest.approx(sum(training.margins(rows)) / len(rows), rel=1e-4, abs=1e-5)
    assert (not rank) or not any("lora" not in tensor for tensor in training.tensors() if tensor.startswith("model"))


def test_the_reference_is_what_the_model_gave_alone(checkpoint: Built) -> None:
    """Every example by itself, without any padding, gives what the pass over all of them found."""
    for settings, examples in ((DPOSettings(), PAIRS), (KTOSettings(), JUDGEMENTS)):
        policy = Policy(checkpoint("gpt2"), checkpoint("gpt2"), LoraSettings(), "float32", CPU, seed=1)
        plan = plan_of(len(examples), settings, 3)
        measuring = ReferenceMeasuring(policy, examples, plan, passes_of(settings), 0.7, compute(100))
        for step in range(measuring.steps):
            measuring.step(step, 0)
        for row, example in enumerate(examples):
            for place, completion in enumerate(example.completions):
                batch = make_batch([example.prompt], [completion])
                with torch.no_grad():
                    alone, _ = completion_logprobs(policy.model, batch, 0.7)
                expected = float(masked_sum(alone, batch.completion_mask))
                assert float(measuring.logprobs[row, place]) == pytest.approx(expected, abs=1e-4)


def test_each_example_is_measured_once_whatever_the_epochs(checkpoint: Built, tmp_path: Path) -> None:
    settings = DPOSettings(batch_size=5, epochs=3.0)
    plan = plan_of(11, settings, 3)
    assert len(plan) == 7 and all(len(rows) == 5 for rows in plan)
    policy = Policy(checkpoint("llama"), checkpoint("llama"), LoraSettings(), "float32", CPU, seed=1)

    def measuring() -> ReferenceMeasuring:
        return ReferenceMeasuring(policy, PAIRS[:11], plan, passes_of(settings), 1.0, compute())

    whole = measuring()
    assert sorted(row for rows in whole.plan for row in rows) == list(range(11))
    run_steps(whole, tmp_path, LoopSettings(whole.steps, 1), Silent(), "reference")
    again = measuring()
    assert not again.logprobs.any()
    run_steps(again, tmp_path, LoopSettings(again.steps, 1), Silent(), "reference")  # nothing is left to do
    assert torch.equal(whole.logprobs, again.logprobs) and bool(whole.logprobs.all())


def test_a_pair_is_never_parted() -> None:
    groups = microbatches(PAIRS, range(11), (0, 1), compute(64))
    assert sorted(row for group in groups for row in group) == list(range(11))
    assert len(groups) > 3
    for group in groups:
        width = max(len(PAIRS[row].prompt) + max(map(len, PAIRS[row].completions)) for row in group)
        assert len(group) == 1 or 2 * width * len(group) <= 64


def test_fewer_examples_than_a_batch_holds_are_one_step_each_epoch() -> None:
    assert [sorted(rows) for rows in plan_of(3, DPOSettings(epochs=2.0), 0)] == [[0, 1, 2], [0, 1, 2]]


def test_a_non_finite_step_changes_nothing(checkpoint: Built) -> None:
    training = preference(checkpoint("llama"), DPOSettings())
    assert training.reference is not None
    training.reference[training.plan[0][0], 0] = math.nan
    before = {name: tensor.clone() for name, tensor in training.tensors().items()}
    assert training.step(0, 0) == {"skipped": 1.0}
    assert all(torch.equal(tensor, before[name]) for name, tensor in training.tensors().items())
    assert "skipped" not in training.step(1, 0) or training.plan[0][0] in training.plan[1]
