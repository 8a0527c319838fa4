"""Heads per criterion and ensembles, against values worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from assent.functional import (
    bradley_terry_loss,
    combined_score,
    criterion_weights,
    multi_head_loss,
    pessimistic_score,
    worst_case_score,
)

NAN = math.nan
MASK = torch.tensor([[True, False], [True, True]])
IMPORTANCE, NUM_MARKS = torch.tensor([1.0, 2.0]), torch.tensor([4, 2])


def test_criterion_weights_average_each_head_over_its_own_marks() -> None:
    # importance over all marks of the criterion: 1/4 and 2/2
    assert criterion_weights(MASK, IMPORTANCE, NUM_MARKS).tolist() == [[0.25, 0.0], [0.25, 1.0]]
    # a criterion without any mark has no loss
    no_second = torch.tensor([[True, False]])
    assert criterion_weights(no_second, IMPORTANCE, torch.tensor([1, 0])).tolist() == [[1.0, 0.0]]


def test_multi_head_loss() -> None:
    scores = torch.tensor([[1.0, NAN], [3.0, 4.0]], requires_grad=True)
    marks = torch.tensor([[0.0, math.inf], [1.0, 2.0]])
    # first head: ½ (1 + 4) / 4; second: 2 · ½ · 4 / 2
    loss = multi_head_loss(scores, marks, MASK, IMPORTANCE, NUM_MARKS)
    assert loss.item() == pytest.approx(0.625 + 2.0)
    loss.backward()
    # importance · error / marks
    torch.testing.assert_close(scores.grad, torch.tensor([[0.25, 0.0], [0.5, 2.0]]))
    # delta 1: first head (½ + 1½) / 4, second 2 · 1½ / 2
    huber = multi_head_loss(scores, marks, MASK, IMPORTANCE, NUM_MARKS, 1.0)
    assert huber.item() == pytest.approx(0.5 + 1.5)


def test_a_judgement_of_weight_0_never_matters() -> None:
    scores, marks = torch.tensor([[1.0, 0.0], [NAN, 3.0]]), torch.tensor([[0.0, NAN], [1.0, NAN]])
    weight = torch.tensor([0.5, 0.0])
    # half of 1/4 of the one mark's half squared error
    assert multi_head_loss(scores, marks, MASK, IMPORTANCE, NUM_MARKS, weight=weight).item() == pytest.approx(1 / 16)


def test_criterion_weights_make_any_loss_one_over_heads() -> None:
    # leads ln 3 (σ = ¾) in the first head, 0 in the second of the second pair: (2 ln 4/3) / 4 + 2 (ln 2) / 2
    chosen, rejected = torch.tensor([[math.log(3), NAN], [math.log(3), 0.0]]), torch.zeros(2, 2)
    weight = criterion_weights(MASK, IMPORTANCE, NUM_MARKS).flatten()
    loss = bradley_terry_loss(chosen.flatten(), rejected.flatten(), weight, 1)
    assert loss.item() == pytest.approx(0.5 * math.log(4 / 3) + math.log(2))


def test_wrong_counts_and_importances_are_refused() -> None:
    with pytest.raises(ValueError, match="num_marks"):
        criterion_weights(MASK, IMPORTANCE, torch.tensor([1, 1]))
    with pytest.raises(ValueError, match="importance"):
        criterion_weights(MASK, torch.tensor([1.0, -1.0]), NUM_MARKS)


def test_combined_score_adds_the_heads_up() -> None:
    scores = torch.tensor([[1.0, 2.0, NAN], [3.0, -1.0, math.inf]])
    # 1 · 1 + ½ · 2, 3 - ½
    assert combined_score(scores, torch.tensor([1.0, 0.5, 0.0])).tolist() == [2.0, 2.5]


def test_pessimism_lowers_what_the_members_disagree_about() -> None:
    # means 2 and 2, population deviations 1 and 0
    scores = torch.tensor([[1.0, 2.0], [3.0, 2.0]], requires_grad=True)
    pessimistic = pessimistic_score(scores, 0.5)
    assert pessimistic.tolist() == [1.5, 2.0]
    assert pessimistic_score(scores, 0.0).tolist() == [2.0, 2.0]
    assert worst_case_score(scores).tolist() == [1.0, 2.0]
    pessimistic.sum().backward()
    # ½ ± ½ · ½ · 1 where they differ; where they agree the deviation has no direction
    torch.testing.assert_close(scores.grad, torch.tensor([[0.75, 0.5], [0.25, 0.5]]))


def test_an_ensemble_of_one_is_its_member() -> None:
    scores = torch.tensor([[1.0, -2.0]])
    assert pessimistic_score(scores, 3.0).tolist() == [1.0, -2.0]
    assert worst_case_score(scores).tolist() == [1.0, -2.0]


def test_the_worst_case_is_the_mean_less_one_deviation_for_two_members() -> None:
    scores = torch.tensor([[1.0, 5.0, -3.0], [4.0, 2.0, -3.0]])
    torch.testing.assert_close(pessimistic_score(scores, 1.0), worst_case_score(scores))


def test_no_member_and_a_reward_for_disagreement_are_refused() -> None:
    for coefficient in (-0.1, NAN):
        with pytest.raises(ValueError, match="std_coef"):
            pessimistic_score(torch.zeros(2, 3), coefficient)
    with pytest.raises(ValueError, match="member"):
        pessimistic_score(torch.zeros(0, 3), 1.0)
    with pytest.raises(ValueError, match="member"):
        worst_case_score(torch.zeros(0, 3))
