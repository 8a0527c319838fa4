"""Training a reward model on people's rankings, their marks per criterion, or labelled samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from assent.config.reward_model import RewardModelSettings
from assent.config.settings import ComputeSettings
from assent.functional import LengthMoments, length_moments, length_penalty, logprobs_of
from assent.functional.batching import TokenBatch, make_batch, split_by_tokens
from assent.models.scalar import States, hidden_states, score_sequences
from assent.training.checkpoint import restore_tensors, trainable_tensors
from assent.training.loop import cosine_share
from assent.training.memory import Longest, Need, need_of
from assent.training.optimiser import GuardedOptimiser
from assent.training.order import batches_of
from assent.training.precision import fast_products
from assent.training.reward_examples import Example
from assent.training.reward_objective import Hits, RewardObjective, StepCounts, hits

NUMBERS_RATE = 0.02  # Adam's step for the objective's own numbers: they have to go from 0 to about 1 in one epoch


class RewardModelTraining:
    """One pass over judgements or samples; an example's sequences are scored once, in one microbatch.

    Args:
        model: a sequence classifier with as many heads as there are criteria.
        examples: in the terms of `settings.loss`.
        language_head: turns the backbone's hidden states into logits of tokens, for `settings.lm_coef`; it is not
            trained: the backbone is to stay a language model's.
    """

    def __init__(
        self,
        model: nn.Module,
        examples: Sequence[Example],
        settings: RewardModelSettings,
        seed: int,
        compute: ComputeSettings,
        language_head: nn.Module | None = None,
    ) -> None:
        if settings.lm_coef > 0 and language_head is None:
            raise ValueError("reward_model.lm_coef needs a language head")
        self.model = model
        self.examples = examples
        self.settings = settings
        self.compute = compute
        self.language_head = language_head
        self.device = next(model.parameters()).device
        self.steps = max(1, math.ceil(settings.epochs * len(examples) / settings.rankings_per_step))
        self.plan = batches_of(len(examples), settings.rankings_per_step, self.steps, seed, "rankings")
        lengths = torch.tensor([float(len(c)) for example in examples for _, c in example.sequences])
        spread = max(1.0, float(lengths.std(correction=0)))
        self.objective = RewardObjective(settings, examples, float(lengths.mean()), spread).to(self.device)
        self.optimiser = GuardedOptimiser(
            model, settings.learning_rate, settings.weight_decay, settings.max_grad_norm, kind=settings.optimizer
        )
        self.numbers: GuardedOptimiser | None = None
        if any(True for _ in self.objective.parameters()):
            self.numbers = GuardedOptimiser(self.objective, NUMBERS_RATE, 0.0, settings.max_grad_norm)

    def step(self, index: int, attempt: int) -> dict[str, float]:
        """One optimiser step on this step's examples."""
        chosen = [self.examples[i] for i in self.plan[index]]
        groups = split_by_tokens([example.padded_tokens for example in chosen], self.compute.tokens_per_microbatch)
        parts = [[chosen[i] for i in group] for group in groups]
        counts = StepCounts.of(chosen)
        # Scores that hardly differ yet would be pushed hard: the penalty sets in after the warm-up.
        penalised = self.settings.length_penalty > 0 and index >= self.settings.warmup_steps
        moments = self._moments(parts) if penalised else None
        sums = {"loss": 0.0}
        found = Hits()
        for part in parts:
            losses, hit = self._losses(part, counts, moments)
            loss = torch.stack(list(losses.values())).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            sums["loss"] += float(loss.detach())
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            found = found + hit
        share = cosine_share(index, self.steps, self.settings.warmup_steps, 0.0)
        norm = self._apply(share)
        if norm is None:
            return {"skipped": 1.0}
        if len(sums) == 2:  # the loss is that of the labels alone
            del sums["label_loss"]
        if moments is not None:
            sums["length_correlation"] = float(moments.correlation)
        return {**sums, **found.figures(), "grad_norm": norm, "learning_rate": self.settings.learning_rate * share}

    def memory(self) -> Need:
        """What it needs beside its weights."""
        sequences = [tokens for example in self.examples for tokens in example.sequences]
        prompt, completion = max(sequences, key=lambda tokens: len(tokens[0]) + len(tokens[1]))
        most = max(sum(self.examples[i].padded_tokens for i in rows) for rows in self.plan)
        largest = max(example.padded_tokens for example in self.examples)  # is never cut
        tokens = max(largest, min(self.compute.tokens_per_microbatch, most))
        vocabulary = 0 if self.language_head is None else int(next(self.language_head.parameters()).shape[0])
        longest = Longest(len(prompt), len(completion), tokens, largest, vocabulary)

        def forward(batch: TokenBatch) -> Tensor:
            with fast_products(self.compute, self.device):
                states = hidden_states(self.model, batch)
                scores = score_sequences(self.model, batch, states).sum()
                return scores + self._lm_loss(batch, states) if self.settings.lm_coef > 0 else scores

        return need_of(forward, [self.optimiser], [self.model], longest)

    def tensors(self) -> dict[str, Tensor]:
        """Weights, what the loss learns beside them, and optimiser state."""
        found = {**trainable_tensors("model", self.model), **self.optimiser.tensors("adam")}
        if self.numbers is not None:
            found |= {**trainable_tensors("objective", self.objective), **self.numbers.tensors("numbers")}
        return found

    def values(self) -> dict[str, Any]:
        """Nothing: every random stream is addressed by the step."""
        return {}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Back to a checkpoint."""
        restore_tensors("model", self.model, tensors)
        self.optimiser.restore("adam", tensors)
        if self.numbers is not None:
            restore_tensors("objective", self.objective, tensors)
            self.numbers.restore("numbers", tensors)

    def _apply(self, share: float) -> float | None:
        """Step with both optimisers, or with neither where a gradient is not finite."""
        if self.numbers is None:
            return self.optimiser.apply(share)
        norm, other = self.optimiser.clip(), self.numbers.clip()
        if not (math.isfinite(norm) and math.isfinite(other)):
            self.optimiser.drop_gradients()
            self.numbers.drop_gradients()
            return None
        self.optimiser.advance(share)
        self.numbers.advance(share)
        return norm

    def _losses(
        self, examples: Sequence[Example], counts: StepCounts, moments: LengthMoments | None
    ) -> tuple[dict[str, Tensor], Hits]:
        """These examples' share of each part of the step's loss, and how well they were predicted."""
        read = self._read(examples)
        losses = {"label_loss": self.objective(read.scores, read.lengths, examples, counts)}
        if read.lm_loss is not None:
            losses["lm_loss"] = self.settings.lm_coef * read.lm_loss / counts.tokens
        if moments is not None:
            everything = torch.ones_like(read.lengths, dtype=torch.bool)
            penalty = length_penalty(read.scores[:, 0], read.lengths, everything, moments, counts.completions)
            losses["length_loss"] = self.settings.length_penalty * penalty
        return losses, hits(read.scores, examples, self.settings.loss)

    def _read(self, examples: Sequence[Example]) -> _Read:
        sequences = [tokens for example in examples for tokens in example.sequences]
        batch = make_batch([prompt for prompt, _ in sequences], [completion for _, completion in sequences])
        batch = batch.to(self.device)
        with fast_products(self.compute, self.device):
            states = hidden_states(self.model, batch)
            scores = score_sequences(self.model, batch, states)
            lm_loss = self._lm_loss(batch, states) if self.settings.lm_coef > 0 and torch.is_grad_enabled() else None
        return _Read(scores, batch.completion_mask.sum(dim=-1), lm_loss)

    def _lm_loss(self, batch: TokenBatch, states: States) -> Tensor:
        """Σ -log p of the completions' tokens."""
        assert self.language_head is not None
        logits = self.language_head(states.before_completions(batch))
        return -logprobs_of(logits[None], batch.completion_ids[batch.completion_mask][None], 1.0).sum()

    @torch.no_grad()
    def _moments(self, parts: Sequence[Sequence[Example]]) -> LengthMoments:
        """Of score and length over the whole step, whose correlation is not the sum of its parts'."""
        read = [self._read(part) for part in parts]
        lengths = torch.cat([each.lengths for each in read])
        scores = torch.cat([each.scores[:, 0] for each in read])
        return length_moments(scores, lengths, torch.ones_like(lengths, dtype=torch.bool))


@dataclass(frozen=True)
class _Read:
    """What the model makes of a microbatch."""

    scores: Tensor  # [N, H]
    lengths: Tensor  # [N] tokens of the completions
    lm_loss: Tensor | None  # summed over tokens, in nats


def normalisation(raw_scores: Sequence[float]) -> tuple[float, float]:
    """(mean, deviation) of the reference's samples, with which scores get mean 0 and variance 1 (Ziegler et al. 2019).

    Raises:
        ValueError: fewer than two samples.
    """
    if len(raw_scores) < 2:
        raise ValueError(f"normalisation needs at least two samples, got {len(raw_scores)}")
    scores = torch.tensor(raw_scores, dtype=torch.float64)
    return float(scores.mean()), max(float(scores.std(correction=0)), 1e-8)
