"""What is told of each person is true of the simulated crowd, biases by hand, and what cannot be known is None."""

from __future__ import annotations

import json

import pytest

from assent.feedback import Temper, bradley_terry_weights, crowd_facts, first_wins, longer_wins, self_consistency
from assent.store import judged_tasks
from assent.types.feedback import JudgedTask, Ranking
from tests.unit.feedback.bench import Bench


def judged(person: int, ranks: tuple[int, ...], prompt: int = 1, shown: tuple[int, ...] = (0, 1, 2)) -> JudgedTask:
    ids = tuple(10 * prompt + index for index in range(len(ranks)))
    return JudgedTask(Ranking(0, person, prompt, ids, ranks), prompt, shown, lengths=(5, 5, 9))


def test_biases_by_hand() -> None:
    said = [judged(1, (1, 2, 3)), judged(1, (1, 2, 2), shown=(2, 0, 1))]
    # Shown first: 0 before 1 and 2 (two wins); then 2 after 0 (a loss), and tied with 1.
    first = first_wins(said, seed=0)
    assert first is not None and first.value == pytest.approx(2 / 3)
    # 2 is longer than 0 and 1, which are alike: it loses to both, then to one.
    longer = longer_wins(said, seed=0)
    assert longer is not None and (longer.value, longer.count) == (0.0, 2)
    # The same three completions again: 0 over 1 and 0 over 2 are said again, 1 over 2 is not.
    again = self_consistency(said, seed=0)
    assert again is not None and (again.value, again.count) == (1.0, 1)
    turned = self_consistency([*said, judged(1, (3, 2, 1)), judged(2, (3, 2, 1))], seed=0)
    assert turned is not None and turned.value == pytest.approx(2 / 4)
    assert first_wins([], 0) is longer_wins([], 0) is self_consistency([judged(1, (1, 2, 3))], 0) is None


def test_who_met_nobody_is_not_measured() -> None:
    facts = crowd_facts([judged(1, (1, 2, 3)), judged(2, (1, 2, 3)), judged(3, (1, 2, 3), prompt=2)], seed=0)
    alone = facts.people[2]
    assert (alone.reliability, alone.agreement, alone.self_consistency, alone.median_seconds) == (None,) * 4
    assert facts.people[0].reliability is not None
    assert json.loads(json.dumps(facts.as_dict()))["people"][2]["reliability"] is None
    nobody = crowd_facts([], seed=0)
    assert (nobody.people, nobody.agreement.reason) == ((), "fewer than two people judged")


def test_the_simulated_crowd_is_seen_through(judged: Bench) -> None:
    found = judged_tasks(judged.store, lengths=True)
    facts = crowd_facts(found, seed=0, resamples=200)
    assert facts.judgements == 1200
    assert sum(each.judgements for each in facts.people) == 1200
    assert sum(each.share for each in facts.people) == pytest.approx(1.0)
    by_temper = {temper: [f for f in facts.people if judged.people[f.person_id].temper is temper] for temper in Temper}
    reliability = {t: [f.reliability.value for f in held if f.reliability] for t, held in by_temper.items()}
    assert abs(reliability[Temper.CARELESS][0]) < 0.5
    assert reliability[Temper.ADVERSARIAL][0] < -1.0
    assert min(reliability[Temper.ORDINARY]) > 1.0
    leaning = [f.side_bias.value / f.side_bias.error for f in by_temper[Temper.POSITION_BIASED] if f.side_bias]
    straight = [f.side_bias.value / f.side_bias.error for f in by_temper[Temper.ORDINARY] if f.side_bias]
    assert sum(leaning) / len(leaning) > 1.5 > 0.7 > abs(sum(straight) / len(straight))
    longer = [f.longer_wins.value for f in by_temper[Temper.LENGTH_BIASED] if f.longer_wins]
    ordinary = [f.longer_wins.value for f in by_temper[Temper.ORDINARY] if f.longer_wins]
    assert sum(longer) / len(longer) > sum(ordinary) / len(ordinary) + 0.03
    careless = by_temper[Temper.CARELESS][0].median_seconds
    assert careless is not None and careless < 4.0
    weights = bradley_terry_weights(found, 2.0)
    assert sum(weights[each.ranking.person_id] for each in found) / len(found) == pytest.approx(1.0)
    assert weights[by_temper[Temper.ADVERSARIAL][0].person_id] == 0.0
    assert weights[by_temper[Temper.CARELESS][0].person_id] < 0.3
