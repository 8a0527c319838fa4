"""Packing against the plainest attention there is: every token's softmax over what it may see, one by one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from assent.functional.batching import TokenBatch, make_batch
from assent.functional.packed_attention import packed_attention
from assent.functional.packing import PackedRow, pack

LENGTHS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(0, 7)), min_size=1, max_size=9)


def batch_of(lengths: list[tuple[int, int, int]]) -> TokenBatch:
    """Prompts that share their number are the same; so many tokens of prompt and completion each."""
    prompts = {number: [10 * number + i for i in range(size)] for number, size, _ in lengths}
    completions = [[100 + place] * count for place, (_, _, count) in enumerate(lengths)]
    return make_batch([prompts[number] for number, _, _ in lengths], completions)


def plain(query: Tensor, key: Tensor, value: Tensor, batch: TokenBatch, row: PackedRow, scale: float) -> Tensor:
    """Sequence by sequence, each with its own causal mask."""
    found = torch.zeros_like(query)
    key, value = (table.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for table in (key, value))
    for places, real in zip(row.places, batch.attention_mask.bool(), strict=True):
        tokens = places[real]
        for count in range(1, len(tokens) + 1):
            seen = tokens[:count]
            weights = torch.einsum("hd,nhd->hn", query[tokens[count - 1]], key[seen]).mul(scale).softmax(-1)
            index = tokens[count - 1 : count]
            found = found.index_copy(0, index, torch.einsum("hn,nhd->hd", weights, value[seen])[None])
    return found


@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-11), (torch.float32, 1e-5), (torch.bfloat16, 0.05)])
@pytest.mark.parametrize("share", [True, False, None])
@given(lengths=LENGTHS, shared=st.sampled_from([1, 2, 4]))
@settings(max_examples=25, deadline=None)
def test_it_equals_attention_token_by_token_in_value_and_gradient(
    share: bool | None, dtype: torch.dtype, near: float, lengths: list[tuple[int, int, int]], shared: int
) -> None:
    """In fp32 and bf16 by kernels, in float64 by torch."""
    batch = batch_of(lengths)
    row = pack(batch, share)
    generator = torch.Generator().manual_seed(0)
    tables = [torch.randn(row.ids.shape[1], heads, 4, generator=generator) for heads in (4, shared, shared)]
    weights = torch.randn(row.count, 4, 4, generator=generator)
    found, gradients = [], []
    for ours in (True, False):
        q, k, v = given = [table.to(dtype).to(dtype if ours else torch.float64).requires_grad_() for table in tables]
        out = packed_attention(q, k, v, row, 0.7) if ours else plain(q, k, v, batch, row, 0.7)
        found.append(out[: row.count].double())
        gradients.append([each.double() for each in torch.autograd.grad((found[-1] * weights).sum(), given)])
    torch.testing.assert_close(*found, rtol=near, atol=near)
    for our, their in zip(*gradients, strict=True):
        assert float((our - their).norm()) <= near * (1.0 + float(their.norm()))


@given(lengths=LENGTHS)
@settings(max_examples=50, deadline=None)
def test_every_token_stands_once_and_keeps_its_position(lengths: list[tuple[int, int, int]]) -> None:
    batch = batch_of(lengths)
    for share in (True, False):
        row = pack(batch, share)
        real = batch.attention_mask.bool()
        assert torch.equal(row.places >= 0, real)
        assert torch.equal(row.ids[0, row.places[real]], batch.ids[real])
        assert torch.equal(row.position_ids[0, row.places[real]], batch.position_ids[real])
        assert set(row.places[real].tolist()) == set(range(row.count))
    assert pack(batch, False).count == int(batch.attention_mask.sum())


def test_prompts_are_shared_where_that_saves_a_quarter_of_the_tokens() -> None:
    long, short = [(1, 8, 2)] * 4, [(1, 1, 7)] * 4
    assert pack(batch_of(long)).count == 8 + 4 * 2
    assert pack(batch_of(short)).count == 4 * 8
    assert pack(batch_of(short), share=True).count == 1 + 4 * 7
    assert not any(block.above.numel() for block in pack(batch_of(short)).blocks)
