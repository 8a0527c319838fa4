"""Ragged sequences in one row without padding, with prompts that several of them share read once.

A token is computed once and stands in one place of the row. Only attention needs to know which sequence it belongs to:
the sequences, and the prompts that are shared (trunks), are strands that see themselves alone; what follows a trunk is
a branch of it, which sees the trunk and itself. Strands of similar length make a block, padded for attention only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from assent.functional.batching import TokenBatch

SHARE_BELOW = 0.75  # prompts are shared where that leaves fewer tokens than this share: it costs attention some time
_BLOCK_ROWS = 4  # a block of fewer strands costs more calls than it saves padding
_BLOCK_SPREAD = 0.7  # the shortest strand of a block, as a share of its longest


@dataclass(frozen=True)
class Strands:
    """A block of sequences or trunks, n tokens in all: each token sees those before it in its own strand."""

    count: int
    width: int
    gather: Int[Tensor, " padded"]  # the row's token at each padded place; where there is none, any
    places: Int[Tensor, " n"]  # the padded place of each token


@dataclass(frozen=True)
class Branches:
    """A block of what follows trunks, as many branches for each trunk as the one with most has; n tokens in all."""

    trunks: int
    each: int
    width: int
    trunk_width: int
    gather: Int[Tensor, " padded"]
    places: Int[Tensor, " n"]
    trunk_gather: Int[Tensor, " trunk_padded"]
    trunk_real: Bool[Tensor, "T W"]


@dataclass(frozen=True)
class PackedRow:
    """The real tokens of a batch in one row: those of the strands block after block, then those of the branches."""

    ids: Int[Tensor, "1 N"]
    position_ids: Int[Tensor, "1 N"]
    strands: tuple[Strands, ...]
    branches: tuple[Branches, ...]
    places: Int[Tensor, "B L"]  # of each of the batch's tokens in the row; -1 where there is none

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return int(self.position_ids.max()) + 1


@dataclass(frozen=True)
class _Piece:
    """Consecutive tokens of one row of the batch."""

    row: int
    begin: int  # column
    length: int


def pack(batch: TokenBatch, share: bool | None = None) -> PackedRow:
    """One row for a padded batch.

    Args:
        share: read a prompt that several sequences begin with once; where it pays if not given.
    """
    prompt_lengths = batch.attention_mask[:, : batch.start].sum(-1).tolist()
    lengths = batch.attention_mask.sum(-1).tolist()
    count = len(lengths)
    owners = list(batch.trunk or range(count))
    if share is None:
        saved = sum(prompt_lengths[row] for row in range(count) if owners[row] != row)
        share = sum(lengths) - saved < SHARE_BELOW * sum(lengths)
    begins = [batch.start - prompt for prompt in prompt_lengths]
    if not share:
        pieces = [_Piece(row, begins[row], lengths[row]) for row in range(count)]
        return _Row(batch).laid(pieces, {})
    trunks = [_Piece(row, begins[row], prompt_lengths[row]) for row in range(count) if owners[row] == row]
    branches: dict[int, list[_Piece]] = {trunk.row: [] for trunk in trunks}
    for row in range(count):
        branches[owners[row]].append(_Piece(row, batch.start, lengths[row] - prompt_lengths[row]))
    return _Row(batch).laid(trunks, branches)


class _Row:
    """A row being laid."""

    def __init__(self, batch: TokenBatch) -> None:
        self.batch = batch
        self.device = batch.ids.device
        self.places = torch.full(batch.ids.shape, -1, dtype=torch.long)
        self.columns: list[Tensor] = []  # of the padded batch, flat, for each token of the row
        self.length = 0

    def laid(self, strands: Sequence[_Piece], branches: dict[int, list[_Piece]]) -> PackedRow:
        blocks = _blocks(strands, [piece.length for piece in strands])
        laid_strands = tuple(self._strands(block) for block in blocks)
        forks = []
        for block in _blocks(strands, [max((b.length for b in branches.get(p.row, ())), default=0) for p in strands]):
            forks += [self._branches(block, [branches[trunk.row] for trunk in block])] if branches else []
        for row, owner in enumerate(self.batch.trunk or ()):
            if branches and owner != row:  # its prompt stands where the first one's does
                begin = int((self.places[owner, : self.batch.start] >= 0).int().argmax())
                self.places[row, begin : self.batch.start] = self.places[owner, begin : self.batch.start]
        flat = torch.cat(self.columns).to(self.device)
        ids, positions = (table.reshape(-1)[flat][None] for table in (self.batch.ids, self.batch.position_ids))
        return PackedRow(ids, positions, laid_strands, tuple(forks), self.places.to(self.device))

    def _put(self, piece: _Piece) -> int:
        """Append a piece; returns where it begins in the row."""
        begin = self.length
        columns = torch.arange(piece.begin, piece.begin + piece.length)
        self.columns.append(piece.row * self.batch.ids.shape[1] + columns)
        self.places[piece.row, piece.begin : piece.begin + piece.length] = torch.arange(begin, begin + piece.length)
        self.length += piece.length
        return begin

    def _strands(self, pieces: Sequence[_Piece]) -> Strands:
        begins = torch.tensor([self._put(piece) for piece in pieces])
        gather, real = _padded(begins, torch.tensor([piece.length for piece in pieces]))
        count, width = real.shape
        return Strands(count, width, gather.reshape(-1).to(self.device), _true(real).to(self.device))

    def _branches(self, trunks: Sequence[_Piece], branches: Sequence[Sequence[_Piece]]) -> Branches:
        each = max(map(len, branches))
        begins, lengths = torch.zeros(len(trunks), each, dtype=torch.long), torch.zeros(len(trunks), each)
        for place, pieces in enumerate(branches):
            for number, piece in enumerate(pieces):
                begins[place, number], lengths[place, number] = self._put(piece), piece.length
        gather, real = _padded(begins, lengths)
        starts = torch.stack([self.places[trunk.row, trunk.begin] for trunk in trunks])
        trunk_gather, trunk_real = _padded(starts, torch.tensor([trunk.length for trunk in trunks]))
        indices = (gather.reshape(-1), _true(real), trunk_gather.reshape(-1), trunk_real)
        moved = (index.to(self.device) for index in indices)
        return Branches(len(trunks), each, real.shape[-1], trunk_real.shape[-1], *moved)


def _padded(begins: Int[Tensor, "*S"], lengths: Tensor) -> tuple[Int[Tensor, "*S W"], Bool[Tensor, "*S W"]]:
    """The row's tokens of pieces, padded with the row's first one, and which of them are real."""
    steps = torch.arange(max(1, int(lengths.max())))
    real = steps < lengths[..., None]
    return torch.where(real, begins[..., None] + steps, 0), real


def _true(real: Bool[Tensor, "*S"]) -> Int[Tensor, " n"]:
    return real.reshape(-1).nonzero()[:, 0]


def _blocks(pieces: Sequence[_Piece], lengths: Sequence[int]) -> list[list[_Piece]]:
    """Pieces by length, the longest first, in blocks of similar length."""
    order = sorted(range(len(pieces)), key=lambda place: (-lengths[place], place))
    blocks: list[list[_Piece]] = []
    longest = 0
    for place in order:
        if not blocks or (lengths[place] < _BLOCK_SPREAD * longest and len(blocks[-1]) >= _BLOCK_ROWS):
            blocks.append([])
            longest = lengths[place]
        blocks[-1].append(pieces[place])
    return blocks
