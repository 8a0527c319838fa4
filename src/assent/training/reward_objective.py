"""The losses of the reward model by name, over the examples of a microbatch and the counts of the whole step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from assent.config.reward_model import RewardModelSettings
from assent.functional import (
    best_of_k_loss,
    binary_feedback_loss,
    davidson_loss,
    multi_head_loss,
    pairwise_loss_with_ties,
    plackett_luce_loss,
    zero_masked,
)
from assent.training.reward_examples import Example, Pair, tie_share

LEAST_TIES = 1e-3  # of pairs: where nobody tied yet, a tie must stay possible


@dataclass(frozen=True)
class StepCounts:
    """What losses are divided by, over all microbatches of a step."""

    examples: int
    completions: int
    tokens: int  # of the completions
    marks: Tensor  # [H] per head

    @classmethod
    def of(cls, examples: Sequence[Example]) -> StepCounts:
        """Of the step that learns from these."""
        rows = [row for example in examples for row in example.marks]
        return cls(
            len(examples),
            sum(len(example.sequences) for example in examples),
            max(1, sum(len(completion) for example in examples for _, completion in example.sequences)),
            torch.tensor([sum(value is not None for value in column) for column in zip(*rows, strict=True)]),
        )


class RewardObjective(nn.Module):
    """A loss, with the numbers it learns beside the model: how readily people tie, and how they lean to length.

    Args:
        settings: which loss, and what belongs to it.
        examples: all that will be learnt from; the readiness to tie begins at their share of ties.
        mean_length: of their completions, in tokens.
        std_length: their deviation.
    """

    def __init__(
        self, settings: RewardModelSettings, examples: Sequence[Example], mean_length: float, std_length: float
    ) -> None:
        super().__init__()
        self.settings = settings
        self.mean_length = mean_length
        self.std_length = std_length
        if settings.ties == "davidson":
            share = min(max(tie_share(examples), LEAST_TIES), 1 - LEAST_TIES)
            # Equal scores tie with chance n / (2 + n).
            self.log_tie = nn.Parameter(torch.tensor(math.log(2 * share / (1 - share))))
        if settings.length_penalty > 0:
            self.length_slope = nn.Parameter(torch.tensor(0.0))

    def forward(self, scores: Tensor, lengths: Tensor, examples: Sequence[Example], counts: StepCounts) -> Tensor:
        """The loss of these examples' scores [N, H], their share of the step's; lengths [N] are in tokens."""
        if self.settings.length_penalty > 0:
            # What length explains of the labels need not be in the score.
            scores = scores + (self.length_slope * (lengths - self.mean_length) / self.std_length)[:, None]
        if self.settings.loss == "pairwise":
            return self._pairwise(scores, examples, counts)
        if self.settings.loss in ("best-of-k", "plackett-luce"):
            return self._whole_order(scores, examples, counts)
        return self._marks(scores, examples, counts)

    @property
    def slope_per_token(self) -> float:
        """Raw score that a token of length explained; 0 without a length penalty."""
        return float(self.length_slope.detach()) / self.std_length if self.settings.length_penalty > 0 else 0.0

    def _pairwise(self, scores: Tensor, examples: Sequence[Example], counts: StepCounts) -> Tensor:
        first, second, preference, weight, margin = pair_columns(examples, scores)
        if self.settings.ties == "davidson":
            return davidson_loss(first, second, preference, self.log_tie, weight, counts.examples)
        smoothing = self.settings.label_smoothing
        return pairwise_loss_with_ties(first, second, preference, weight, counts.examples, margin, smoothing)

    def _whole_order(self, scores: Tensor, examples: Sequence[Example], counts: StepCounts) -> Tensor:
        width = max(len(example.sequences) for example in examples)
        exists = torch.tensor([[k < len(e.sequences) for k in range(width)] for e in examples], device=scores.device)
        place = exists.flatten().cumsum(0).view(exists.shape) - 1
        table = zero_masked(scores[:, 0][place.clamp(min=0)], exists)
        if self.settings.loss == "best-of-k":
            best = torch.tensor([example.ranks.index(1) for example in examples], device=scores.device)
            return best_of_k_loss(table, best, exists, counts.examples)
        ranks = torch.tensor([[*e.ranks, *[0] * (width - len(e.ranks))] for e in examples], device=scores.device)
        weight = torch.tensor([example.weight for example in examples], device=scores.device)
        return plackett_luce_loss(table, ranks, exists, weight, counts.examples)

    def _marks(self, scores: Tensor, examples: Sequence[Example], counts: StepCounts) -> Tensor:
        marks, mask, weight = mark_columns(examples, scores)
        if self.settings.loss == "binary":
            return binary_feedback_loss(scores[:, 0], marks[:, 0], weight, counts.examples)
        heads = scores.shape[1]
        importance = torch.full((heads,), 1.0 / heads, device=scores.device)
        delta = math.inf if self.settings.huber_delta is None else self.settings.huber_delta
        return multi_head_loss(scores, marks, mask, importance, counts.marks.to(scores.device), delta, weight)


@dataclass(frozen=True)
class Hits:
    """How well some examples are predicted, for the log: sums that add up over microbatches."""

    right: float = 0.0  # strict pairs, picks of the best or labels that were predicted
    asked: float = 0.0  # of so many
    squared: float = 0.0  # squared errors of marks
    marks: float = 0.0  # so many

    def __add__(self, other: Hits) -> Hits:
        return Hits(
            self.right + other.right, self.asked + other.asked, self.squared + other.squared, self.marks + other.marks
        )

    def figures(self) -> dict[str, float]:
        """The shares: accuracy, or for regression the root mean squared error in the labels' deviations."""
        if self.marks:
            return {"rmse": math.sqrt(self.squared / self.marks)}
        return {"accuracy": self.right / max(1.0, self.asked)}


def hits(scores: Tensor, examples: Sequence[Example], loss: str) -> Hits:
    """Of these examples' scores [N, H], without gradient."""
    scores = scores.detach()
    if loss == "regression":
        marks, mask, _ = mark_columns(examples, scores)
        return Hits(squared=float(zero_masked(scores - marks, mask).square().sum()), marks=float(mask.sum()))
    if loss == "binary":
        marks, _, _ = mark_columns(examples, scores)
        return Hits(float(((scores[:, 0] > 0) == (marks[:, 0] > 0.5)).sum()), float(len(scores)))
    ranked = [example if example.pairs else _paired(example) for example in examples]
    first, second, preference, _, _ = pair_columns(ranked, scores)
    strict = preference != 0.5
    return Hits(float((((first - second) > 0) == (preference > 0.5))[strict].sum()), float(strict.sum()))


def pair_columns(examples: Sequence[Example], scores: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """(first scores, second scores, preference, weight, margin), [N] each, of all pairs; scores are [sequences, H]."""
    rows: list[tuple[int, int, int, float, float, float]] = []
    offset = 0
    for example in examples:
        rows += [(offset + p.first, offset + p.second, p.head, *p[3:]) for p in example.pairs]
        offset += len(example.sequences)
    first, second, head = (torch.tensor([row[k] for row in rows], device=scores.device).long() for k in range(3))
    labels = (torch.tensor([row[k] for row in rows], device=scores.device) for k in range(3, 6))
    preference, weight, margin = labels
    return scores[first, head], scores[second, head], preference, weight, margin


def mark_columns(examples: Sequence[Example], scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(marks [N, H], whether there is one [N, H], weight of its judgement [N])."""
    rows = [row for example in examples for row in example.marks]
    device = scores.device
    marks = torch.tensor([[0.0 if value is None else value for value in row] for row in rows], device=device)
    mask = torch.tensor([[value is not None for value in row] for row in rows], device=device)
    weight = torch.tensor([example.weight for example in examples for _ in example.marks], device=device)
    return marks, mask, weight


def _paired(example: Example) -> Example:
    """The same with the pairs that its ranks make, to be counted."""
    count = len(example.ranks)
    pairs = tuple(
        Pair(0, i, j, 0.5 if example.ranks[i] == example.ranks[j] else float(example.ranks[i] < example.ranks[j]), 1.0)
        for i in range(count)
        for j in range(i + 1, count)
    )
    return Example(example.sequences, pairs=pairs)
