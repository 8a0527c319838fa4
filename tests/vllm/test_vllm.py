"""vLLM writes what the trainer's weights say, as they are now. `make vllm` installs it apart and runs this."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("vllm", reason="vLLM is not installed here: `make vllm` installs it apart")

from assent.config.settings import LoraSettings
from assent.models.loading import load_causal_lm
from assent.models.policy import Policy
from assent.rollouts import vllm as ours
from assent.rollouts.local import LocalGenerator
from assent.rollouts.vllm import VLLMGenerator
from assent.training.loop import read_metrics
from assent.types.errors import ModelError, SettingsError
from assent.types.protocols import SamplingParams
from assent.types.rollout import FinishReason, Generation, GenerationRequest
from tests.checkpoints import CONTEXT, SHAPES, Shape, build_checkpoint
from tests.command_line import assent, flags
from tests.integration.stopping_reward import STOP

Built = Callable[[Shape], Path]
PROMPTS = [[5, 6, 7, 8, 9, 10], [11], [12, 13, 14]]
REQUESTS = [GenerationRequest(prompt, count) for prompt, count in zip(PROMPTS, (3, 1, 2), strict=True)]
NATS = 1e-4  # in fp32


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Heads of 32: vLLM's attention for CPUs takes no smaller ones."""
    return functools.cache(lambda shape: build_checkpoint(tmp_path_factory.mktemp("wide") / shape, shape, hidden=128))


def policy(path: Path, rank: int) -> Any:
    return Policy(path, path, LoraSettings(rank=rank), "float32", torch.device("cpu"), seed=0).model


def changed(model: Any) -> None:
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.requires_grad and "norm" not in name:
                weight += 0.3 * weight.abs().mean().clamp(min=0.02) * torch.randn_like(weight)


def furthest(model: Any, written: list[Generation], temperature: float) -> float:
    """From the model's own log-probabilities of what was written, in nats."""
    found = 0.0
    for each in written:
        prompt = PROMPTS[each.request]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*prompt, *each.token_ids]]), use_cache=False).logits[0].float()
        told = (logits / temperature).log_softmax(-1)[len(prompt) - 1 : -1]
        exact = told.gather(-1, torch.tensor(each.token_ids)[:, None])[:, 0]
        found = max(found, float((exact - torch.tensor(each.rollout_logprobs)).abs().max()))
    return found


@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_says_what_the_weights_say_and_follows_them(shape: Shape, rank: int, checkpoint: Built) -> None:
    """Qwen3's head is tied to its embeddings, GPT-2 keeps its weights the other way round."""
    model = policy(checkpoint(shape), rank)
    versions = iter("abc")
    told: list[tuple[int, int]] = []
    generator = VLLMGenerator(model, [0], lambda: next(versions), 4, lambda done, total: told.append((done, total)))
    sampling = SamplingParams(0.7, 12)
    first = generator.generate(REQUESTS, sampling, 1)
    assert [each.request for each in first] == [0, 0, 0, 1, 2, 2]
    assert len({tuple(each.token_ids) for each in first[:3]}) == 3, "samples of one prompt"
    assert furthest(model, first, 0.7) < NATS
    changed(model)
    second = generator.generate(REQUESTS, sampling, 1)
    assert furthest(model, second, 0.7) < NATS
    assert furthest(model, first, 0.7) > 100 * NATS
    assert [each.policy_version for each in (first[0], second[0])] == ["a", "b"]
    assert told[-1] == (6, 6)


def test_it_writes_in_a_thread_with_the_weights_that_it_holds(checkpoint: Built) -> None:
    model = policy(checkpoint("llama"), 0)
    generator = VLLMGenerator(model, [0], lambda: "v")
    sampling = SamplingParams(0.7, 12)
    before = generator.generate(REQUESTS, sampling, 1)
    generator.hold()
    changed(model)
    with ThreadPoolExecutor(1) as thread:
        held = thread.submit(generator.generate, REQUESTS, sampling, 1).result()
    assert held == before
    generator.release()
    assert furthest(model, generator.generate(REQUESTS, sampling, 1), 0.7) < NATS < furthest(model, held, 0.7)


def test_the_seed_decides(checkpoint: Built) -> None:
    generator = VLLMGenerator(load_causal_lm(checkpoint("llama")).eval(), [0], lambda: "v")
    one, again, other = (
        [each.token_ids for each in generator.generate(REQUESTS, SamplingParams(1.0, 12), seed)] for seed in (1, 1, 2)
    )
    assert one == again != other


def test_tokens_are_drawn_as_often_as_they_should_be(checkpoint: Built) -> None:
    model = load_causal_lm(checkpoint("llama")).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(10)
        exact = (model(input_ids=torch.tensor([PROMPTS[0]])).logits[0, -1] / 0.8).log_softmax(-1)
    count = 2000
    written = VLLMGenerator(model, [], lambda: "v").generate(
        [GenerationRequest(PROMPTS[0], count)], SamplingParams(0.8, 1), 3
    )
    entropy = -float((exact.exp() * exact).sum())
    spread = float((exact.exp() * (exact + entropy).square()).sum()) ** 0.5
    assert spread > 0.3, "a flat distribution would prove nothing"
    mean = -sum(float(exact[each.token_ids[0]]) for each in written) / count
    assert abs(mean - entropy) < 4 * spread / count**0.5


def test_it_ends_where_the_local_one_does(checkpoint: Built) -> None:
    model = load_causal_lm(checkpoint("llama")).eval()
    stops = list(range(0, 400, 9))
    requests = [*REQUESTS, GenerationRequest(list(range(1, CONTEXT - 2)), 1)]
    greedy = SamplingParams(1.0, 20, greedy=True)
    found = VLLMGenerator(model, stops, lambda: "v").generate(requests, greedy, 0)
    theirs = LocalGenerator(model, stops, lambda: "v").generate(requests, greedy, 0)
    assert [each.token_ids for each in found] == [each.token_ids for each in theirs]
    assert [each.finish_reason for each in found] == [each.finish_reason for each in theirs]
    drawn = VLLMGenerator(model, stops, lambda: "v").generate(requests, SamplingParams(1.0, 20), 5)
    ended = [each.token_ids[-1] in stops for each in drawn]
    assert any(ended) and ended == [each.finish_reason is FinishReason.STOP for each in drawn]
    endless = VLLMGenerator(model, [], lambda: "v").generate(requests, SamplingParams(1.0, 20), 5)
    assert [each.finish_reason for each in endless] == [FinishReason.LENGTH] * 6 + [FinishReason.CONTEXT]
    assert [len(each.token_ids) for each in endless] == [20] * 6 + [3]
    with pytest.raises(ValueError, match="request 0: a prompt of 128 tokens"):
        VLLMGenerator(model, stops, lambda: "v").generate([GenerationRequest([1] * CONTEXT)], greedy, 0)


def test_weights_that_do_not_arrive_are_noticed(checkpoint: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_causal_lm(checkpoint("llama")).eval()
    generator = VLLMGenerator(model, [0], lambda: "v")
    generator.generate(REQUESTS, SamplingParams(1.0, 4), 1)
    stale = {name: weight.clone() for name, weight in model.state_dict().items()}
    changed(model)
    monkeypatch.setattr(ours, "plain_weights", lambda model: stale)
    with pytest.raises(ModelError, match=r"does not say the same as LlamaForCausalLM.*nats apart"):
        generator.generate(REQUESTS, SamplingParams(1.0, 4), 1)


def test_a_call_that_was_stopped_leaves_nothing_to_the_next(checkpoint: Built) -> None:
    model = load_causal_lm(checkpoint("llama")).eval()
    whole = VLLMGenerator(model, [], lambda: "v", 2).generate(REQUESTS, SamplingParams(1.0, 8), 1)

    def stop(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        VLLMGenerator(model, [], lambda: "v", 2, stop).generate(REQUESTS, SamplingParams(1.0, 8), 5)
    again = VLLMGenerator(model, [], lambda: "v", 2).generate(REQUESTS, SamplingParams(1.0, 8), 1)
    assert [each.token_ids for each in again] == [each.token_ids for each in whole]


def test_a_temperature_that_vllm_would_raise_is_refused(checkpoint: Built) -> None:
    model = load_causal_lm(checkpoint("llama")).eval()
    with pytest.raises(SettingsError, match=r"sampling\.temperature is 0\.001"):
        VLLMGenerator(model, [], lambda: "v").generate(REQUESTS, SamplingParams(0.001, 8), 1)


def test_a_model_that_vllm_cannot_run_is_named(tmp_path: Path) -> None:
    model = load_causal_lm(build_checkpoint(tmp_path / "narrow", "llama")).eval()
    with pytest.raises(ModelError, match=r"vLLM cannot run this LlamaForCausalLM: .*head_dim=16"):
        VLLMGenerator(model, [0], lambda: "v").generate(REQUESTS, SamplingParams(1.0, 4), 1)


def test_it_leaves_the_random_numbers_and_the_model_as_they_were(checkpoint: Built) -> None:
    model = load_causal_lm(checkpoint("gpt2")).train()
    before, plain, arrays = torch.random.get_rng_state(), random.getstate(), np.random.get_state()
    setting = torch.set_num_threads
    VLLMGenerator(model, [0], lambda: "v", batch_size=3).generate(REQUESTS, SamplingParams(1.0, 4), 1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert random.getstate() == plain and np.array_equal(np.random.get_state()[1], arrays[1])  # type: ignore[index]
    assert torch.set_num_threads is setting
    assert model.training


SMALL = {
    "sampling.generator": "vllm",
    "sampling.max-new-tokens": 8,
    "rl.steps": 3,
    "rl.rollouts-per-step": 8,
    "rl.samples-per-prompt": 4,
    "rl.evaluate-prompts": 4,
    "algorithm.learning-rate": 0.003,
    "compute.threads": 1,
}


@pytest.mark.parametrize("name", ["ppo", "grpo"])
def test_rl_trains_with_it_and_goes_on_to_the_same_bits(name: str, tmp_path: Path, checkpoint: Built) -> None:
    asked = [{"prompt": f"What of things, number {number}?"} for number in range(24)]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in asked), encoding="utf-8")
    words = ["--model", checkpoint("llama"), "--prompts", tmp_path / "prompts.jsonl", *flags(SMALL)]
    for folder in ("whole", "cut"):
        done = assent("init", folder, *words, "--reward", "tests.integration.stopping_reward:score", cwd=tmp_path)
        assert done.code == 0, done.err
    words = ["rl", "--run", "try", "--algorithm.type", name, "--json"]
    done = assent(*words, cwd=tmp_path / "whole")
    assert done.code == 0, done.err
    (tmp_path / "cut" / STOP).touch()
    stopped = assent(*words, cwd=tmp_path / "cut")
    assert stopped.code == 143, stopped.err
    resumed = assent(*words, cwd=tmp_path / "cut")
    assert resumed.code == 0, resumed.err
    assert resumed.json["policy"] == done.json["policy"]
    rows = [row for row in read_metrics(tmp_path / "whole" / "runs" / "try") if "mismatch_kl" in row]
    assert rows and all(abs(row["mismatch_kl"]) < 1e-3 for row in rows)
