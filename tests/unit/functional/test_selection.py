"""Which rollouts of a group are taken."""

from __future__ import annotations

import pytest
import torch

from assent.functional import best_of_group, extremes_of_group

REWARDS = torch.tensor([[1.0, 3.0, 2.0], [5.0, 5.0, 1.0], [4.0, 4.0, 4.0]])


def test_the_best_are_kept_the_first_of_equals_first() -> None:
    assert best_of_group(REWARDS, 1).tolist() == [[False, True, False], [True, False, False], [False] * 3]
    assert best_of_group(REWARDS, 2).tolist() == [[False, True, True], [True, True, False], [False] * 3]


def test_best_and_worst_are_two() -> None:
    best, worst = extremes_of_group(REWARDS)
    assert best.tolist() == [1, 0, 0]
    assert worst.tolist() == [0, 2, 2]


@pytest.mark.parametrize("keep", [0, 3])
def test_none_and_all_are_no_choice(keep: int) -> None:
    with pytest.raises(ValueError, match="at least 1 and not all"):
        best_of_group(REWARDS, keep)


def test_one_is_no_pair() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        extremes_of_group(REWARDS[:, :1])
