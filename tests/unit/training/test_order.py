from __future__ import annotations

from collections import Counter

import pytest

from assent.training.order import batches_by_tokens, batches_of, permutation


def test_every_example_comes_once_before_any_comes_again() -> None:
    plan = batches_of(10, 4, 5, seed=1, name="x")
    assert [len(batch) for batch in plan] == [4] * 5
    stream = [index for batch in plan for index in batch]
    assert sorted(stream[:10]) == sorted(stream[10:]) == list(range(10))
    assert stream[:10] != stream[10:]
    assert plan == batches_of(10, 4, 5, seed=1, name="x")
    assert plan != batches_of(10, 4, 5, seed=2, name="x")
    assert plan != batches_of(10, 4, 5, seed=1, name="y")


def test_a_shorter_run_takes_the_same_first_batches() -> None:
    assert batches_of(7, 3, 9, 0, "x")[:4] == batches_of(7, 3, 4, 0, "x")


def test_steps_hold_about_as_many_tokens_as_asked() -> None:
    lengths = [3, 11, 7, 2, 30, 5]
    plan = batches_by_tokens(lengths, 20, 12, seed=4, name="x")
    for batch in plan:
        total = sum(lengths[index] for index in batch)
        assert total >= 20
        assert total - lengths[batch[-1]] < 20
    seen = Counter(index for batch in plan for index in batch)
    assert max(seen.values()) - min(seen.values()) <= 1


@pytest.mark.parametrize("lengths", [[], [0, 0]])
def test_nothing_to_learn_from_is_an_error(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="at least one example"):
        batches_by_tokens(lengths, 10, 1, 0, "x")


def test_a_permutation_is_a_function_of_its_address() -> None:
    assert sorted(permutation(50, "a", 1)) == list(range(50))
    assert permutation(50, "a", 1) == permutation(50, "a", 1) != permutation(50, "a", 2)
