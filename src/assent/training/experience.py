"""A step's rollouts as padded tensors, measured under policy, reference and value model, and cut into microbatches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from assent.algorithms.base import Experience, Targets
from assent.config.settings import ComputeSettings
from assent.functional.batching import TokenBatch, make_batch, split_by_tokens
from assent.models.policy import Policy, completion_logprobs
from assent.models.scalar import value_tokens
from assent.training.precision import fast_products
from assent.types.protocols import SamplingParams
from assent.types.rollout import Rollout


@dataclass(frozen=True)
class Measured:
    """The experience with the tokens it is about, and the generator's own log-probabilities."""

    experience: Experience
    rollouts: Sequence[Rollout]
    rollout_logprobs: Float[Tensor, "B T"]
    entropy: Float[Tensor, "B T"]
    temperature: float  # at which all of this was sampled and measured

    def microbatches(self, rows: Sequence[int], max_tokens: int) -> list[list[int]]:
        """These rows in groups of at most `max_tokens` padded tokens; those of one prompt stay together if they can."""
        return _microbatches(self.rollouts, rows, self.experience.samples_per_prompt, max_tokens)

    def batch(self, rows: Sequence[int], device: torch.device) -> TokenBatch:
        """The tokens of these rows."""
        return rollout_batch([self.rollouts[row] for row in rows], device)

    def take(self, rows: Sequence[int], targets: Targets, width: int) -> tuple[Experience, Targets]:
        """The part of these rows, cut to their longest completion."""
        return self.experience.take(rows, width), targets.take(rows, width)


def measure(
    rollouts: Sequence[Rollout],
    scores: Sequence[float],
    policy: Policy,
    value_model: nn.Module | None,
    sampling: SamplingParams,
    samples_per_prompt: int,
    compute: ComputeSettings,
    device: torch.device,
    max_turns: int = 1,
) -> Measured:
    """Recompute log-probabilities and values of a step's rollouts before anything is updated.

    Args:
        max_turns: how often the policy may write `sampling.max_new_tokens` in one rollout.
    """
    temperature = sampling.temperature
    shape = _shape(rollouts)
    old, ref, entropy, values = (torch.zeros(shape, device=device) for _ in range(4))
    for group in _microbatches(rollouts, range(len(rollouts)), samples_per_prompt, compute.tokens_per_microbatch):
        batch = rollout_batch([rollouts[row] for row in group], device)
        index, cut = torch.tensor(group, device=device), batch.completion_mask.shape[1]
        with torch.no_grad(), fast_products(compute, device):
            logprobs, spread = completion_logprobs(policy.model, batch, temperature, "watch")
            old[index, :cut] = logprobs
            entropy[index, :cut] = spread if spread is not None else 0.0
            ref[index, :cut] = policy.reference_logprobs(batch, temperature)
            if value_model is not None:
                values[index, :cut] = value_tokens(value_model, batch)
    sampled = taken_as_sampled(rollouts, scores, sampling, samples_per_prompt, device, max_turns)
    found = values if value_model is not None else None
    experience = replace(sampled.experience, old_logprobs=old, ref_logprobs=ref, values=found)
    return replace(sampled, experience=experience, entropy=entropy)


def taken_as_sampled(
    rollouts: Sequence[Rollout],
    scores: Sequence[float],
    sampling: SamplingParams,
    samples_per_prompt: int,
    device: torch.device,
    max_turns: int = 1,
) -> Measured:
    """The same without asking a model: all log-probabilities are the generator's, entropies are zero."""
    shape = _shape(rollouts)
    sampled = torch.zeros(shape, device=device)
    mask: Bool[Tensor, "B T"] = torch.zeros(shape, dtype=torch.bool, device=device)
    for row, rollout in enumerate(rollouts):
        sampled[row, : len(rollout.rollout_logprobs)] = torch.tensor(rollout.rollout_logprobs, device=device)
        written = rollout.written or [True] * len(rollout.completion_ids)
        mask[row, : len(written)] = torch.tensor(written, device=device)
    experience = Experience(
        mask=mask,
        score=torch.tensor(list(scores), dtype=torch.float32, device=device),
        finished=torch.tensor([rollout.finished for rollout in rollouts], device=device),
        old_logprobs=sampled,
        ref_logprobs=sampled,
        values=None,
        rollout_logprobs=sampled,
        samples_per_prompt=samples_per_prompt,
        max_new_tokens=max_turns * sampling.max_new_tokens,
        earned=_earned(rollouts, shape[1], device),
    )
    return Measured(experience, rollouts, sampled, torch.zeros_like(sampled), sampling.temperature)


def _shape(rollouts: Sequence[Rollout]) -> tuple[int, int]:
    return len(rollouts), max(len(rollout.completion_ids) for rollout in rollouts)


def _microbatches(
    rollouts: Sequence[Rollout], rows: Sequence[int], samples_per_prompt: int, max_tokens: int
) -> list[list[int]]:
    lengths = [len(rollouts[row].prompt_ids) + len(rollouts[row].completion_ids) for row in rows]
    prompts = [row // samples_per_prompt for row in rows]
    return [[rows[i] for i in group] for group in split_by_tokens(lengths, max_tokens, prompts)]


def rollout_batch(rollouts: Sequence[Rollout], device: torch.device) -> TokenBatch:
    """Their tokens; the completion mask is true where the policy wrote, and false on what an environment answered."""
    batch = make_batch([rollout.prompt_ids for rollout in rollouts], [rollout.completion_ids for rollout in rollouts])
    for row, rollout in enumerate(rollouts):
        if rollout.written is not None:
            batch.completion_mask[row, : len(rollout.written)] = torch.tensor(rollout.written)
    return batch.to(device)


def _earned(rollouts: Sequence[Rollout], width: int, device: torch.device) -> Float[Tensor, "B T"] | None:
    """The rewards of environments turn by turn; None where each rollout has but a score."""
    if all(rollout.rewards is None for rollout in rollouts):
        return None
    earned = torch.zeros(len(rollouts), width, device=device)
    for row, rollout in enumerate(rollouts):
        if rollout.rewards is None:
            raise ValueError(f"rollout {row} has no rewards by turn, and others have")
        earned[row, : len(rollout.rewards)] = torch.tensor(rollout.rewards, device=device)
    return earned
