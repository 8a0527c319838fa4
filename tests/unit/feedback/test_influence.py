"""Nobody's share is over the cap, the others keep their proportions, and the mean weight is 1."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.feedback import capped_weights
from tests.unit.feedback.crowds import shared_items


def test_by_hand() -> None:
    # Shares .5, .3, .2 of ten judgements; with a cap of 1.2 an equal third may grow to .4: the rest is dealt 3 to 2.
    found = capped_weights({1: 1.0, 2: 1.0, 3: 1.0}, {1: 5, 2: 3, 3: 2}, 1.2)
    assert found == pytest.approx({1: 0.4 * 10 / 5, 2: 0.36 * 10 / 3, 3: 0.24 * 10 / 2})
    assert capped_weights({1: 2.0, 2: 1.0}, {1: 1, 2: 1}, math.inf) == pytest.approx({1: 4 / 3, 2: 2 / 3})
    assert capped_weights({1: 0.0, 2: 3.0}, {1: 4, 2: 1}, 2.0) == pytest.approx({1: 0.0, 2: 5.0})


@given(
    st.dictionaries(st.integers(0, 30), st.tuples(st.floats(0.01, 10.0), st.integers(1, 500)), min_size=1),
    st.floats(1.0, 5.0),
)
def test_shares_and_mean(people: dict[int, tuple[float, int]], cap: float) -> None:
    weights, counts = {p: w for p, (w, _) in people.items()}, {p: float(n) for p, (_, n) in people.items()}
    found = capped_weights(weights, counts, cap)
    total = sum(counts.values())
    shares = {person: found[person] * counts[person] / total for person in people}
    assert sum(shares.values()) == pytest.approx(1.0), "the mean weight is 1"
    assert max(shares.values()) <= cap / len(people) * (1 + 1e-9)
    free = [person for person in people if shares[person] < cap / len(people) * (1 - 1e-9)]
    ratios = [found[person] / weights[person] for person in free]
    assert ratios == pytest.approx(ratios[:1] * len(ratios))


@pytest.mark.parametrize(("weights", "counts", "cap"), [({1: 1}, {1: 1}, 0.9), ({1: -1}, {1: 1}, 2), ({1: 1}, {}, 2)])
def test_what_it_refuses(weights: dict[int, float], counts: dict[int, float], cap: float) -> None:
    with pytest.raises(ValueError, match="capped_weights needs"):
        capped_weights(weights, counts, cap)


def test_a_flood_of_answers_is_held_down() -> None:
    answers = shared_items(0, np.ones(10), each=40).answers
    flooded = answers.some(np.concatenate([np.arange(len(answers)), np.tile(np.flatnonzero(answers.people == 3), 19)]))
    before, after = flooded.weight_of_people(), flooded.capped(2.0).weight_of_people()
    assert before[3] / before.sum() > 0.6
    assert after[3] / after.sum() == pytest.approx(0.2)
    assert after.sum() == pytest.approx(before.sum())
