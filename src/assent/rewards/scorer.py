"""Scores of completions: from a reward model, or from any callable, behind one interface."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from assent.data.chat import ChatFormat
from assent.functional.batching import TokenBatch, make_batch, split_by_tokens
from assent.models.loading import context_length
from assent.models.scalar import parts, score_sequences
from assent.types.errors import UnhealthyRewardError
from assent.types.messages import Prompt


class Scorer(Protocol):
    """One finite score per completion, in reward units."""

    def score(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """Scores, higher is better."""
        ...


class CallableScorer:
    """Scores from a Python callable of prompt texts and completion texts; it need not be a torch module.

    Args:
        function: `function(prompts, completions) -> scores`, one number each.
        name: where it came from, for errors.
        what: it gives, for errors: a reward or a cost.
    """

    def __init__(self, function: Callable[..., Any], name: str, what: str = "reward") -> None:
        self._function = function
        self._name = f"{what} {name}"

    def score(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """Scores, checked.

        Raises:
            UnhealthyRewardError: the callable raised, gave another count, or gave a value that is no finite number.
        """
        try:
            values = list(self._function([prompt.text for prompt in prompts], list(completions)))
        except Exception as error:
            raise UnhealthyRewardError(
                f"{self._name} raised {type(error).__name__}: {error}", "try it by hand on a prompt and a text"
            ) from error
        if len(values) != len(completions):
            raise UnhealthyRewardError(
                f"{self._name} gave {len(values)} scores for {len(completions)} completions",
                "return one score per completion, in order",
            )
        return [self._checked(value, completion) for value, completion in zip(values, completions, strict=True)]

    def _checked(self, value: Any, completion: str) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise UnhealthyRewardError(
                f"{self._name} gave {value!r} for the completion {completion[:80]!r}",
                "every score must be a finite number: catch the case in the function",
            )
        return number


class RewardModelScorer:
    """Scores from a sequence classifier, normalised so that the reference's samples have mean 0 and variance 1.

    A text is always tokenised anew, end token last, so that the same text has the same score wherever it came from.

    Args:
        model: one label; `config.assent_score_mean` and `config.assent_score_std` hold the normalisation.
        chat: how texts become tokens.
        tokens_per_microbatch: padded tokens scored at once.
    """

    def __init__(self, model: nn.Module, chat: ChatFormat, tokens_per_microbatch: int = 8192) -> None:
        self.model: Any = model
        self.chat = chat
        self.tokens_per_microbatch = tokens_per_microbatch
        self.mean = float(getattr(self.model.config, "assent_score_mean", 0.0))
        self.std = float(getattr(self.model.config, "assent_score_std", 1.0))
        self._context = context_length(self.model)

    def score(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """Normalised scores.

        Raises:
            UnhealthyRewardError: the model gave a score that is not finite.
        """
        scores = [(raw - self.mean) / self.std for raw in self.raw_scores(prompts, completions)]
        if not all(map(math.isfinite, scores)):
            raise UnhealthyRewardError("the reward model gave a non-finite score", "train it again, with smaller steps")
        return scores

    def raw_scores(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """What plain transformers gives for the same tokens."""
        sequences = [self.encode(prompt, text) for prompt, text in zip(prompts, completions, strict=True)]
        lengths = [len(prompt) + len(completion) for prompt, completion in sequences]
        scores = [0.0] * len(sequences)
        for group in split_by_tokens(lengths, self.tokens_per_microbatch):
            batch = make_batch([sequences[i][0] for i in group], [sequences[i][1] for i in group])
            for index, value in zip(group, self.batch_scores(batch).tolist(), strict=True):
                scores[index] = value
        return scores

    def encode(self, prompt: Prompt, completion: str) -> tuple[list[int], list[int]]:
        """Tokens of the two parts, the prompt cut on its left where both together exceed the context."""
        answer = self.chat.completion_ids(completion)[-(self._context - 1) :]
        return self.chat.prompt_ids(prompt)[-(self._context - len(answer)) :], answer

    def batch_scores(self, batch: TokenBatch) -> Tensor:
        """Raw scores of one batch, without gradient, [B]."""
        with torch.no_grad():
            return score_sequences(self.model, batch.to(next(self.model.parameters()).device)).cpu()

    def packed_scores(self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
        """Raw scores of sequences laid end to end in one row, each behind its own block of the attention mask.

        Rows hold as many sequences as fit into a microbatch.
        """
        scores: list[float] = []
        row: list[list[int]] = []
        for prompt, completion in sequences:
            if row and sum(map(len, row)) + len(prompt) + len(completion) > self.tokens_per_microbatch:
                scores += self._score_row(row)
                row = []
            row.append([*prompt, *completion])
        return scores + (self._score_row(row) if row else [])

    def _score_row(self, row: list[list[int]]) -> list[float]:
        device = next(self.model.parameters()).device
        lengths = torch.tensor([len(sequence) for sequence in row])
        ids = torch.tensor([token for sequence in row for token in sequence])[None].to(device)
        positions = torch.cat([torch.arange(length) for length in lengths.tolist()])[None].to(device)
        backbone, head = parts(self.model)
        with torch.no_grad():
            # Positions that begin anew tell transformers where a sequence begins; it builds the block mask itself.
            hidden = backbone(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state
            return [float(score) for score in head(hidden[0, lengths.cumsum(0).to(device) - 1]).squeeze(-1).float()]
