"""From prompts to rollouts: sample, read, score."""

from __future__ import annotations

from collections.abc import Sequence

from assent.data.chat import ChatFormat
from assent.rollouts.checks import require_finite
from assent.types.messages import Prompt
from assent.types.protocols import Generator, SamplingParams
from assent.types.rollout import Generation, GenerationRequest, Rollout


def collect_rollouts(
    generator: Generator,
    chat: ChatFormat,
    prompts: Sequence[Prompt],
    prompt_ids: Sequence[Sequence[int]],
    samples_per_prompt: int,
    sampling: SamplingParams,
    seed: int,
) -> list[Rollout]:
    """`samples_per_prompt` rollouts of each prompt, prompt by prompt; the rollouts of one prompt are a group.

    Raises:
        ValueError: the generator did not give each prompt's rollouts together and in full, so they are no groups.
        ModelError: the policy gave log-probabilities that are not finite, so what it wrote has no meaning.
    """
    requests = [GenerationRequest(ids, samples_per_prompt) for ids in prompt_ids]
    generations = generator.generate(requests, sampling, seed)
    _require_groups(generations, len(requests), samples_per_prompt)
    require_finite(generations, [prompt.text for prompt in prompts])
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


def _require_groups(generations: Sequence[Generation], prompts: int, samples_per_prompt: int) -> None:
    """Advantages within groups take the rollouts by position: `samples_per_prompt` of the first prompt, and so on."""
    expected = [prompt for prompt in range(prompts) for _ in range(samples_per_prompt)]
    if [generation.request for generation in generations] != expected:
        raise ValueError(
            f"the generator must give {samples_per_prompt} continuations of each of {prompts} prompts, prompt by prompt"
        )
