"""Ragged sequences in one row without padding, with prompts that several of them share read once.

A token is computed once and stands in one place of the row. Only attention needs to know which sequence it belongs to:
the sequences, and the prompts that are shared (trunks), are strands that see themselves alone; what follows a trunk is
a branch of it, which sees the trunk and itself. Strands of similar length make a block, padded for attention only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from assent.functional.batching import TokenBatch
from assent.functional.shapes import recurring

SHARE_BELOW = 0.75  # prompts are shared where that leaves fewer tokens than this share: it costs attention some time
_BLOCK_ROWS = 4  # a block of fewer strands costs more calls than it saves padding
_BLOCK_SPREAD = 0.7  # the shortest strand of a block, as a share of its longest


@dataclass(frozen=True)
class Block:
    """Strands of similar length, or branches of trunks that are, padded: each token sees its own so far, and its trunk.

    A strand is a branch with nothing above. Every trunk has as many branches as the one with most; what is not there
    has no tokens.
    """

    trunks: int  # T
    each: int  # E, branches of each
    width: int  # W
    tokens: Int[Tensor, " P"]  # P = T·E·W: the row's token at each padded place, -1 where there is none
    above: Int[Tensor, " Q"]  # Q = T·A: the row's tokens of each trunk, likewise; A = 0 for strands
    above_lengths: Int[Tensor, " T"]


@dataclass(frozen=True)
class PackedRow:
    """The real tokens of a batch in one row: those of the strands block after block, then those of the branches.

    Some that belong to no sequence follow, so that rows have lengths that recur.
    """

    count: int  # of real tokens
    ids: Int[Tensor, "1 N"]
    position_ids: Int[Tensor, "1 N"]
    blocks: tuple[Block, ...]  # a trunk's own block comes before that of its branches
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
        laid_blocks = [self._strands(block) for block in blocks]
        for block in _blocks(strands, [max((b.length for b in branches.get(p.row, ())), default=0) for p in strands]):
            laid_blocks += [self._branches(block, [branches[trunk.row] for trunk in block])] if branches else []
        for row, owner in enumerate(self.batch.trunk or ()):
            if branches and owner != row:  # its prompt stands where the first one's does
                begin = int((self.places[owner, : self.batch.start] >= 0).int().argmax())
                self.places[row, begin : self.batch.start] = self.places[owner, begin : self.batch.start]
        flat = torch.cat(self.columns).to(self.device)
        more = (0, recurring(self.length) - self.length)
        ids, positions = (
            F.pad(table.reshape(-1)[flat], more)[None] for table in (self.batch.ids, self.batch.position_ids)
        )
        return PackedRow(self.length, ids, positions, tuple(laid_blocks), self.places.to(self.device))

    def _put(self, piece: _Piece) -> int:
        """Append a piece; returns where it begins in the row."""
        begin = self.length
        columns = torch.arange(piece.begin, piece.begin + piece.length)
        self.columns.append(piece.row * self.batch.ids.shape[1] + columns)
        self.places[piece.row, piece.begin : piece.begin + piece.length] = torch.arange(begin, begin + piece.length)
        self.length += piece.length
        return begin

    def _strands(self, pieces: Sequence[_Piece]) -> Block:
        begins = torch.tensor([self._put(piece) for piece in pieces])
        tokens = _padded(begins, torch.tensor([piece.length for piece in pieces]))
        nothing = torch.zeros(len(pieces), dtype=torch.long)
        return self._block(tokens[:, None], nothing[:0].reshape(len(pieces), 0), nothing)

    def _branches(self, trunks: Sequence[_Piece], branches: Sequence[Sequence[_Piece]]) -> Block:
        each = max(map(len, branches))
        begins, lengths = torch.zeros(2, len(trunks), each, dtype=torch.long)
        for place, pieces in enumerate(branches):
            for number, piece in enumerate(pieces):
                begins[place, number], lengths[place, number] = self._put(piece), piece.length
        starts = torch.stack([self.places[trunk.row, trunk.begin] for trunk in trunks])
        above = torch.tensor([trunk.length for trunk in trunks])
        return self._block(_padded(begins, lengths), _padded(starts, above), above)

    def _block(self, tokens: Int[Tensor, "T E W"], above: Int[Tensor, "T A"], lengths: Int[Tensor, " T"]) -> Block:
        moved = (index.to(self.device) for index in (tokens.reshape(-1), above.reshape(-1), lengths))
        return Block(*tokens.shape, *moved)


def _padded(begins: Int[Tensor, "*S"], lengths: Int[Tensor, "*S"]) -> Int[Tensor, "*S W"]:
    """The row's tokens of pieces; -1 behind the end of each."""
    steps = torch.arange(recurring(max(1, int(lengths.max())), levels=4))
    return torch.where(steps < lengths[..., None], begins[..., None] + steps, -1)


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
