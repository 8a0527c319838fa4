from __future__ import annotations

from collections.abc import Callable
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
