"""Ragged sequences to tensors, against layouts written out by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assent.functional.batching import make_batch, pack_stream, split_by_tokens


def test_completions_start_in_one_column() -> None:
    batch = make_batch([[1, 2, 3], [4]], [[5], [6, 7]], pad_id=9)
    assert batch.ids.tolist() == [[1, 2, 3, 5, 9], [9, 9, 4, 6, 7]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 0], [0, 0, 1, 1, 1]]
    assert batch.start == 3
    assert batch.completion_ids.tolist() == [[5, 9], [6, 7]]
    assert batch.completion_mask.tolist() == [[True, False], [True, True]]
    # positions count real tokens from 0, whatever stands on their left
    assert batch.position_ids[0, :4].tolist() == [0, 1, 2, 3]
    assert batch.position_ids[1, 2:].tolist() == [0, 1, 2]


def test_the_pad_id_may_be_a_real_token() -> None:
    batch = make_batch([[7, 7]], [[7]], pad_id=7)
    wide = make_batch([[7, 7], [1]], [[7], [1, 1]], pad_id=7)
    assert batch.completion_mask.tolist() == [[True]]
    assert wide.completion_mask[0].tolist() == [True, False]
    assert wide.attention_mask[0].tolist() == [1, 1, 1, 0]


def test_empty_completions_keep_a_masked_column() -> None:
    batch = make_batch([[1], [2]], [[], []])
    assert batch.completion_mask.tolist() == [[False], [False]]


def test_moving_a_batch_keeps_its_dtypes_and_its_start() -> None:
    batch = make_batch([[1, 2]], [[3]])
    moved = batch.to("meta")
    assert {moved.ids.device.type, moved.completion_mask.device.type, moved.position_ids.device.type} == {"meta"}
    assert moved.start == batch.start
    assert moved.completion_mask.dtype == torch.bool


@pytest.mark.parametrize(("prompts", "completions"), [([], []), ([[1]], []), ([[]], [[1]])])
def test_batches_that_make_no_sense_are_refused(prompts: list[list[int]], completions: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="make_batch"):
        make_batch(prompts, completions)


SEQUENCE = st.lists(st.integers(0, 99), max_size=5)


@given(rows=st.lists(st.tuples(SEQUENCE.filter(bool), SEQUENCE), min_size=1, max_size=5))
def test_the_masks_give_back_what_went_in(rows: list[tuple[list[int], list[int]]]) -> None:
    batch = make_batch([prompt for prompt, _ in rows], [completion for _, completion in rows])
    for row, (prompt, completion) in enumerate(rows):
        assert batch.ids[row][batch.attention_mask[row].bool()].tolist() == prompt + completion
        assert batch.completion_ids[row][batch.completion_mask[row]].tolist() == completion


def test_split_by_tokens_counts_the_padding() -> None:
    # longest first: 5 alone (2 · 5 > 8), then 4 + 3 (2 · 4 = 8), then the two of length 1
    assert split_by_tokens([1, 4, 5, 3, 1], 8) == [[2], [1, 3], [0, 4]]
    assert split_by_tokens([9, 2], 4) == [[0], [1]]  # too long for any group: alone
    with pytest.raises(ValueError, match="max_tokens"):
        split_by_tokens([1], 0)


@given(lengths=st.lists(st.integers(1, 30), max_size=20), max_tokens=st.integers(1, 60))
def test_split_by_tokens_places_every_sequence_once_within_the_budget(lengths: list[int], max_tokens: int) -> None:
    groups = split_by_tokens(lengths, max_tokens)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[index] for index in group) <= max_tokens


def test_pack_stream_fills_rows_and_leaves_the_rest() -> None:
    assert pack_stream([[1, 2], [3, 4, 5], [6, 7]], 3).tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(ValueError, match="2 tokens do not fill one row of 3"):
        pack_stream([[1, 2]], 3)


@given(
    st.lists(st.tuples(st.integers(1, 20), st.integers(0, 4)), min_size=1, max_size=20),
    st.integers(1, 80),
)
def test_what_belongs_together_stays_so_where_it_fits(found: list[tuple[int, int]], most: int) -> None:
    lengths, together = [length for length, _ in found], [number for _, number in found]
    groups = split_by_tokens(lengths, most, together)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or max(lengths[i] for i in group) * len(group) <= most
    for number in set(together):
        mine = [index for index, other in enumerate(together) if other == number]
        if max(lengths[i] for i in mine) * len(mine) <= most:
            assert sum(any(index in group for index in mine) for group in groups) == 1
