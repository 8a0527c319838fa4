"""Causal attention over a packed row: dense products over blocks of similar strands, and nothing for padding elsewhere.

The gradient is written out, so that of each block only its queries, keys, values and weights are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from assent.functional.packing import Branches, PackedRow, Strands

_NEVER = -1e30
_Gradients = tuple[Tensor, Tensor, Tensor]  # of queries, keys and values


def packed_attention(
    query: Float[Tensor, "N H D"],
    key: Float[Tensor, "N K D"],
    value: Float[Tensor, "N K D"],
    row: PackedRow,
    scale: float,
) -> Float[Tensor, "N H D"]:
    """softmax(query · key · scale) · value, where each token sees its own strand, or its trunk and its branch, so far.

    Heads of the keys are shared by H / K heads of the queries each (grouped queries). Weights are summed in fp32.
    """
    found: Tensor = _PackedAttention.apply(query, key, value, row, scale)  # type: ignore[no-untyped-call]
    return found


class _PackedAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, row: PackedRow, scale: float) -> Tensor:
        kept: list[Tensor] = []
        parts = []
        query = query * scale
        for strands in row.strands:
            parts.append(_strands_forward(query, key, value, strands, kept))
        for branches in row.branches:
            parts.append(_branches_forward(query, key, value, branches, kept))
        ctx.save_for_backward(*kept)
        ctx.row, ctx.scale, ctx.key_heads = row, scale, key.shape[1]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        (gradient,) = gradients
        kept = iter(ctx.saved_tensors)
        sizes = [len(block.places) for block in (*ctx.row.strands, *ctx.row.branches)]
        pieces = iter(torch.split(gradient, sizes))
        parts, of_trunks = [], []
        for strands in ctx.row.strands:
            parts.append(_strands_backward(next(pieces), strands, ctx.key_heads, kept))
        for branches in ctx.row.branches:
            own, of_trunk = _branches_backward(next(pieces), branches, ctx.key_heads, kept)
            parts.append(own)
            of_trunks.append(of_trunk)
        query, key, value = (torch.cat(tables) for tables in zip(*parts, strict=True))
        for branches, (trunk_key, trunk_value) in zip(ctx.row.branches, of_trunks, strict=True):
            tokens = branches.trunk_gather[_flat(branches)]
            key[tokens] += trunk_key
            value[tokens] += trunk_value
        return query * ctx.scale, key, value, None, None


def _strands_forward(query: Tensor, key: Tensor, value: Tensor, block: Strands, kept: list[Tensor]) -> Tensor:
    heads, size = query.shape[1:]
    shared, count, width = key.shape[1], block.count, block.width
    q = _strand_heads(query, block.gather, count, shared)
    k, v = (_strand_heads(table, block.gather, count, shared) for table in (key, value))
    scores = torch.bmm(q, k.transpose(1, 2)).reshape(-1, width, width).add_(_future(width, q))
    weights = _softmax(scores).reshape(count * shared, -1, width)
    kept += (q, k, v, weights)
    out = torch.bmm(weights, v).reshape(count, shared, -1, width, size).permute(0, 3, 1, 2, 4)
    return out.reshape(count * width, heads, size).index_select(0, block.places)


def _strands_backward(gradient: Tensor, block: Strands, shared: int, kept: Iterator[Tensor]) -> _Gradients:
    q, k, v, weights = next(kept), next(kept), next(kept), next(kept)
    count, width, size = block.count, block.width, gradient.shape[-1]
    out = _spread(gradient, block).reshape(count, width, shared, -1, size)
    out = out.permute(0, 2, 3, 1, 4).reshape(count * shared, -1, size)
    inner = torch._softmax_backward_data(torch.bmm(out, v.transpose(1, 2)), weights, -1, weights.dtype)
    in_query = torch.bmm(inner, k).reshape(count, shared, -1, width, size).permute(0, 3, 1, 2, 4)

    def tokens(found: Tensor) -> Tensor:
        return found.reshape(count, shared, width, size).transpose(1, 2).reshape(count * width, shared, size)

    return (
        in_query.reshape(count * width, -1, size).index_select(0, block.places),
        tokens(torch.bmm(inner.transpose(1, 2), q)).index_select(0, block.places),
        tokens(torch.bmm(weights.transpose(1, 2), out)).index_select(0, block.places),
    )


def _branches_forward(query: Tensor, key: Tensor, value: Tensor, block: Branches, kept: list[Tensor]) -> Tensor:
    heads, size = query.shape[1:]
    shared, trunks, width = key.shape[1], block.trunks, block.width
    q = _branch_heads(query, block, shared)
    k, v = (_branch_heads(table, block, shared).reshape(-1, width, size) for table in (key, value))
    above = [_strand_heads(table, block.trunk_gather, trunks, shared) for table in (key, value)]
    hidden = torch.where(block.trunk_real, 0.0, _NEVER).to(q.dtype)[:, None, None, :]
    to_trunk = torch.bmm(q, above[0].transpose(1, 2))
    to_trunk.view(trunks, shared, -1, block.trunk_width).add_(hidden)
    to_self = torch.bmm(q.reshape(len(k), -1, size), k.transpose(1, 2))
    to_self.view(-1, width, width).add_(_future(width, q))
    weights = _softmax(torch.cat([to_trunk, to_self.reshape(len(q), -1, width)], dim=-1))
    in_trunk, in_self = _split(weights, block)
    kept += (q, k, v, *above, weights)
    out = torch.bmm(in_trunk, above[1]).reshape(len(k), -1, size).baddbmm_(in_self.reshape(len(k), -1, width), v)
    out = out.reshape(trunks, shared, block.each, -1, width, size).permute(0, 2, 4, 1, 3, 5)
    return out.reshape(-1, heads, size).index_select(0, block.places)


def _branches_backward(
    gradient: Tensor, block: Branches, shared: int, kept: Iterator[Tensor]
) -> tuple[_Gradients, tuple[Tensor, Tensor]]:
    """Gradients of the branches' own tokens, and of keys and values of their trunks' tokens."""
    q, k, v, trunk_key, trunk_value, weights = (next(kept) for _ in range(6))
    trunks, each, width, size = block.trunks, block.each, block.width, gradient.shape[-1]
    out = _spread(gradient, block).reshape(trunks, each, width, shared, -1, size)
    out = out.permute(0, 3, 1, 4, 2, 5).reshape(trunks * shared, -1, size)
    own, queries = out.reshape(len(k), -1, size), q.reshape(len(k), -1, size)
    in_trunk, in_self = _split(weights, block)
    wanted = torch.bmm(own, v.transpose(1, 2)).reshape(len(q), -1, width)
    wanted = torch.cat([torch.bmm(out, trunk_value.transpose(1, 2)), wanted], dim=-1)
    inner = torch._softmax_backward_data(wanted, weights, -1, weights.dtype)
    to_trunk, to_self = _split(inner, block)
    to_self, in_self = to_self.reshape(len(k), -1, width), in_self.reshape(len(k), -1, width)
    in_query = torch.bmm(to_trunk, trunk_key).reshape(len(k), -1, size).baddbmm_(to_self, k)
    in_query = in_query.reshape(trunks, shared, each, -1, width, size).permute(0, 2, 4, 1, 3, 5)

    def tokens(found: Tensor) -> Tensor:
        found = found.reshape(trunks, shared, each, width, size).permute(0, 2, 3, 1, 4)
        return found.reshape(-1, shared, size).index_select(0, block.places)

    def of_trunk(found: Tensor) -> Tensor:
        found = found.reshape(trunks, shared, -1, size).transpose(1, 2)
        return found.reshape(-1, shared, size).index_select(0, _flat(block))

    found = (
        in_query.reshape(-1, gradient.shape[1], size).index_select(0, block.places),
        tokens(torch.bmm(to_self.transpose(1, 2), queries)),
        tokens(torch.bmm(in_self.transpose(1, 2), own)),
    )
    trunk = (to_trunk.transpose(1, 2), in_trunk.transpose(1, 2))
    return found, (of_trunk(torch.bmm(trunk[0], q)), of_trunk(torch.bmm(trunk[1], out)))


def _strand_heads(table: Tensor, gather: Tensor, count: int, shared: int) -> Tensor:
    """[N, H, D] -> [count · K, H / K · width, D]: what shares a head of the keys stands together."""
    found = table.index_select(0, gather).reshape(count, -1, shared, table.shape[1] // shared, table.shape[2])
    return found.permute(0, 2, 3, 1, 4).reshape(count * shared, -1, table.shape[2])


def _branch_heads(table: Tensor, block: Branches, shared: int) -> Tensor:
    """[N, H, D] -> [trunks · K, each · H / K · width, D]."""
    found = table.index_select(0, block.gather)
    found = found.reshape(block.trunks, block.each, block.width, shared, -1, table.shape[2])
    return found.permute(0, 3, 1, 4, 2, 5).reshape(block.trunks * shared, -1, table.shape[2])


def _split(table: Tensor, block: Branches) -> tuple[Tensor, Tensor]:
    """The part of the trunk and that of the branch itself."""
    return table[..., : block.trunk_width].contiguous(), table[..., block.trunk_width :].contiguous()


def _flat(block: Branches) -> Tensor:
    return block.trunk_real.reshape(-1).nonzero()[:, 0]


def _spread(gradient: Tensor, block: Strands | Branches) -> Tensor:
    """From tokens to padded places, zero where there is none."""
    padded = gradient.new_zeros(len(block.gather), *gradient.shape[1:])
    return padded.index_copy_(0, block.places, gradient)


def _future(width: int, like: Tensor) -> Tensor:
    return torch.full((width, width), _NEVER, dtype=like.dtype, device=like.device).triu_(1)


def _softmax(scores: Tensor) -> Tensor:
    wide = torch.promote_types(scores.dtype, torch.float32)
    return F.softmax(scores, dim=-1, dtype=wide).to(scores.dtype)
