"""What packed attention does beside its matrix products, by kernel where one fits and in plain torch elsewhere."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from assent.functional.packing import Block
from assent.kernels import call, fits


def to_heads(
    table: Float[Tensor, "N H D"], tokens: Int[Tensor, " P"], block: Block, shared: int, each: int, factor: float = 1.0
) -> Float[Tensor, "TK ERW D"]:
    """[N, K·R, D] -> [T·K, E·R·W, D]: what shares a head of the keys stands together; zero where there is no token."""
    heads, size = table.shape[1:]
    width = len(tokens) // (block.trunks * each)
    if fits(table):
        out = table.new_empty(block.trunks * shared, each * (heads // shared) * width, size)
        call("seen.to_heads", table, tokens, each, width, factor, out)
        return out
    found = table.index_select(0, tokens.clamp(min=0)) * (tokens >= 0)[:, None, None] * factor
    found = found.reshape(block.trunks, each, width, shared, heads // shared, size)
    return found.permute(0, 3, 1, 4, 2, 5).reshape(block.trunks * shared, -1, size).contiguous()


def from_heads(
    found: Float[Tensor, "TK ERW D"],
    tokens: Int[Tensor, " P"],
    block: Block,
    each: int,
    out: Float[Tensor, "N H D"],
    factor: float = 1.0,
    adds: bool = False,
) -> None:
    """The inverse, written to the tokens' places in `out`, or added to what is there."""
    heads, size = out.shape[1:]
    width = len(tokens) // (block.trunks * each)
    if fits(found, out):
        call("seen.from_heads", found, tokens, each, width, factor, adds, out)
        return
    shared = len(found) // block.trunks
    found = found.reshape(block.trunks, shared, each, heads // shared, width, size).permute(0, 2, 4, 1, 3, 5)
    real = (tokens >= 0).nonzero()[:, 0]
    values = found.reshape(-1, heads, size).index_select(0, real) * factor
    out.index_add_(0, tokens[real], values) if adds else out.index_copy_(0, tokens[real], values)


def seen_softmax(above: Float[Tensor, "TK ERW A"], own: Float[Tensor, "TKE RW W"], lengths: Int[Tensor, " T"]) -> None:
    """Scores to weights, in place: each over its trunk's first tokens and its own strand's tokens so far."""
    if fits(above, own):
        call("seen.seen_softmax", *_rows(above, own), lengths)
        return
    hidden = _hidden(above, own, lengths)
    wide = torch.promote_types(own.dtype, torch.float32)
    scores = torch.cat(_rows(above, own), dim=1).masked_fill_(hidden, -torch.inf)
    weights = F.softmax(scores, dim=-1, dtype=wide).to(own.dtype)
    _write(weights, above, own)


def seen_softmax_back(
    above: Float[Tensor, "TK ERW A"],
    own: Float[Tensor, "TKE RW W"],
    weights_above: Float[Tensor, "TK ERW A"],
    weights_own: Float[Tensor, "TKE RW W"],
    lengths: Int[Tensor, " T"],
) -> None:
    """Gradients of the weights to gradients of the scores, in place."""
    if fits(above, own):
        call("seen.seen_softmax_back", *_rows(above, own), *_rows(weights_above, weights_own), lengths)
        return
    gradient, weights = torch.cat(_rows(above, own), dim=1), torch.cat(_rows(weights_above, weights_own), dim=1)
    _write(torch._softmax_backward_data(gradient, weights, -1, weights.dtype), above, own)


def _rows(above: Tensor, own: Tensor) -> list[Tensor]:
    """A row for each query."""
    count = own.numel() // own.shape[-1]
    return [above.view(count, above.shape[-1]), own.view(count, own.shape[-1])]


def _hidden(above: Tensor, own: Tensor, lengths: Tensor) -> Tensor:
    width, count = own.shape[-1], own.numel() // own.shape[-1]
    each = torch.arange(count, device=own.device)
    trunk = torch.arange(above.shape[-1], device=own.device) >= lengths[each * len(lengths) // count, None]
    later = torch.arange(width, device=own.device) > (each % width)[:, None]
    return torch.cat([trunk, later], dim=1)


def _write(joined: Tensor, above: Tensor, own: Tensor) -> None:
    above.copy_(joined[:, : above.shape[-1]].reshape(above.shape))
    own.copy_(joined[:, above.shape[-1] :].reshape(own.shape))
