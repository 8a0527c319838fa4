"""Keys and values of sequences that are being written, each in a slot of its own, so that they come and go singly.

A slot begins with its prompt's first token: nothing is padded on the left, rows of any length stand beside one another,
and a finished one's slot is given to the next prompt. Prompts are read as one packed row, each once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from assent.functional.batching import make_batch
from assent.functional.packing import pack
from assent.functional.shapes import recurring
from assent.models.packed import WINDOWS, base_model, calling, reads_packed, tolerance, tried
from assent.models.quick_layers import quick_layers
from assent.models.quick_step import QuickStep, quick_step

_NEVER = -1e30
_GROWTH = 1.5  # columns are made anew, so much more of them, when they are used up
_known: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
_quick: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


class Slots:
    """The cache that a transformers model is given. Live sequences are in the first slots.

    Args:
        count: of slots.
        columns: tokens that a slot holds to begin with.
        context: the longest sequence that the model takes.
        quick: what takes steps in the model's place, if it is known to say the same (`steps_quickly`).
    """

    def __init__(self, count: int, columns: int, context: int, quick: QuickStep | None = None) -> None:
        self._quick = quick
        self._count, self._columns, self._context = _rows(count), columns, context
        self._tables: dict[int, tuple[Tensor, Tensor]] = {}  # of each layer keys and values: [slots, K, columns, D]
        self._read: dict[int, tuple[Tensor, Tensor]] | None = None  # while prompts are read
        self._lengths: Int[Tensor, " S"] = torch.zeros(0, dtype=torch.long)  # tokens in each live slot
        self._starts = self._lengths  # where this step's tokens are put
        self._width = 0  # of the longest
        self._places: dict[int, Tensor] = {}  # by number of heads, where this step's keys and values are put
        self.hidden: Float[Tensor, "S 1 1 W"] | None = None  # -1e30 where a slot's new token must not look

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Transformers asks; positions are given to it anyway."""
        return 0 if self._read is not None else self._width

    def update(self, key: Tensor, value: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Called by each layer with what is new; gives back what its tokens may look at."""
        if self._read is not None:
            self._read[layer_idx] = (key[0], value[0])
            return key, value
        live, heads, size = key.shape[0], key.shape[1], key.shape[3]
        if heads not in self._places:
            begins = torch.arange(live * heads, device=key.device) * self._columns
            self._places[heads] = begins + self._starts.repeat_interleave(heads)
        seen = []
        for table, new in zip(self._tables[layer_idx], (key, value), strict=True):
            table.view(-1, size).index_copy_(0, self._places[heads], new.reshape(-1, size))
            seen.append(table[:live, :, : self._width + 1])
        return seen[0], seen[1]

    def admit(self, model: Any, prompts: Sequence[Sequence[int]], copies: Sequence[int]) -> Float[Tensor, "S V"]:
        """Read prompts, each once, into slots behind the live ones, so many for each; logits of their next tokens."""
        device = next(model.parameters()).device
        row = pack(make_batch(prompts, [[]] * len(prompts)).to(device), share=False)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        last = row.places[:, int(lengths.max()) - 1]
        self._read = {}
        with calling(model), quick_layers(base_model(model)):
            logits: Tensor = model(
                input_ids=row.ids,
                position_ids=row.position_ids,
                past_key_values=self,
                use_cache=True,
                packed_row=row,
                logits_to_keep=last,
            ).logits[0]
        read, self._read = self._read, None
        source = torch.repeat_interleave(torch.tensor(copies, device=device))
        begin = len(self._lengths)
        self._lengths = torch.cat([self._lengths.to(device), lengths[source]])
        width = int(lengths.max())
        self._width = max(self._width, width)
        self._make_room(read)
        steps = torch.arange(width, device=device)
        gather = torch.where(steps < lengths[:, None], (last - lengths + 1)[:, None] + steps, 0)[source].reshape(-1)
        for layer, new in read.items():
            for table, found in zip(self._tables[layer], new, strict=True):
                rows = found.transpose(0, 1).index_select(0, gather).view(len(source), width, *found.shape[::2])
                table[begin : begin + len(source), :, :width] = rows.transpose(1, 2)
        return logits[source]

    def step(self, model: Any, tokens: Int[Tensor, " S"]) -> Float[Tensor, "S V"]:
        """Append a token to each live slot; logits of the next ones."""
        self._make_room({})
        live, more = len(tokens), (0, _rows(len(tokens)) - len(tokens))  # free slots are written to as well
        tokens, lengths = F.pad(tokens, more), F.pad(self._lengths, more)
        # a sequence that has filled the context is finished, and may still stand here
        positions = lengths.clamp(max=self._context - 1)
        if self._quick is not None:
            logits = self._quick(tokens, positions, lengths, self._tables)
        else:
            logits = self._plain_step(model, tokens, positions, lengths)
        self._lengths = self._lengths + 1
        self._width += 1
        return logits[:live]

    def _plain_step(self, model: Any, tokens: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
        columns = torch.arange(self._width + 1, device=tokens.device)
        dtype = next(iter(self._tables.values()))[0].dtype
        self.hidden = torch.where(columns > lengths[:, None], _NEVER, 0.0).to(dtype)[:, None, None]
        self._starts = lengths
        self._places.clear()
        with calling(model):
            logits: Tensor = model(
                input_ids=tokens[:, None],
                position_ids=positions[:, None],
                past_key_values=self,
                use_cache=True,
                slots=self,
            ).logits
        return logits[:, -1]

    def keep(self, index: Int[Tensor, " K"]) -> None:
        """Of the live slots only these go on, in this order; what is where it was is not touched."""
        self._lengths = self._lengths[index]
        self._width = int(self._lengths.max()) if len(index) else 0
        to = torch.nonzero(index != torch.arange(len(index), device=index.device))[:, 0]
        for tables in self._tables.values():
            for table in tables:
                table[to, :, : self._width] = table[index[to], :, : self._width]

    def _make_room(self, read: dict[int, tuple[Tensor, Tensor]]) -> None:
        """For one more token in each slot; for the layers that were read for the first time."""
        if self._width >= self._columns:
            self._columns = max(self._width + 1, int(_GROWTH * self._columns))
            for layer, tables in self._tables.items():
                more = self._columns - tables[0].shape[2]
                self._tables[layer] = (F.pad(tables[0], (0, 0, 0, more)), F.pad(tables[1], (0, 0, 0, more)))
        for layer, new in read.items():
            if layer not in self._tables:
                key, value = (
                    table.new_zeros(self._count, table.shape[0], self._columns, table.shape[2]) for table in new
                )
                self._tables[layer] = (key, value)


def _rows(live: int) -> int:
    """Rows of a step: a few more than there are sequences, so that steps have shapes that recur."""
    return recurring(live, finest=8, levels=8)


def works_in_slots(model: nn.Module) -> bool:
    """Whether this model writes the same in slots as it reads in one go; tried once."""
    inner = base_model(model)
    windows = [getattr(inner.config, name, None) for name in WINDOWS]
    on_cpu = next(inner.parameters()).device.type == "cpu"  # what packs prompts is made, and measured, for CPUs
    if not on_cpu or not reads_packed(model) or any(isinstance(window, int) for window in windows):
        return False
    if inner not in _known:
        _known[inner] = tried(lambda: _agrees(model, None))
    return _known[inner]


def steps_quickly(model: nn.Module) -> bool:
    """Whether this model, which works in slots, and its shadows take the quick step with the same result; tried once.

    Of a model in fp32 ask it before its shadow: more can be told.
    """
    inner = base_model(model)
    if inner not in _quick:
        _quick[inner] = tried(lambda: (quick := quick_step(model)) is not None and _agrees(model, quick))
    return _quick[inner]


@torch.no_grad()
def _agrees(model: Any, quick: QuickStep | None) -> bool:
    rows = base_model(model).get_input_embeddings().weight.shape[0]
    ids = [[number % rows for number in range(begin, begin + 6)] for begin in (1, 20, 40)]
    slots = Slots(4, 5, 64, quick)
    slots.admit(model, [ids[0][:4], ids[1][:2]], [1, 2])
    slots.step(model, torch.tensor([ids[0][4], ids[1][2], ids[1][2]]))
    slots.keep(torch.tensor([0, 2]))
    slots.admit(model, [ids[2][:3]], [1])
    found = slots.step(model, torch.tensor([ids[0][5], ids[1][3], ids[2][3]]))
    for given, logits in zip((ids[0], ids[1][:4], ids[2][:4]), found, strict=True):
        plain = model(input_ids=torch.tensor([given]), use_cache=False).logits[0, -1]
        if not (logits - plain).abs().max() <= tolerance(plain):
            return False
    return True
