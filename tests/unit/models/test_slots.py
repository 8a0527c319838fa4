"""Writing in slots, and from a copy in bf16, against reading the whole sequence in one go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GraniteConfig,
    LlamaConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

from assent.config.settings import LoraSettings
from assent.models.loading import load_causal_lm
from assent.models.policy import Policy
from assent.models.quick_step import quick_step
from assent.models.shadow import Shadow, plain_weights
from assent.models.slots import Slots, steps_quickly, works_in_slots
from assent.rollouts.local import LocalGenerator
from assent.types.protocols import SamplingParams
from assent.types.rollout import GenerationRequest
from tests.checkpoints import SHAPES, Shape

Built = Callable[[Shape], Path]
PROMPTS = [[5, 6, 7, 8, 9, 10], [11], [12, 13, 14], [15, 16]]


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_that_come_and_go_are_told_as_if_alone(shape: Shape, quick: bool, checkpoint: Built) -> None:
    model = load_causal_lm(checkpoint(shape)).eval()
    assert works_in_slots(model)
    step_in_its_place = quick_step(model) if quick else None
    assert (step_in_its_place is not None) == (quick and shape != "gpt2")
    slots = Slots(3, 2, 128, step_in_its_place)
    written = {0: list(PROMPTS[0]), 1: list(PROMPTS[1])}
    live = [0, 1]
    with torch.inference_mode():
        logits = slots.admit(model, [PROMPTS[0], PROMPTS[1]], [1, 1])
        for step in range(12):
            if step == 5:  # the longer one is finished; two others come in
                slots.keep(torch.tensor([1]))  # it fills the gap
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


MORE = {
    "biases of queries, keys and values": (Qwen2Config, {}),
    "heads of a size of their own": (Qwen3Config, {"head_dim": 24}),
    "angles that depend on the longest": (
        LlamaConfig,
        {"rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4}, "max_position_embeddings": 8},
    ),
}
OTHERS = {  # with parts of the same names
    "another activation": (LlamaConfig, {"hidden_act": "gelu"}),
    "queries that are scaled late": (
        LlamaConfig,
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "llama_4_scaling_beta": 0.1}},
    ),
    "a stream that is scaled": (GraniteConfig, {"residual_multiplier": 0.5, "logits_scaling": 2.0}),
    "layers without positions": (SmolLM3Config, {"no_rope_layers": [1, 0]}),
    "norms of another kind": (Gemma2Config, {"sliding_window": None}),
}


def made_of(kind: type[PretrainedConfig], more: dict[str, Any]) -> nn.Module:
    """A small model of random weights."""
    shape = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "vocab_size": 300, "pad_token_id": 0}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.2}
    torch.manual_seed(0)
    model: nn.Module = AutoModelForCausalLM.from_config(kind(**(shape | heads | more)), dtype=torch.float32)
    return model.eval()


@pytest.mark.parametrize("what", MORE)
def test_quick_steps_are_taken_by_what_has_the_parts(what: str) -> None:
    model = made_of(*MORE[what])
    assert works_in_slots(model) and steps_quickly(model)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight += 0.1 * torch.randn_like(weight) if "norm" in name or "bias" in name else 0.0
    plain, quick = Slots(2, 4, 64), Slots(2, 4, 64, quick_step(model))
    with torch.inference_mode():
        for slots in (plain, quick):
            slots.admit(model, [PROMPTS[0], PROMPTS[2]], [1, 1])
        for token in range(20, 60):
            new = torch.tensor([token, token + 1])
            torch.testing.assert_close(quick.step(model, new), plain.step(model, new), rtol=0, atol=1e-4)


@pytest.mark.parametrize("what", OTHERS)
def test_what_only_looks_like_it_takes_its_own_steps(what: str) -> None:
    assert not steps_quickly(made_of(*OTHERS[what]))


@pytest.mark.parametrize("rank", [0, 4])
def test_quick_steps_follow_weights_and_adapters(rank: int, checkpoint: Built) -> None:
    path = checkpoint("qwen3")
    model = Policy(path, path, LoraSettings(rank=rank), "float32", torch.device("cpu"), seed=0).model
    generator = LocalGenerator(model, [0], lambda: "v")
    requests = [GenerationRequest(prompt, 2) for prompt in PROMPTS]
    told = []
    for _ in range(2):
        with torch.no_grad():
            for weight in model.parameters():
                weight += 0.02 * torch.randn_like(weight) * weight.requires_grad
        told.append(generator.generate(requests, SamplingParams(1.0, 9), 1))
        for each in told[-1]:
            ids = [*PROMPTS[each.request], *each.token_ids]
            with torch.no_grad():
                logp = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
            exact = logp[len(ids) - 1 - len(each.token_ids) : -1].gather(-1, torch.tensor(each.token_ids)[:, None])
            torch.testing.assert_close(torch.tensor(each.rollout_logprobs), exact[:, 0], rtol=0, atol=1e-4)
    assert told[0] != told[1]
    assert steps_quickly(model)


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
    assert not works_in_slots(other) and not steps_quickly(other)
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
    assert works_in_slots(shadow.model) and steps_quickly(shadow.model) == (shape != "gpt2")


def test_a_shadow_turns_as_its_source_far_from_the_beginning() -> None:
    source = made_of(LlamaConfig, {"max_position_embeddings": 4096})
    shadow = Shadow(source)
    for name, buffer in source.named_buffers():
        assert torch.equal(dict(shadow.model.named_buffers())[name], buffer), name
    ids = torch.randint(300, (1, 2000), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        near, far = (source(input_ids=ids).logits - shadow.model(input_ids=ids).logits).abs()[0].mean(-1)[[50, -1]]
    assert far < 2 * near


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
