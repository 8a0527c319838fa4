"""Writing in slots, and from a copy in bf16, against reading the whole sequence in one go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from assent.config.settings import LoraSettings
from assent.models.loading import load_causal_lm
from assent.models.policy import Policy
from assent.models.shadow import Shadow, plain_weights
from assent.models.slots import Slots, works_in_slots
from assent.rollouts.local import LocalGenerator
from assent.types.protocols import SamplingParams
from assent.types.rollout import GenerationRequest
from tests.checkpoints import SHAPES, Shape

Built = Callable[[Shape], Path]
PROMPTS = [[5, 6, 7, 8, 9, 10], [11], [12, 13, 14], [15, 16]]


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_that_come_and_go_are_told_as_if_alone(shape: Shape, checkpoint: Built) -> None:
    model = load_causal_lm(checkpoint(shape)).eval()
    assert works_in_slots(model)
    slots = Slots(3, 2, 128)
    written = {0: list(PROMPTS[0]), 1: list(PROMPTS[1])}
    live = [0, 1]
    with torch.inference_mode():
        logits = slots.admit(model, [PROMPTS[0], PROMPTS[1]], [1, 1])
        for step in range(12):
            if step == 5:  # the longer one is finished; two others come in
                slots.keep(torch.tensor([1]))
                live = [1, 2, 3]
                logits = torch.cat([logits[1:], slots.admit(model, PROMPTS[2:], [1, 1])])
                written |= {2: list(PROMPTS[2]), 3: list(PROMPTS[3])}
            for row, found in zip(live, logits, strict=True):
                whole = model(input_ids=torch.tensor([written[row]]), use_cache=False).logits[0, -1]
                torch.testing.assert_close(found, whole, rtol=0, atol=1e-5)
            new = [20 + 3 * step + row for row in live]
            for row, token in zip(live, new, strict=True):
                written[row].append(token)
            logits = slots.step(model, torch.tensor(new))


@pytest.mark.parametrize("shape", SHAPES)
def test_with_fewer_slots_than_rows_the_same_is_written(shape: Shape, checkpoint: Built) -> None:
    model = load_causal_lm(checkpoint(shape)).eval()
    requests = [GenerationRequest(prompt, n) for prompt, n in zip(PROMPTS, (3, 1, 4, 2), strict=True)]
    told: list[tuple[int, int]] = []
    few = LocalGenerator(model, range(0, 400, 9), lambda: "v", 3, lambda done, total: told.append((done, total)))
    many = LocalGenerator(model, range(0, 400, 9), lambda: "v", 64)
    ours, theirs = (each.generate(requests, SamplingParams(1.0, 20), 1) for each in (few, many))
    assert [each.token_ids for each in ours] == [each.token_ids for each in theirs]
    assert len({len(each.token_ids) for each in ours}) > 3, "rows that all end together would prove nothing"
    assert told[-1] == (10, 10)


def test_a_model_that_forgets_is_written_with_padded(checkpoint: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    path = checkpoint("llama")
    requests = [GenerationRequest(prompt, 2) for prompt in PROMPTS]
    plain = LocalGenerator(load_causal_lm(path).eval(), [0], lambda: "v").generate(requests, SamplingParams(1.0, 9), 1)
    other = load_causal_lm(path).eval()
    monkeypatch.setattr(Slots, "step", lambda self, model, tokens: torch.zeros(len(tokens), 400))
    assert not works_in_slots(other)
    found = LocalGenerator(other, [0], lambda: "v").generate(requests, SamplingParams(1.0, 9), 1)
    assert [each.token_ids for each in found] == [each.token_ids for each in plain]


@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_shadow_says_the_same_as_its_source_and_follows_it(shape: Shape, rank: int, checkpoint: Built) -> None:
    path = checkpoint(shape)
    policy = Policy(path, path, LoraSettings(rank=rank), "float32", torch.device("cpu"), seed=0).model
    shadow = Shadow(policy)
    ids = torch.tensor([[5, 6, 7, 8, 9]])

    def gap() -> tuple[float, float]:
        with torch.no_grad():
            source = policy(input_ids=ids).logits
            return float((shadow.model(input_ids=ids).logits - source).abs().max()), float(source.std())

    near, spread = gap()
    assert near < 0.1 * spread
    with torch.no_grad():
        for name, weight in policy.named_parameters():
            if weight.requires_grad and "norm" not in name:
                weight += 0.3 * weight.abs().mean().clamp(min=0.02) * torch.randn_like(weight)
    far, _ = gap()
    assert far > 3 * near
    shadow.refresh()
    assert gap()[0] < 0.1 * gap()[1]
    assert works_in_slots(shadow.model)


def test_an_adapter_is_added_to_the_weights_it_belongs_to(checkpoint: Built) -> None:
    path = checkpoint("gpt2")
    policy = Policy(path, path, LoraSettings(rank=4), "float32", torch.device("cpu"), seed=0).model
    with torch.no_grad():
        for name, weight in policy.named_parameters():
            if "lora_B" in name:
                weight += 0.1
    plain = load_causal_lm(path)
    plain.load_state_dict(plain_weights(policy))
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    with torch.no_grad():
        torch.testing.assert_close(plain(input_ids=ids).logits, policy(input_ids=ids).logits, rtol=0, atol=1e-4)


def test_in_bf16_log_probabilities_are_near_those_in_fp32(checkpoint: Built) -> None:
    model = load_causal_lm(checkpoint("llama")).eval()
    requests = [GenerationRequest(prompt, 2) for prompt in PROMPTS]
    found = LocalGenerator(model, [0], lambda: "v", bf16=True).generate(requests, SamplingParams(1.0, 9), 1)
    for each in found:
        ids = [*PROMPTS[each.request], *each.token_ids]
        with torch.no_grad():
            logp = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        begin = len(ids) - len(each.token_ids)
        exact = [float(logp[place - 1, ids[place]]) for place in range(begin, len(ids))]
        torch.testing.assert_close(torch.tensor(each.rollout_logprobs), torch.tensor(exact), rtol=0, atol=0.05)
