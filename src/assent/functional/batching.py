"""Ragged sequences to tensors: microbatches by tokens, and completions aligned on one column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True)
class TokenBatch:
    """Prompts padded on the left, completions on the right, so that every completion starts in column `start`.

    The pad value is never looked at: the masks say what is real.
    """

    ids: Int[Tensor, "B L"]
    attention_mask: Int[Tensor, "B L"]
    position_ids: Int[Tensor, "B L"]
    start: int  # column of the first completion token
    completion_mask: Bool[Tensor, "B T"]  # T = L - start
    trunk: tuple[int, ...] | None = None  # of each row the first one with the same prompt; None: not known

    @property
    def completion_ids(self) -> Int[Tensor, "B T"]:
        """The tokens that are trained, [B, T]."""
        return self.ids[:, self.start :]

    def to(self, device: torch.device | str) -> TokenBatch:
        """The same batch on another device."""
        return TokenBatch(
            self.ids.to(device),
            self.attention_mask.to(device),
            self.position_ids.to(device),
            self.start,
            self.completion_mask.to(device),
            self.trunk,
        )


def make_batch(prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], pad_id: int = 0) -> TokenBatch:
    """One batch of prompt-completion sequences.

    Raises:
        ValueError: no sequences, an empty prompt, or as many completions as prompts are not given.
    """
    if not prompts or len(prompts) != len(completions):
        raise ValueError(f"make_batch needs equal counts of at least one, got {len(prompts)} and {len(completions)}")
    if min(map(len, prompts)) == 0:
        raise ValueError("make_batch: an empty prompt leaves the first completion token without a state before it")
    start, width = max(map(len, prompts)), max(1, max(map(len, completions)))
    ids = torch.full((len(prompts), start + width), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        begin, end = start - len(prompt), start + len(completion)
        ids[row, begin:end] = torch.tensor([*prompt, *completion], dtype=torch.long)
        mask[row, begin:end] = 1
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    first: dict[tuple[int, ...], int] = {}
    trunk = tuple(first.setdefault(tuple(prompt), row) for row, prompt in enumerate(prompts))
    return TokenBatch(ids, mask, positions, start, mask[:, start:].bool(), trunk)


def split_by_tokens(lengths: Sequence[int], max_tokens: int, together: Sequence[int] | None = None) -> list[list[int]]:
    """Indices grouped so that each group, padded to its longest, has at most `max_tokens` tokens.

    Longest first, so that memory peaks at once or never. A sequence longer than `max_tokens` stands alone. The order
    within groups is stable, so the same lengths always give the same groups.

    Args:
        together: a number for each index; those of the same number stay in one group if they fit into one, as
            sequences do that share a prompt.

    Raises:
        ValueError: max_tokens below 1.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens must be at least 1, got {max_tokens}")
    units: dict[int, list[int]] = {}
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        units.setdefault(index if together is None else together[index], []).append(index)
    groups: list[list[int]] = []
    longest = 0  # of the newest group
    for unit in units.values():
        for part in [unit] if lengths[unit[0]] * len(unit) <= max_tokens else [[index] for index in unit]:
            wider = max(longest, lengths[part[0]])
            if groups and wider * (len(groups[-1]) + len(part)) <= max_tokens:
                groups[-1] += part
                longest = wider
            else:
                groups.append(list(part))
                longest = lengths[part[0]]
    return [sorted(group, key=lambda index: (-lengths[index], index)) for group in groups]


def pack_stream(documents: Sequence[Sequence[int]], row_tokens: int) -> Int[Tensor, "rows row_tokens"]:
    """Documents laid end to end and cut into full rows for next-token training; the rest that fills no row is left.

    Raises:
        ValueError: too few tokens for a single row.
    """
    stream = [token for document in documents for token in document]
    rows = len(stream) // row_tokens
    if rows == 0:
        raise ValueError(f"{len(stream)} tokens do not fill one row of {row_tokens}")
    return torch.tensor(stream[: rows * row_tokens], dtype=torch.long).view(rows, row_tokens)
