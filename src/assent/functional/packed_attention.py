"""Causal attention over a packed row: dense products over blocks of similar strands, and nothing for padding elsewhere.

The gradient is written out, so that of each block only its queries, keys, values and weights are kept.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from assent.functional import attention_steps as steps
from assent.functional.packing import Block, PackedRow
from assent.functional.shapes import products


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
        out = torch.empty_like(query, memory_format=torch.contiguous_format)
        out[row.count :] = 0.0
        for block in row.blocks:
            _forward(query, key, value, block, scale, out, kept)
        ctx.save_for_backward(*kept)
        ctx.row, ctx.scale, ctx.shapes = row, scale, (query.shape, key.shape)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        (gradient,) = gradients
        kept = ctx.saved_tensors
        query, key, value = (gradient.new_empty(ctx.shapes[place]) for place in (0, 1, 1))
        for table in (query, key, value):
            table[ctx.row.count :] = 0.0
        for place, block in enumerate(ctx.row.blocks):
            _backward(gradient, block, ctx.scale, kept[7 * place : 7 * place + 7], (query, key, value))
        return query, key, value, None, None


def _forward(
    query: Tensor, key: Tensor, value: Tensor, block: Block, scale: float, out: Tensor, kept: list[Tensor]
) -> None:
    """T trunks, K heads of keys: queries stand as [T·K, E·R·W, D], keys of a strand or branch as [T·K·E, W, D]."""
    shared, size = key.shape[1:]
    q = steps.to_heads(query, block.tokens, block, shared, block.each, scale)
    k, v = (steps.to_heads(table, block.tokens, block, shared, block.each) for table in (key, value))
    k, v = (table.view(-1, block.width, size) for table in (k, v))
    own = products(q.view(len(k), -1, size), k.transpose(1, 2))
    above, to_trunk = [q[:, :0]] * 2, q[..., :0]
    if block.above.numel():
        above = [steps.to_heads(table, block.above, block, shared, 1) for table in (key, value)]
        to_trunk = products(q, above[0].transpose(1, 2))
    steps.seen_softmax(to_trunk, own, block.above_lengths)
    found = products(own, v).view_as(q)
    if block.above.numel():
        products(to_trunk, above[1], onto=found)
    steps.from_heads(found, block.tokens, block, block.each, out)
    kept += (q, k, v, *above, to_trunk, own)


def _backward(
    gradient: Tensor, block: Block, scale: float, kept: tuple[Tensor, ...], found: tuple[Tensor, Tensor, Tensor]
) -> None:
    q, k, v, trunk_key, trunk_value, to_trunk, own = kept
    shared, size = len(q) // block.trunks, k.shape[-1]
    given = steps.to_heads(gradient, block.tokens, block, shared, block.each)
    each_given, each_q = (table.view(len(k), -1, size) for table in (given, q))
    in_own = products(each_given, v.transpose(1, 2))
    in_trunk = products(given, trunk_value.transpose(1, 2)) if block.above.numel() else to_trunk
    steps.seen_softmax_back(in_trunk, in_own, to_trunk, own, block.above_lengths)
    in_q = products(in_own, k).view_as(q)
    if block.above.numel():
        products(in_trunk, trunk_key, onto=in_q)
    steps.from_heads(in_q, block.tokens, block, block.each, found[0], scale)
    in_k, in_v = products(in_own.transpose(1, 2), each_q), products(own.transpose(1, 2), each_given)
    for table, into in zip((in_k, in_v), found[1:], strict=True):
        steps.from_heads(table.view(len(q), -1, size), block.tokens, block, block.each, into)
    if block.above.numel():  # the trunks' own tokens stand in a block before this one
        above = products(in_trunk.transpose(1, 2), q), products(to_trunk.transpose(1, 2), given)
        for table, into in zip(above, found[1:], strict=True):
            steps.from_heads(table, block.above, block, 1, into, adds=True)
