"""Completions that people judged, measured under a model: the reference once and for all, the policy at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from assent.config.settings import ComputeSettings
from assent.functional import masked_sum
from assent.functional.batching import make_batch, split_by_tokens
from assent.models.policy import Policy, completion_logprobs
from assent.training.precision import fast_products

Pass = tuple[int, ...]  # the places in `Example.completions` that go through the model together
PAIRED: tuple[Pass, ...] = ((0, 1),)
JUDGED: tuple[Pass, ...] = ((0,), (1,))


@dataclass(frozen=True)
class Example:
    """A prompt and two completions, as tokens.

    Of a pair: the one that won, or the first of a tie, then the other. Of a completion judged by itself: that one,
    then one of another prompt, on which the reference point is measured.
    """

    prompt: Sequence[int]
    completions: tuple[Sequence[int], Sequence[int]]
    label: float  # of a pair 1, or 0.5 for a tie; judged by itself 1 if desirable, else 0
    weight: float = 1.0


def microbatches(
    examples: Sequence[Example], rows: Sequence[int], places: Pass, compute: ComputeSettings
) -> list[list[int]]:
    """These rows in groups of at most `tokens_per_microbatch` padded tokens; what is measured together stays so."""
    widths = []
    for row in rows:
        example = examples[row]
        longest = max(len(example.completions[place]) for place in places)
        widths.append(len(places) * (len(example.prompt) + longest))
    return [[rows[i] for i in group] for group in split_by_tokens(widths, compute.tokens_per_microbatch)]


def sequence_logprobs(
    model: nn.Module,
    examples: Sequence[Example],
    places: Pass,
    temperature: float,
    compute: ComputeSettings,
) -> tuple[Float[Tensor, "P N"], Float[Tensor, "P N"]]:
    """Log-probabilities in nats, summed over each completion's tokens, and their counts; P places, N examples."""
    device = next(model.parameters()).device
    prompts = [example.prompt for _ in places for example in examples]
    batch = make_batch(prompts, [example.completions[place] for place in places for example in examples]).to(device)
    with fast_products(compute, device):
        logprobs, _ = completion_logprobs(model, batch, temperature)
    sums = masked_sum(logprobs, batch.completion_mask, dim=-1)
    lengths = batch.completion_mask.sum(-1).to(sums.dtype)
    return sums.view(len(places), -1), lengths.view(len(places), -1)


class ReferenceMeasuring:
    """Log-probabilities of every example under the reference: each is measured once, before training begins.

    A step of it measures what is new in that step of training, in the very microbatches in which training will see it
    first. So the policy that starts from the reference starts with log-ratios of exactly 0, whatever the precision.

    Args:
        policy: whose reference is measured.
        examples: all of them.
        plan: the rows of each step.
        passes: which of an example's completions go through the model together.
        temperature: of sampling.
    """

    def __init__(
        self,
        policy: Policy,
        examples: Sequence[Example],
        plan: Sequence[Sequence[int]],
        passes: Sequence[Pass],
        temperature: float,
        compute: ComputeSettings,
    ) -> None:
        self.policy = policy
        self.examples = examples
        self.passes = passes
        self.temperature = temperature
        self.compute = compute
        self.plan = _first_times(plan)
        weight = next(policy.model.parameters())
        dtype = torch.promote_types(weight.dtype, torch.float32)
        self.logprobs: Float[Tensor, "N 2"] = torch.zeros(len(examples), 2, dtype=dtype, device=weight.device)

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.plan)

    @torch.no_grad()
    def step(self, index: int, attempt: int) -> dict[str, float]:
        """Measure this step's rows."""
        with self.policy.reference() as model:
            for places in self.passes:
                for group in microbatches(self.examples, self.plan[index], places, self.compute):
                    chosen = [self.examples[row] for row in group]
                    found, _ = sequence_logprobs(model, chosen, places, self.temperature, self.compute)
                    rows = torch.tensor(group, device=found.device)
                    for place, values in zip(places, found, strict=True):
                        self.logprobs[rows, place] = values
        return {"examples": float(len(self.plan[index]))}

    def tensors(self) -> dict[str, Tensor]:
        """What has been measured."""
        return {"logprobs": self.logprobs}

    def values(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Back to a checkpoint."""
        self.logprobs.copy_(tensors["logprobs"])


def _first_times(plan: Sequence[Sequence[int]]) -> list[list[int]]:
    """The rows of each step that no step before had; steps without any are left out."""
    seen: set[int] = set()
    steps = []
    for rows in plan:
        new = [row for row in dict.fromkeys(rows) if row not in seen]
        seen.update(new)
        if new:
            steps.append(new)
    return steps
