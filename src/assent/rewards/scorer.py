"""Scores of completions: from a reward model, or from any callable, behind one interface."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from assent.data.chat import ChatFormat
from assent.functional.batching import TokenBatch, make_batch, split_by_tokens
from assent.models.loading import context_length
from assent.models.reward_reading import RewardReading
from assent.models.scalar import hidden_states, score_sequences
from assent.types.errors import UnhealthyRewardError
from assent.types.messages import Prompt

_LARGEST = 1e15  # of a score; its square, and a batch's sum of those, still fit into fp32


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
        if abs(number) > _LARGEST:
            raise UnhealthyRewardError(
                f"{self._name} gave {value!r} for the completion {completion[:80]!r}",
                f"scores beyond {_LARGEST:g} cannot be squared and summed: scale them down",
            )
        return number


class CriteriaScorer(Scorer, Protocol):
    """A scorer that also tells its criteria apart: each may be a reward, or the cost of a constraint."""

    def criteria_scores(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> dict[str, list[float]]:
        """Criterion -> a finite score per completion, in deviations over the reference policy's samples."""
        ...


class RewardModelScorer:
    """Scores from a sequence classifier, normalised so that the reference's samples have mean 0 and variance 1.

    A text is always tokenised anew, end token last, so that the same text has the same score wherever it came from.

    Args:
        model: its config holds the normalisation, and the names of its heads where it has several.
        chat: how texts become tokens.
        tokens_per_microbatch: padded tokens scored at once.
        weights: criterion -> weight in the score; none: all alike, summing to 1.
    """

    def __init__(
        self,
        model: nn.Module,
        chat: ChatFormat,
        tokens_per_microbatch: int = 8192,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.model: Any = model
        self.chat = chat
        self.tokens_per_microbatch = tokens_per_microbatch
        self.reading = RewardReading.of(self.model.config, weights)
        self._context = context_length(self.model)

    @property
    def members(self) -> list[RewardModelScorer]:
        """Itself: an ensemble of one."""
        return [self]

    @property
    def logit_scale(self) -> float | None:
        """What a difference of scores is in logits of a preference; None where several heads are added up."""
        return self.reading.logit_scale

    def score(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """Normalised scores, the heads' added up by their weights.

        Raises:
            UnhealthyRewardError: the model gave a score that is not finite.
        """
        return finite(self.unchecked(prompts, completions))

    def unchecked(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """The scores, finite or not, for a health check to judge."""
        return self.reading.combined(self.raw_outputs(prompts, completions))

    def criteria_scores(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> dict[str, list[float]]:
        """Normalised scores of each head by its name; a single head is `overall`. Weights have no part in them.

        Raises:
            UnhealthyRewardError: the model gave a score that is not finite.
        """
        raw = self.raw_outputs(prompts, completions)
        return {
            name: finite(self.reading.normalised(head, [row[head] for row in raw]))
            for head, name in enumerate(self.reading.criteria)
        }

    def raw_scores(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """What plain transformers gives for the same tokens, of a model with a single head."""
        return [score for (score,) in self.raw_outputs(prompts, completions)]

    def finite_raw_scores(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """`raw_scores`, or UnhealthyRewardError where one is not finite."""
        return finite(self.raw_scores(prompts, completions))

    def raw_outputs(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[list[float]]:
        """What plain transformers gives for the same tokens, [N][H]."""
        return self._by_batch(prompts, completions, self.batch_scores)

    def features(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[list[float]]:
        """The state of the last token, from which the heads tell, and what they tell, [N][D + H]."""
        return self._by_batch(prompts, completions, self._batch_features)

    def _by_batch(
        self, prompts: Sequence[Prompt], completions: Sequence[str], told: Callable[[TokenBatch], Tensor]
    ) -> list[list[float]]:
        sequences = [self.encode(prompt, text) for prompt, text in zip(prompts, completions, strict=True)]
        lengths = [len(prompt) + len(completion) for prompt, completion in sequences]
        scores: list[list[float]] = [[]] * len(sequences)
        for group in split_by_tokens(lengths, self.tokens_per_microbatch):
            batch = make_batch([sequences[i][0] for i in group], [sequences[i][1] for i in group])
            for index, value in zip(group, told(batch).tolist(), strict=True):
                scores[index] = value
        return scores

    def encode(self, prompt: Prompt, completion: str) -> tuple[list[int], list[int]]:
        """Tokens of the two parts, the prompt cut on its left where both together exceed the context.

        A classifier of texts reads the completion alone, as its tokenizer gives it; the parts are its first token and
        the rest.
        """
        if self.reading.text_only:
            ids = list(self.chat.tokenizer(completion)["input_ids"]) or [self.chat.end_id]
            return ids[-self._context :][:1], ids[-self._context :][1:]
        answer = self.chat.completion_ids(completion)[-(self._context - 1) :]
        return self.chat.prompt_ids(prompt)[-(self._context - len(answer)) :], answer

    def batch_scores(self, batch: TokenBatch) -> Tensor:
        """Raw outputs of one batch, without gradient, [B, H]."""
        with torch.no_grad():
            return score_sequences(self.model, batch.to(next(self.model.parameters()).device)).cpu()

    def _batch_features(self, batch: TokenBatch) -> Tensor:
        with torch.no_grad():
            batch = batch.to(next(self.model.parameters()).device)
            states = hidden_states(self.model, batch)
            told = score_sequences(self.model, batch, states)
            return torch.cat([states.last(batch).float(), told], dim=1).cpu()


def finite(scores: list[float]) -> list[float]:
    """The scores as they are.

    Raises:
        UnhealthyRewardError: one is not finite.
    """
    if not all(map(math.isfinite, scores)):
        raise UnhealthyRewardError("the reward model gave a non-finite score", "train it again, with smaller steps")
    return scores
