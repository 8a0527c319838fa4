"""Next-token training: pretraining on raw text, and supervised fine-tuning on demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from assent.config.settings import ComputeSettings, LanguageModelSettings
from assent.functional import masked_sum
from assent.functional.batching import TokenBatch, make_batch, pack_stream, split_by_tokens
from assent.models.policy import completion_logprobs
from assent.training.checkpoint import restore_tensors, trainable_tensors
from assent.training.loop import cosine_share
from assent.training.memory import Longest, Need, need_of, vocabulary_of
from assent.training.optimiser import GuardedOptimiser
from assent.training.order import batches_by_tokens
from assent.training.precision import fast_products
from assent.types.seeds import derive_seed

Example = tuple[Sequence[int], Sequence[int]]  # what is given, what is learnt


class LanguageModelTraining:
    """Cross-entropy on the second part of each example; one token, one vote, whatever the microbatches.

    Args:
        examples: for pretraining the first token of a row and its rest; for SFT a prompt and its answer.
        compute: padded tokens in one forward and backward, and their precision.
    """

    def __init__(
        self,
        model: nn.Module,
        examples: Sequence[Example],
        settings: LanguageModelSettings,
        seed: int,
        compute: ComputeSettings,
    ) -> None:
        self.model = model
        self.examples = examples
        self.settings = settings
        self.seed = seed
        self.compute = compute
        lengths = [len(given) + len(learnt) for given, learnt in examples]
        self.plan = batches_by_tokens(lengths, settings.tokens_per_step, settings.steps, seed, "examples")
        self.optimiser = GuardedOptimiser(
            model, settings.learning_rate, settings.weight_decay, settings.max_grad_norm, kind=settings.optimizer
        )

    def step(self, index: int, attempt: int) -> dict[str, float]:
        """One optimiser step on this step's examples."""
        torch.manual_seed(derive_seed(self.seed, "dropout", attempt, index))
        chosen = [self.examples[i] for i in self.plan[index]]
        tokens = sum(len(learnt) for _, learnt in chosen)
        total = accumulate_nll(self.model, chosen, self.compute)
        s = self.settings
        share = cosine_share(index, s.steps, s.warmup_steps, s.final_learning_rate_share)
        norm = self.optimiser.apply(share)
        if norm is None:
            return {"skipped": 1.0}
        return {"loss": total, "grad_norm": norm, "learning_rate": s.learning_rate * share, "tokens": float(tokens)}

    def memory(self) -> Need:
        """What it needs beside its weights."""
        given, learnt = max(self.examples, key=lambda example: len(example[0]) + len(example[1]))
        most = max(sum(len(part) for i in rows for part in self.examples[i]) for rows in self.plan)
        tokens = min(self.compute.tokens_per_microbatch, most)
        longest = Longest(len(given), len(learnt), tokens, vocabulary=vocabulary_of(self.model))

        def forward(batch: TokenBatch) -> Tensor:
            with fast_products(self.compute, batch.ids.device):
                return completion_logprobs(self.model, batch, 1.0)[0]

        return need_of(forward, [self.optimiser], [self.model], longest)

    def tensors(self) -> dict[str, Tensor]:
        """Weights and optimiser state."""
        return {**trainable_tensors("model", self.model), **self.optimiser.tensors("adam")}

    def values(self) -> dict[str, Any]:
        """Nothing: every random stream is addressed by the step."""
        return {}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Back to a checkpoint."""
        restore_tensors("model", self.model, tensors)
        self.optimiser.restore("adam", tensors)


def accumulate_nll(
    model: nn.Module, examples: Sequence[Example], compute: ComputeSettings, weight: float = 1.0
) -> float:
    """Add the gradients of the mean negative log-likelihood of the learnt tokens, microbatch by microbatch.

    Args:
        weight: of these gradients; the mean that is returned, in nats a token, is without it.
    """
    device = next(model.parameters()).device
    tokens = sum(len(learnt) for _, learnt in examples)
    total = 0.0
    for group in split_by_tokens([len(a) + len(b) for a, b in examples], compute.tokens_per_microbatch):
        batch = make_batch([examples[i][0] for i in group], [examples[i][1] for i in group]).to(device)
        with fast_products(compute, device):
            logprobs, _ = completion_logprobs(model, batch, 1.0)
        loss = -masked_sum(logprobs, batch.completion_mask) / tokens
        (weight * loss).backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total


def packed_examples(documents: Sequence[Sequence[int]], row_tokens: int) -> list[Example]:
    """Rows of running text: the first token is given, every other one learnt."""
    return [(row[:1].tolist(), row[1:].tolist()) for row in pack_stream(documents, row_tokens)]


@torch.no_grad()
def mean_nll(model: nn.Module, examples: Sequence[Example], tokens_per_microbatch: int) -> float:
    """Mean negative log-likelihood of the learnt tokens, in nats a token."""
    total, tokens = 0.0, 0
    for group in split_by_tokens([len(a) + len(b) for a, b in examples], tokens_per_microbatch):
        batch = make_batch([examples[i][0] for i in group], [examples[i][1] for i in group])
        batch = batch.to(next(model.parameters()).device)
        logprobs, _ = completion_logprobs(model, batch, 1.0)
        total -= float(masked_sum(logprobs, batch.completion_mask))
        tokens += int(batch.completion_mask.sum())
    return total / tokens
