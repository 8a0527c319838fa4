"""Groups of opposed taste are told apart, and their number is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from assent.feedback import Answers, choose_groups, fit_groups
from tests.unit.feedback.crowds import shared_items


def test_two_groups_and_their_strengths() -> None:
    crowd = shared_items(0, np.r_[np.full(7, 2.0), np.full(3, -2.0)], items=12, each=120)
    chosen = choose_groups(crowd.answers, seed=0, most=3, restarts=2)
    assert len(chosen.groups.shares) == 2
    assert chosen.held_out[2] > chosen.held_out[1] + 0.05
    groups = chosen.groups
    assert list(groups.of_person().values()) == [0] * 7 + [1] * 3
    assert groups.responsibilities.sum(axis=1) == pytest.approx(1.0)
    assert groups.shares == pytest.approx([8 / 12, 4 / 12], abs=1e-3)
    for group, sign in enumerate((2.0, -2.0)):
        slope, _ = np.polyfit(sign * crowd.strengths, groups.strengths[group], 1)
        assert slope == pytest.approx(1.0, abs=0.2)
    assert groups.strengths_for_people()[8] == pytest.approx(groups.strengths[1], abs=1e-3)


def test_a_crowd_of_one_mind_is_one_group() -> None:
    crowd = shared_items(1, np.full(6, 1.5), items=8, each=40)
    assert len(choose_groups(crowd.answers, seed=0, most=2, restarts=2).groups.shares) == 1


def test_relabelling_people_permutes_their_groups() -> None:
    answers = shared_items(2, np.r_[np.full(5, 2.0), np.full(3, -2.0)], items=8, each=80).answers
    names = np.array([3, 1, 7, 0, 2, 6, 4, 5])
    found = fit_groups(answers, 2, seed=0)
    other = fit_groups(replace(answers, people=names[answers.people]), 2, seed=0)
    assert other.responsibilities[names] == pytest.approx(found.responsibilities, abs=1e-3)


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match="at least one group"):
        fit_groups(shared_items(2, np.ones(2), each=5).answers, 0, seed=0)
    with pytest.raises(ValueError, match="needs answers"):
        fit_groups(Answers.of([], [], [], []), 2, seed=0)
