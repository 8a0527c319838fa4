"""Training a reward model on people's rankings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from assent.config.settings import ComputeSettings, RewardModelSettings
from assent.functional import best_of_k_loss, pairwise_loss_with_ties
from assent.functional.batching import make_batch, split_by_tokens
from assent.models.scalar import score_sequences
from assent.training.checkpoint import restore_tensors, trainable_tensors
from assent.training.loop import cosine_share
from assent.training.optimiser import GuardedOptimiser
from assent.training.order import batches_of
from assent.training.precision import fast_products
from assent.types.feedback import Ranking


class RewardModelTraining:
    """Pairwise Bradley–Terry or best-of-K on rankings; a ranking's completions are scored once, in one microbatch.

    Args:
        sequences: completion id -> (prompt tokens, completion tokens).
    """

    def __init__(
        self,
        model: nn.Module,
        rankings: Sequence[Ranking],
        sequences: Mapping[int, tuple[Sequence[int], Sequence[int]]],
        settings: RewardModelSettings,
        seed: int,
        compute: ComputeSettings,
    ) -> None:
        self.model = model
        self.rankings = rankings
        self.sequences = sequences
        self.settings = settings
        self.compute = compute
        self.device = next(model.parameters()).device
        self.steps = max(1, math.ceil(settings.epochs * len(rankings) / settings.rankings_per_step))
        self.plan = batches_of(len(rankings), settings.rankings_per_step, self.steps, seed, "rankings")
        self.optimiser = GuardedOptimiser(
            model, settings.learning_rate, settings.weight_decay, settings.max_grad_norm, kind=settings.optimizer
        )

    def step(self, index: int, attempt: int) -> dict[str, float]:
        """One optimiser step on this step's rankings."""
        chosen = [self.rankings[i] for i in self.plan[index]]
        widths = [self._padded_tokens(ranking) for ranking in chosen]
        total, right, strict = 0.0, 0.0, 0
        for group in split_by_tokens(widths, self.compute.tokens_per_microbatch):
            loss, correct, pairs = self._loss([chosen[i] for i in group], len(chosen))
            loss.backward()  # type: ignore[no-untyped-call]
            total, right, strict = total + float(loss.detach()), right + correct, strict + pairs
        share = cosine_share(index, self.steps, self.settings.warmup_steps, 0.0)
        norm = self.optimiser.apply(share)
        if norm is None:
            return {"skipped": 1.0}
        return {
            "loss": total,
            "accuracy": right / max(1, strict),
            "grad_norm": norm,
            "learning_rate": self.settings.learning_rate * share,
        }

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

    def _padded_tokens(self, ranking: Ranking) -> int:
        return len(ranking.completion_ids) * max(sum(map(len, self.sequences[i])) for i in ranking.completion_ids)

    def _loss(self, rankings: Sequence[Ranking], total_rankings: int) -> tuple[Tensor, float, int]:
        """Loss of these rankings over the whole step's count, with right and all strict pairs for the log."""
        sequences = [self.sequences[i] for ranking in rankings for i in ranking.completion_ids]
        batch = make_batch([prompt for prompt, _ in sequences], [completion for _, completion in sequences])
        with fast_products(self.compute, self.device):
            scores = score_sequences(self.model, batch.to(self.device))
        first, second, preference, weight = self._pairs(rankings)
        device = scores.device
        difference = (scores[first] - scores[second]).detach().cpu()
        strict = preference != 0.5
        right = float(((difference > 0) == (preference > 0.5))[strict].sum())
        if self.settings.loss == "best-of-k":
            loss = self._best_of_k(rankings, scores, total_rankings)
        else:
            loss = pairwise_loss_with_ties(
                scores[first], scores[second], preference.to(device), weight.to(device), total_rankings
            )
        return loss, right, int(strict.sum())

    def _pairs(self, rankings: Sequence[Ranking]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All pairs of each ranking as rows of the batch; every ranking has the same say (Ouyang et al. 2022)."""
        first, second, preference, weight = [], [], [], []
        offset = 0
        for ranking in rankings:
            place = {completion: offset + k for k, completion in enumerate(ranking.completion_ids)}
            pairs = ranking.comparisons()
            for pair in pairs:
                first.append(place[pair.first_id])
                second.append(place[pair.second_id])
                preference.append(pair.preference)
                weight.append(1.0 / len(pairs))
            offset += len(ranking.completion_ids)
        return torch.tensor(first), torch.tensor(second), torch.tensor(preference), torch.tensor(weight)

    def _best_of_k(self, rankings: Sequence[Ranking], scores: Tensor, total_rankings: int) -> Tensor:
        """Softmax over the candidates of each ranking that names a single best one."""
        width = max(len(ranking.ranks) for ranking in rankings)
        table = scores.new_zeros(len(rankings), width)
        mask = torch.zeros(len(rankings), width, dtype=torch.bool, device=scores.device)
        best = torch.zeros(len(rankings), dtype=torch.long, device=scores.device)
        offset = 0
        for row, ranking in enumerate(rankings):
            count = len(ranking.ranks)
            table[row, :count] = scores[offset : offset + count]
            if list(ranking.ranks).count(1) == 1:
                mask[row, :count] = True
                best[row] = ranking.ranks.index(1)
            offset += count
        return best_of_k_loss(table, best, mask, total_rankings)


def normalisation(raw_scores: Sequence[float]) -> tuple[float, float]:
    """(mean, deviation) of the reference's samples, with which scores get mean 0 and variance 1 (Ziegler et al. 2019).

    Raises:
        ValueError: fewer than two samples.
    """
    if len(raw_scores) < 2:
        raise ValueError(f"normalisation needs at least two samples, got {len(raw_scores)}")
    scores = torch.tensor(raw_scores, dtype=torch.float64)
    return float(scores.mean()), max(float(scores.std(correction=0)), 1e-8)
