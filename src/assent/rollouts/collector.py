"""From prompts to rollouts: sample, read, score."""

from __future__ import annotations

from collections.abc import Sequence

from assent.data.chat import ChatFormat
from assent.types.messages import Prompt
from assent.types.protocols import Generator, SamplingParams
from assent.types.rollout import GenerationRequest, Rollout


def collect_rollouts(
    generator: Generator,
    chat: ChatFormat,
    prompts: Sequence[Prompt],
    prompt_ids: Sequence[Sequence[int]],
    samples_per_prompt: int,
    sampling: SamplingParams,
    seed: int,
) -> list[Rollout]:
    """`samples_per_prompt` rollouts of each prompt, prompt by prompt; the rollouts of one prompt are a group."""
    requests = [GenerationRequest(ids, samples_per_prompt) for ids in prompt_ids]
    generations = generator.generate(requests, sampling, seed)
    return [
        Rollout(
            prompt_index=generation.request,
            prompt_ids=prompt_ids[generation.request],
            completion_ids=generation.token_ids,
            rollout_logprobs=generation.rollout_logprobs,
            finish_reason=generation.finish_reason,
            text=chat.text_of(generation.token_ids),
            policy_version=generation.policy_version,
            group=generation.request,
        )
        for generation in generations
    ]
