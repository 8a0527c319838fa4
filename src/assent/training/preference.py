"""Offline preference learning: the policy learns from judged completions, without a reward model or sampling."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from assent.algorithms.preference import Completions, judged_loss, mismatched_kl, pair_loss
from assent.config.preference import KTOSettings, PreferenceSettings
from assent.config.settings import ComputeSettings
from assent.functional.batching import TokenBatch
from assent.models.policy import completion_logprobs
from assent.training.checkpoint import restore_tensors, trainable_tensors
from assent.training.loop import cosine_share
from assent.training.memory import Longest, Need, need_of, vocabulary_of
from assent.training.optimiser import GuardedOptimiser
from assent.training.order import batches_of
from assent.training.precision import fast_products
from assent.training.reference import JUDGED, PAIRED, Example, Pass, microbatches, sequence_logprobs


def plan_of(count: int, settings: PreferenceSettings, seed: int) -> list[list[int]]:
    """The rows of each step: every example once before any comes again."""
    size = min(settings.batch_size, count)
    steps = max(1, math.ceil(settings.epochs * count / size))
    return batches_of(count, size, steps, seed, "comparisons")


def passes_of(settings: PreferenceSettings) -> tuple[Pass, ...]:
    """Which completions of an example go through the model together."""
    return JUDGED if isinstance(settings, KTOSettings) else PAIRED


class PreferenceTraining(ABC):
    """One step is a batch of comparisons; both completions of one stay in one microbatch.

    Args:
        model: with dropout off; log-ratios to a reference would be noise otherwise.
        examples: what is learnt, and after it what is only measured.
        reference: of each example under the reference, see `ReferenceMeasuring`; None where the loss needs none.
        plan: see `plan_of`.
        temperature: of sampling; logits are divided by it, as in the reference's.
    """

    def __init__(
        self,
        model: nn.Module,
        examples: Sequence[Example],
        reference: Float[Tensor, "N 2"] | None,
        plan: Sequence[Sequence[int]],
        settings: PreferenceSettings,
        temperature: float,
        compute: ComputeSettings,
    ) -> None:
        self.model = model
        self.examples = examples
        self.reference = reference
        self.plan = plan
        self.settings = settings
        self.temperature = temperature
        self.compute = compute
        self.steps = len(plan)
        self.optimiser = GuardedOptimiser(model, settings.learning_rate, 0.0, settings.max_grad_norm)

    @abstractmethod
    def accumulate(self, rows: Sequence[int]) -> dict[str, float]:
        """Add up the gradients of a step's rows, microbatch by microbatch; returns what is to be logged."""

    @abstractmethod
    def margins(self, rows: Sequence[int]) -> list[float]:
        """By how much reward the policy believes the first completion of these pairs to be ahead of the second."""

    def step(self, index: int, attempt: int) -> dict[str, float]:
        """One optimiser step on this step's comparisons."""
        metrics = self.accumulate(self.plan[index])
        s = self.settings
        share = cosine_share(index, self.steps, int(s.warmup_share * self.steps), s.final_learning_rate_share)
        norm = self.optimiser.apply(share)
        if norm is None:
            return {"skipped": 1.0}
        return {**metrics, "grad_norm": norm, "learning_rate": s.learning_rate * share}

    def memory(self) -> Need:
        """What it needs beside its weights."""
        rows = sorted({row for rows in self.plan for row in rows})
        longest = max((self.examples[row] for row in rows), key=_width)
        most = max(sum(2 * _width(self.examples[row]) for row in rows) for rows in self.plan)
        tokens = max(2 * _width(longest), min(self.compute.tokens_per_microbatch, most))

        def forward(batch: TokenBatch) -> Tensor:
            with fast_products(self.compute, batch.ids.device):
                return completion_logprobs(self.model, batch, self.temperature)[0]

        prompt, width = len(longest.prompt), _width(longest)
        read = Longest(prompt, width - prompt, tokens, 2 * width, vocabulary_of(self.model))
        return need_of(forward, [self.optimiser], [self.model], read)

    def tensors(self) -> dict[str, Tensor]:
        """Weights and optimiser state; the reference's log-probabilities are measured, and kept, apart."""
        return {**trainable_tensors("model", self.model), **self.optimiser.tensors("adam")}

    def values(self) -> dict[str, Any]:
        """Nothing: every random stream is addressed by the step."""
        return {}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Back to a checkpoint."""
        restore_tensors("model", self.model, tensors)
        self.optimiser.restore("adam", tensors)

    def _measure(self, rows: Sequence[int], places: Pass) -> list[Completions]:
        """These rows' completions in these places, a value for each place."""
        chosen = [self.examples[row] for row in rows]
        sums, lengths = sequence_logprobs(self.model, chosen, places, self.temperature, self.compute)
        if self.reference is None:
            ref = torch.zeros_like(sums)
        else:
            ref = self.reference[torch.tensor(rows, device=sums.device)][:, list(places)].T
        return [Completions(*each) for each in zip(sums, ref, lengths, strict=True)]

    def _column(self, rows: Sequence[int], name: str, like: Tensor) -> Tensor:
        """`label` or `weight` of these rows."""
        return torch.tensor([getattr(self.examples[row], name) for row in rows], dtype=like.dtype, device=like.device)


class PairTraining(PreferenceTraining):
    """Losses that compare the two completions of a prompt: DPO, IPO, ORPO, SimPO."""

    def accumulate(self, rows: Sequence[int]) -> dict[str, float]:
        """Loss and figures of a step; a tie counts in the loss and in no other figure."""
        total = sum(self.examples[row].weight for row in rows)
        found = defaultdict[str, float](float)
        for group in microbatches(self.examples, rows, (0, 1), self.compute):
            chosen, rejected = self._measure(group, (0, 1))
            label, weight = (self._column(group, name, chosen.logprobs) for name in ("label", "weight"))
            loss, won, lost = pair_loss(self.settings, chosen, rejected, label, weight, total)
            loss.backward()  # type: ignore[no-untyped-call]
            strict = label != 0.5
            ratio = (chosen.logprobs - chosen.ref_logprobs + rejected.logprobs - rejected.ref_logprobs) / 2
            sums = {
                "loss": loss,
                "accuracy": (won > lost)[strict].sum(),
                "chosen_reward": won[strict].sum(),
                "rejected_reward": lost[strict].sum(),
                "log_ratio": ratio[strict].sum(),
                "strict": strict.sum(),
            }
            _add(found, sums)
        return self._figures(found)

    @torch.no_grad()
    def margins(self, rows: Sequence[int]) -> list[float]:
        """Differences of the implicit rewards."""
        found = dict[int, float]()
        for group in microbatches(self.examples, rows, (0, 1), self.compute):
            chosen, rejected = self._measure(group, (0, 1))
            ones = torch.ones_like(chosen.logprobs)
            _, won, lost = pair_loss(self.settings, chosen, rejected, ones, ones, len(rows))
            found |= zip(group, (won - lost).tolist(), strict=True)
        return [found[row] for row in rows]

    def _figures(self, found: Mapping[str, float]) -> dict[str, float]:
        figures = {"loss": found["loss"]}
        if strict := found["strict"]:
            names = ["accuracy", "chosen_reward", "rejected_reward"]
            names += ["log_ratio"] if self.settings.needs_reference else []
            figures |= {name: found[name] / strict for name in names}
            figures["margin"] = figures["chosen_reward"] - figures["rejected_reward"]
        return figures


class JudgedTraining(PreferenceTraining):
    """KTO, whose completions are judged one by one against a reference point that the whole step shares."""

    settings: KTOSettings

    def accumulate(self, rows: Sequence[int]) -> dict[str, float]:
        """Loss and figures of a step."""
        total = sum(self.examples[row].weight for row in rows)
        point = self._reference_point(rows)
        found = defaultdict[str, float](float)
        for group in microbatches(self.examples, rows, (0,), self.compute):
            (judged,) = self._measure(group, (0,))
            label, weight = (self._column(group, name, judged.logprobs) for name in ("label", "weight"))
            good = label == 1.0
            loss, reward = judged_loss(self.settings, judged, good, weight, point, total)
            loss.backward()  # type: ignore[no-untyped-call]
            sums = {
                "loss": loss,
                "accuracy": ((reward > self.settings.kl_coef * point) == good).sum(),
                "chosen_reward": reward[good].sum(),
                "rejected_reward": reward[~good].sum(),
                "log_ratio": (judged.logprobs - judged.ref_logprobs).sum(),
                "good": good.sum(),
            }
            _add(found, sums)
        return self._figures(found, len(rows)) | {"reference_kl": float(point)}

    @torch.no_grad()
    def margins(self, rows: Sequence[int]) -> list[float]:
        """Differences of the implicit rewards, in which the reference point cancels."""
        found = dict[int, float]()
        for group in microbatches(self.examples, rows, (0, 1), self.compute):
            first, second = self._measure(group, (0, 1))
            ratios = (each.logprobs - each.ref_logprobs for each in (first, second))
            won, lost = (self.settings.kl_coef * ratio for ratio in ratios)
            found |= zip(group, (won - lost).tolist(), strict=True)
        return [found[row] for row in rows]

    @torch.no_grad()
    def _reference_point(self, rows: Sequence[int]) -> Float[Tensor, ""]:
        """The KL estimate on prompts with other prompts' completions, of all the step's rows."""
        parts = [self._measure(group, (1,))[0] for group in microbatches(self.examples, rows, (1,), self.compute)]
        whole = (torch.cat([getattr(part, name) for part in parts]) for name in ("logprobs", "ref_logprobs", "lengths"))
        return mismatched_kl(Completions(*whole))

    def _figures(self, found: Mapping[str, float], count: int) -> dict[str, float]:
        figures = {name: found[name] / count for name in ("accuracy", "log_ratio")} | {"loss": found["loss"]}
        good, bad = found["good"], count - found["good"]
        figures |= {"chosen_reward": found["chosen_reward"] / good} if good else {}
        figures |= {"rejected_reward": found["rejected_reward"] / bad} if bad else {}
        if good and bad:
            figures["margin"] = figures["chosen_reward"] - figures["rejected_reward"]
        return figures


def preference_training(
    model: nn.Module,
    examples: Sequence[Example],
    reference: Float[Tensor, "N 2"] | None,
    plan: Sequence[Sequence[int]],
    settings: PreferenceSettings,
    temperature: float,
    compute: ComputeSettings,
) -> PreferenceTraining:
    """The training that these settings name; see `PreferenceTraining` for what it is given."""
    kind = JudgedTraining if isinstance(settings, KTOSettings) else PairTraining
    return kind(model, examples, reference, plan, settings, temperature, compute)


def _width(example: Example) -> int:
    """Tokens of the prompt with the longer of its completions."""
    return len(example.prompt) + max(map(len, example.completions))


def _add(found: dict[str, float], sums: Mapping[str, Tensor]) -> None:
    for name, value in sums.items():
        found[name] += float(value.detach())
