from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from assent.data.chat import ChatFormat
from assent.models.loading import load_causal_lm, load_tokenizer, stop_ids
from assent.rollouts.collector import collect_rollouts
from assent.rollouts.local import LocalGenerator
from assent.types.errors import ModelError
from assent.types.messages import user_prompt
from assent.types.protocols import SamplingParams
from assent.types.rollout import Generation, GenerationRequest
from tests.checkpoints import Shape

PROMPTS = [user_prompt("May I mix vinegar and bleach?"), user_prompt("How do I clean a window?")]


def parts(path: Path) -> tuple[LocalGenerator, ChatFormat]:
    chat = ChatFormat(load_tokenizer(path))
    model = load_causal_lm(path).eval()
    return LocalGenerator(model, stop_ids(model, chat.tokenizer), lambda: "policy-9+3"), chat


def test_rollouts_come_prompt_by_prompt_in_groups(checkpoint: Callable[[Shape], Path]) -> None:
    generator, chat = parts(checkpoint("qwen3"))
    ids = [chat.prompt_ids(prompt) for prompt in PROMPTS]
    found = collect_rollouts(generator, chat, PROMPTS, ids, 3, SamplingParams(1.0, 6), seed=0)
    assert [rollout.prompt_index for rollout in found] == [0, 0, 0, 1, 1, 1]
    assert [rollout.group for rollout in found] == [0, 0, 0, 1, 1, 1]
    for rollout in found:
        assert rollout.prompt_ids == ids[rollout.prompt_index]
        assert rollout.text == chat.text_of(rollout.completion_ids)
        assert rollout.policy_version == "policy-9+3"
        assert rollout.score is None
    assert len({tuple(rollout.completion_ids) for rollout in found}) == 6


def test_a_policy_with_damaged_weights_is_refused(checkpoint: Callable[[Shape], Path]) -> None:
    generator, chat = parts(checkpoint("llama"))
    with torch.no_grad():
        generator.model.lm_head.weight[5] = float("nan")
    ids = [chat.prompt_ids(prompt) for prompt in PROMPTS]
    with pytest.raises(ModelError, match=r"policy-9\+3.*no finite log-probabilit"):
        collect_rollouts(generator, chat, PROMPTS, ids, 1, SamplingParams(1.0, 6), seed=0)


class Jumbled:
    """A generator that gives what another gives in another order, or not all of it."""

    def __init__(self, generator: LocalGenerator, order: list[int]) -> None:
        self.generator, self.order = generator, order
        self.policy_version = generator.policy_version

    def generate(self, requests: Sequence[GenerationRequest], sampling: SamplingParams, seed: int) -> list[Generation]:
        found = self.generator.generate(requests, sampling, seed)
        return [found[place] for place in self.order]


@pytest.mark.parametrize("order", [[0, 2, 1, 3], [2, 3, 0, 1], [0, 1, 2], [0, 1, 2, 3, 3]])
def test_rollouts_that_are_no_groups_are_refused(order: list[int], checkpoint: Callable[[Shape], Path]) -> None:
    generator, chat = parts(checkpoint("llama"))
    ids = [chat.prompt_ids(prompt) for prompt in PROMPTS]
    with pytest.raises(ValueError, match="2 continuations of each of 2 prompts, prompt by prompt"):
        collect_rollouts(Jumbled(generator, order), chat, PROMPTS, ids, 2, SamplingParams(1.0, 4), seed=0)
