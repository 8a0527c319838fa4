"""A generator in the trainer's process, on the trainer's own weights: nothing is copied, nothing can be stale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from assent.functional.batching import make_batch
from assent.functional.sampling import likeliest_tokens, sample_tokens
from assent.models.loading import context_length
from assent.types.protocols import SamplingParams
from assent.types.rollout import FinishReason, Generation, GenerationRequest

COMPACT_BELOW = 0.8  # the batch is rebuilt when fewer than this share of its rows still write


@dataclass
class _Row:
    request: int
    row: int  # place in the result
    prompt: Sequence[int]
    limit: int  # tokens it may write
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    reason: FinishReason | None = None


class LocalGenerator:
    """Samples from a transformers causal LM with a KV cache; rows leave the batch as they finish.

    Log-probabilities are taken from the very distribution that is sampled (fp32, logits over temperature). A row's
    tokens depend on the seed, its place in the call and its prompt, not on how rows share a batch.

    Args:
        model: the policy; put into no other mode, dropout is off already.
        stop_ids: tokens that end a completion (kept as its last token).
        version: called at each `generate`, names the weights in use.
        batch_size: rows decoded together.
    """

    def __init__(
        self,
        model: nn.Module,
        stop_ids: Sequence[int],
        version: Callable[[], str],
        batch_size: int = 256,
        on_row: Callable[[int, int], None] | None = None,
    ) -> None:
        self.model: Any = model
        self.stop_ids = frozenset(stop_ids)
        self._version = version
        self._batch_size = batch_size
        self._on_row = on_row
        self._context = context_length(self.model)

    @property
    def policy_version(self) -> str:
        """Artifact and step whose weights are in use."""
        return self._version()

    def generate(self, requests: Sequence[GenerationRequest], sampling: SamplingParams, seed: int) -> list[Generation]:
        """All continuations, ordered by request, then by sample.

        Raises:
            ValueError: an empty prompt, or one that leaves no room for a single token.
        """
        rows = self._rows(requests, sampling.max_new_tokens)
        noise = torch.rand(
            len(rows), sampling.max_new_tokens, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        # Prompts of similar length share a batch, so that little of it is padding.
        order = sorted(rows, key=lambda row: (-len(row.prompt), row.row))
        for begin in range(0, len(order), self._batch_size):
            batch = order[begin : begin + self._batch_size]
            with torch.inference_mode():
                self._decode(batch, noise, sampling)
            if self._on_row is not None:
                self._on_row(begin + len(batch), len(order))
        version = self.policy_version
        return [
            Generation(row.request, row.tokens, row.logprobs, row.reason or FinishReason.LENGTH, version)
            for row in rows
        ]

    def _rows(self, requests: Sequence[GenerationRequest], max_new_tokens: int) -> list[_Row]:
        rows: list[_Row] = []
        for index, request in enumerate(requests):
            room = self._context - len(request.prompt_ids)
            if not request.prompt_ids or room < 1:
                raise ValueError(
                    f"request {index}: a prompt of {len(request.prompt_ids)} tokens cannot be continued"
                    f" in a context of {self._context}"
                )
            for _ in range(request.n):
                rows.append(_Row(index, len(rows), request.prompt_ids, min(max_new_tokens, room)))
        return rows

    def _decode(self, rows: list[_Row], noise: Tensor, sampling: SamplingParams) -> None:
        """Continue these rows together until each has stopped."""
        from transformers import DynamicCache

        distinct = list(dict.fromkeys(row.request for row in rows))
        first = {request: next(row for row in rows if row.request == request) for request in distinct}
        device = next(self.model.parameters()).device
        batch = make_batch([first[request].prompt for request in distinct], [[]] * len(distinct)).to(device)
        # Each distinct prompt is read once; its rows then share what was read.
        width = batch.start
        cache = DynamicCache()
        logits = self.model(
            input_ids=batch.ids[:, :width],
            attention_mask=batch.attention_mask[:, :width],
            position_ids=batch.position_ids[:, :width],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        source = torch.tensor([distinct.index(row.request) for row in rows], device=device)
        if len(distinct) < len(rows):
            cache.batch_select_indices(source)
            logits = logits[source]
        mask = batch.attention_mask[:, :width][source]
        position = torch.tensor([len(row.prompt) for row in rows], device=device)
        live = rows
        step = 0
        while True:
            if sampling.greedy:
                tokens, logprobs = likeliest_tokens(logits, sampling.temperature)
            else:
                uniform = noise[[row.row for row in live], step].to(device)
                tokens, logprobs = sample_tokens(logits, sampling.temperature, uniform)
            step += 1
            keep = self._record(live, tokens.tolist(), logprobs.tolist())
            if not any(keep):
                return
            if sum(keep) < COMPACT_BELOW * len(keep):
                index = torch.tensor([place for place, kept in enumerate(keep) if kept], device=device)
                live = [row for row, kept in zip(live, keep, strict=True) if kept]
                cache.batch_select_indices(index)
                tokens, mask, position = tokens[index], mask[index], position[index]
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            logits = self.model(
                input_ids=tokens[:, None],
                attention_mask=mask,
                position_ids=position[:, None],
                past_key_values=cache,
                use_cache=True,
            ).logits[:, -1]
            position = (position + 1).clamp(max=self._context - 1)

    def _record(self, live: list[_Row], tokens: list[int], logprobs: list[float]) -> list[bool]:
        """Append this step's tokens to the rows that still write; says which of them go on."""
        keep = []
        for row, token, logprob in zip(live, tokens, logprobs, strict=True):
            if row.reason is None:
                row.tokens.append(token)
                row.logprobs.append(logprob)
                if token in self.stop_ids:
                    row.reason = FinishReason.STOP
                elif len(row.tokens) >= row.limit:
                    full = len(row.prompt) + len(row.tokens) >= self._context
                    row.reason = FinishReason.CONTEXT if full else FinishReason.LENGTH
            keep.append(row.reason is None)
        return keep
