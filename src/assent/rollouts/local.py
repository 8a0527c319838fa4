"""A generator in the trainer's process, on the trainer's own weights: nothing is copied, nothing can be stale."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from assent.functional.batching import make_batch
from assent.functional.sampling import likeliest_tokens, sample_tokens
from assent.models.loading import cache_bytes, context_length
from assent.models.quick_step import quick_step
from assent.models.shadow import Shadow
from assent.models.slots import Slots, steps_quickly, works_in_slots
from assent.rollouts.requests import room_behind
from assent.types.protocols import SamplingParams
from assent.types.rollout import FinishReason, Generation, GenerationRequest

COMPACT_BELOW = 0.8  # the batch is rebuilt when fewer than this share of its rows still write
ADMIT_FROM = 0.125  # rows that wait come in when this share of the batch is free
_LOGITS = 8  # bytes of each of a row's logits: as they come, and in fp32
_AHEAD = 32  # columns beside the prompt that a slot has to begin with


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
    """Samples from a transformers causal LM. Rows that finish make room for those that wait.

    Log-probabilities are taken from the very distribution that is sampled (fp32, logits over temperature). A row's
    tokens depend on the seed, its place in the call and its prompt, not on which rows it is decoded with (but for
    rounding, which in bf16 can tell).

    Args:
        model: the policy; put into no other mode, dropout is off already.
        stop_ids: tokens that end a completion (kept as its last token).
        version: called at each `generate`, names the weights in use.
        batch_size: rows decoded together.
        on_row: told after each step how many rows are finished, and of how many.
        bf16: sample from a copy of the weights in bf16, made anew at each `generate`.
    """

    def __init__(
        self,
        model: nn.Module,
        stop_ids: Sequence[int],
        version: Callable[[], str],
        batch_size: int = 256,
        on_row: Callable[[int, int], None] | None = None,
        bf16: bool = False,
    ) -> None:
        self.model: Any = model
        self.stop_ids = frozenset(stop_ids)
        self._version = version
        self._batch_size = batch_size
        self._on_row = on_row
        self._bf16 = bf16
        self._shadow: Shadow | None = None
        self._held: tuple[Any, str] | None = None  # weights that do not change, and their version
        self._copy: Any = None
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
        # Prompts of similar length are read together, and the rows of one prompt stand together.
        waiting = sorted(rows, key=lambda row: (-len(row.prompt), row.request, row.row))
        with torch.inference_mode():
            model = self._weights() if self._held is None else self._held[0]
            if works_in_slots(self.model):
                self._write_in_slots(model, waiting, noise, sampling)
            else:
                for begin in range(0, len(waiting), self._batch_size):
                    self._write_padded(model, waiting[begin : begin + self._batch_size], noise, sampling)
                    self._tell(min(begin + self._batch_size, len(waiting)), len(waiting))
        version = self.policy_version if self._held is None else self._held[1]
        return [
            Generation(row.request, row.tokens, row.logprobs, row.reason or FinishReason.LENGTH, version)
            for row in rows
        ]

    def hold(self) -> None:
        """In bf16 the copy is held that is there anyway, else one is made."""
        with torch.inference_mode():
            if works_in_slots(self.model):  # both are found out by calling the model, which may be busy later
                steps_quickly(self.model)
            model = self._weights() if self._bf16 else self._as_they_are()
        self._held = (model, self.policy_version)

    def release(self) -> None:
        """Back to the model itself."""
        self._held = None

    def _as_they_are(self) -> Any:
        if self._copy is None:
            self._copy = copy.deepcopy(self.model).eval().requires_grad_(False)
        for held, weight in zip(self._copy.parameters(), self.model.parameters(), strict=True):
            held.copy_(weight)
        return self._copy

    def memory(self, rows: int, tokens: int, held: bool) -> int:
        """Bytes that it takes for so many sequences of so many tokens: a cache, logits, and its copy of the weights."""
        weight = next(self.model.parameters())
        size = 2 if self._bf16 else weight.element_size()
        config = self.model.config
        rows = min(rows, self._batch_size)
        made = 0
        if self._bf16 and not self._shadow:
            made = sum(2 * value.numel() for value in self.model.parameters())
        elif held and not self._bf16:
            made = sum(value.numel() * value.element_size() for value in self.model.parameters())
        return made + rows * (tokens * cache_bytes(config, size) + _LOGITS * int(config.vocab_size))

    def _weights(self) -> Any:
        if not self._bf16:
            return self.model
        if self._shadow is None:
            self._shadow = Shadow(self.model)
        else:
            self._shadow.refresh()
        return self._shadow.model

    def _tell(self, finished: int, total: int) -> None:
        if self._on_row is not None:
            self._on_row(finished, total)

    def _rows(self, requests: Sequence[GenerationRequest], max_new_tokens: int) -> list[_Row]:
        rows: list[_Row] = []
        for index, request in enumerate(requests):
            room = room_behind(index, request.prompt_ids, self._context)
            for _ in range(request.n):
                rows.append(_Row(index, len(rows), request.prompt_ids, min(max_new_tokens, room)))
        return rows

    def _write_in_slots(self, model: Any, rows: list[_Row], noise: Tensor, sampling: SamplingParams) -> None:
        """Continue these rows, as many at a time as there are slots, until each has stopped."""
        waiting = deque(rows)
        count = min(self._batch_size, len(rows))
        quick = quick_step(model) if steps_quickly(self.model) else None
        slots = Slots(count, max(len(row.prompt) for row in rows) + _AHEAD, self._context, quick)
        device = next(model.parameters()).device
        live: list[_Row] = []
        while live or waiting:
            logits = []
            if live:
                logits.append(slots.step(model, torch.tensor([row.tokens[-1] for row in live], device=device)))
            if waiting and len(live) <= (1.0 - ADMIT_FROM) * count:
                new = [waiting.popleft() for _ in range(min(count - len(live), len(waiting)))]
                logits.append(slots.admit(model, *_prompts_of(new)))
                live += new
            tokens, logprobs = self._draw(torch.cat(logits), live, noise, sampling)
            keep = self._record(live, tokens, logprobs)
            few = sum(keep) < COMPACT_BELOW * len(keep)
            if few or (waiting and count - sum(keep) >= ADMIT_FROM * count):
                index = _closed_up(keep)
                slots.keep(torch.tensor(index, dtype=torch.long, device=device))
                live = [live[place] for place in index]
                self._tell(len(rows) - len(waiting) - len(live), len(rows))

    def _draw(
        self, logits: Tensor, live: Sequence[_Row], noise: Tensor, sampling: SamplingParams
    ) -> tuple[list[int], list[float]]:
        """Tokens and their log-probabilities, each row's from its own numbers."""
        if sampling.greedy:
            tokens, logprobs = likeliest_tokens(logits, sampling.temperature)
        else:
            # a finished row that is still here has used up its numbers
            steps = [min(len(row.tokens), noise.shape[1] - 1) for row in live]
            uniform = noise[[row.row for row in live], steps].to(logits.device)
            tokens, logprobs = sample_tokens(logits, sampling.temperature, uniform)
        return tokens.tolist(), logprobs.tolist()

    def _write_padded(self, model: Any, rows: list[_Row], noise: Tensor, sampling: SamplingParams) -> None:
        """The same with the cache of transformers, for models that cannot be written with in slots."""
        from transformers import DynamicCache

        prompts, copies = _prompts_of(rows)
        device = next(model.parameters()).device
        batch = make_batch(prompts, [[]] * len(prompts)).to(device)
        width = batch.start
        cache = DynamicCache()
        logits = model(
            input_ids=batch.ids[:, :width],
            attention_mask=batch.attention_mask[:, :width],
            position_ids=batch.position_ids[:, :width],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        source = torch.repeat_interleave(torch.tensor(copies, device=device))
        cache.batch_select_indices(source)
        logits, mask = logits[source], batch.attention_mask[:, :width][source]
        live = rows
        while True:
            tokens, logprobs = self._draw(logits, live, noise, sampling)
            keep = self._record(live, tokens, logprobs)
            if not any(keep):
                return
            if sum(keep) < COMPACT_BELOW * len(keep):
                index = torch.tensor([place for place, kept in enumerate(keep) if kept], device=device)
                live = [row for row, kept in zip(live, keep, strict=True) if kept]
                cache.batch_select_indices(index)
                mask = mask[index]
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            positions = (mask.sum(-1, keepdim=True) - 1).clamp(max=self._context - 1)
            logits = model(
                input_ids=torch.tensor([[row.tokens[-1]] for row in live], device=device),
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
            ).logits[:, -1]

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


def _closed_up(keep: Sequence[bool]) -> list[int]:
    """Places of those that go on, in an order that leaves most of them where they are: the last fill the gaps."""
    count = sum(keep)
    from_behind = [place for place in range(count, len(keep)) if keep[place]]
    return [place if keep[place] else from_behind.pop() for place in range(count)]


def _prompts_of(rows: Sequence[_Row]) -> tuple[list[Sequence[int]], list[int]]:
    """The distinct prompts of rows that stand request by request, and how many rows each has."""
    prompts: list[Sequence[int]] = []
    copies: list[int] = []
    last = None
    for row in rows:
        if row.request != last:
            prompts.append(row.prompt)
            copies.append(0)
            last = row.request
        copies[-1] += 1
    return prompts, copies
