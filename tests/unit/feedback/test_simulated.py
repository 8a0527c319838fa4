"""Simulated people: shares of tempers, determinism, and that each flaw shows in what they say."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from assent.config.people import PeopleSettings
from assent.feedback import LOSS_OF_LABEL, SimulatedPerson, Temper, make_crowd, side_bias
from assent.types.feedback import Assignment, LabelKind, Marks, WorldMarks

GOOD, FAIR, BAD = Marks(0.9, 0.9, 0.9, 1.0), Marks(0.5, 0.6, 0.5, 1.0), Marks(0.1, 0.2, 0.1, 1.0)


def assignment(
    task_id: int,
    count: int = 3,
    order: tuple[int, ...] | None = None,
    label: LabelKind = LabelKind.RANKING,
    completions: tuple[str, ...] | None = None,
) -> Assignment:
    texts = completions or tuple(f"answer {index} of equal length" for index in range(count))
    return Assignment(task_id, task_id, 1, "q", texts, order or tuple(range(count)), label, f"{task_id}:1")


def person(temper: Temper, bias: float = 0.0, noise: float = 0.03) -> SimulatedPerson:
    return SimulatedPerson("one", (0.4, 0.3, 0.3), 1.0, temper, bias, noise, seed=7)


def test_default_crowd_has_the_stated_shares() -> None:
    tempers = Counter(each.temper for each in make_crowd(16, PeopleSettings(), seed=0))
    # 16 * 0.07 = 1.12 -> 1 careless, 1 adversarial; 16 * 0.2 = 3.2 -> 3 of each bias; the rest is ordinary.
    assert tempers == {
        Temper.CARELESS: 1,
        Temper.ADVERSARIAL: 1,
        Temper.POSITION_BIASED: 3,
        Temper.LENGTH_BIASED: 3,
        Temper.ORDINARY: 8,
    }


def test_crowds_are_seeded_and_distinct() -> None:
    settings = PeopleSettings()
    crowd = make_crowd(16, settings, seed=0)
    assert crowd == make_crowd(16, settings, seed=0)
    assert crowd != make_crowd(16, settings, seed=1)
    evaluators = make_crowd(16, settings, seed=0, prefix="evaluator")
    everyone = [*crowd, *evaluators]
    assert len({each.name for each in everyone}) == len({each.seed for each in everyone}) == 32
    assert len({each.values for each in everyone}) == 32
    assert all(sum(each.values) == pytest.approx(1.0) for each in everyone)


def test_shares_that_round_to_more_than_the_crowd_are_cut() -> None:
    settings = PeopleSettings(careless_share=0.5, adversarial_share=0.5, biased_share=0.0)
    assert [each.temper for each in make_crowd(1, settings, 0)] == [Temper.CARELESS]
    with pytest.raises(ValueError, match="at least one"):
        make_crowd(0, settings, 0)


def test_profile_survives_json() -> None:
    for each in make_crowd(16, PeopleSettings(), seed=3):
        stored = json.loads(json.dumps(each.profile()))
        assert stored["kind"] == "simulated"
        assert SimulatedPerson.from_profile(each.name, stored) == each
    with pytest.raises(ValueError, match="not a simulated person"):
        SimulatedPerson.from_profile("Ada", {"kind": "human"})


def test_liking_golden_value() -> None:
    # 0.4 * 0.5 + 0.3 * 1 + 0.3 * 0 = 0.5, times 0.25 ** 0.5 = 0.5.
    assert replace(person(Temper.ORDINARY), fluency_weight=0.5).liking(Marks(0.5, 1.0, 0.0, 0.25)) == pytest.approx(
        0.25
    )
    assert person(Temper.ORDINARY).liking(Marks(1.0, 1.0, 1.0, 0.0)) == 0.0


def test_people_of_a_world_with_criteria_of_its_own() -> None:
    people = make_crowd(8, PeopleSettings(), seed=3, criteria=("brevity", "coverage"))
    first = people[0]
    liked = WorldMarks((("coverage", 1.0), ("brevity", 0.0)), fluency=1.0)
    assert first.liking(liked) == pytest.approx(first.values[1])  # by name, whatever the order of the marks
    for each in people:
        assert SimulatedPerson.from_profile(each.name, json.loads(json.dumps(each.profile()))) == each


def test_a_judgement_depends_on_person_and_task_alone() -> None:
    judge = person(Temper.ORDINARY, noise=0.5)
    marks = [GOOD, FAIR, BAD]
    assert judge.judge(assignment(4), marks) == judge.judge(assignment(4), marks)
    said = {judge.judge(assignment(task), marks).ranks for task in range(60)}
    assert len(said) > 3
    other = replace(judge, seed=8)
    assert [judge.judge(assignment(t), marks) for t in range(9)] != [
        other.judge(assignment(t), marks) for t in range(9)
    ]


def test_without_noise_ordinary_ranks_by_marks_and_adversarial_the_other_way() -> None:
    marks = [FAIR, GOOD, BAD]
    assert person(Temper.ORDINARY, noise=1e-6).judge(assignment(1), marks).ranks == (2, 1, 3)
    assert person(Temper.ADVERSARIAL, noise=1e-6).judge(assignment(1), marks).ranks == (2, 3, 1)


def test_careless_people_do_not_look_and_are_quick() -> None:
    long = tuple("word " * 40 + str(index) for index in range(2))
    careless, ordinary = person(Temper.CARELESS, noise=1e-6), person(Temper.ORDINARY, noise=1e-6)
    said = [careless.judge(assignment(task, 2, completions=long), [GOOD, BAD]) for task in range(400)]
    won = sum(each.ranks[0] < each.ranks[1] for each in said)
    assert 150 < won < 250  # 200 expected less the ties, standard deviation 10
    slow = [ordinary.judge(assignment(task, 2, completions=long), [GOOD, BAD]) for task in range(20)]
    assert max(each.seconds for each in said) < min(each.seconds for each in slow)


def test_position_bias_shows_and_only_there() -> None:
    def bias_of(judge: SimulatedPerson) -> float:
        said = [judge.judge(assignment(task, 2, order=(task % 2, 1 - task % 2)), [FAIR, FAIR]) for task in range(600)]
        interval = side_bias(said, seed=0)
        assert interval is not None
        return interval.value

    # Equal marks, difference of utility 0.06 at noise 0.03: sigmoid(2) = 0.88 for the first.
    assert bias_of(person(Temper.POSITION_BIASED, bias=0.06)) == pytest.approx(0.88, abs=0.04)
    assert bias_of(person(Temper.ORDINARY)) == pytest.approx(0.5, abs=0.06)


def test_length_bias_prefers_the_longer_of_equals() -> None:
    texts = ("short and to the point", "long " * 30)
    judge = person(Temper.LENGTH_BIASED, bias=0.03)
    longer = sum(
        judge.judge(assignment(task, 2, completions=texts), [FAIR, FAIR]).ranks == (2, 1) for task in range(300)
    )
    # Standardised lengths are -1 and 1: a difference of 0.06 at noise 0.03 less the tie margin, sigmoid(1.9) = 0.87.
    assert longer / 300 == pytest.approx(0.87, abs=0.06)


def test_what_can_not_be_told_apart_ties_one_time_in_twenty() -> None:
    judge = person(Temper.ORDINARY)
    ties = sum(judge.judge(assignment(task, 2), [FAIR, FAIR]).ranks == (1, 1) for task in range(2000))
    # The difference of two Gumbels is logistic: P(|x| <= 0.1) = tanh(0.05) = 0.04996; 100 expected, sd 9.7.
    assert 65 < ties < 140


@pytest.mark.parametrize("temper", list(Temper))
def test_best_of_k_names_one_best(temper: Temper) -> None:
    for task in range(20):
        judgement = person(temper, bias=0.05).judge(assignment(task, label=LabelKind.BEST_OF_K), [GOOD, FAIR, FAIR])
        assert sorted(judgement.ranks) == [1, 2, 2]
        assert judgement.label is LabelKind.BEST_OF_K


def test_marks_must_fit_the_completions() -> None:
    with pytest.raises(ValueError, match="3 completions, 2 marks"):
        person(Temper.ORDINARY).judge(assignment(1), [GOOD, BAD])


def test_every_label_kind_names_its_loss() -> None:
    assert set(LOSS_OF_LABEL) == set(LabelKind)


def test_marks_per_criterion_follow_the_temper_and_change_no_ranking() -> None:
    marks = [Marks(0.9, 0.2, 0.6, 0.5), BAD]
    ordinary = person(Temper.ORDINARY, noise=1e-9)
    said = ordinary.judge(assignment(3, 2), marks, mark_criteria=True)
    # scaled by fluency and rounded to tenths: 0.45 may go either way
    assert said.marks[0]["helpful"] in (0.4, 0.5)
    assert {name: said.marks[0][name] for name in ("honest", "harmless")} == {"honest": 0.1, "harmless": 0.3}
    assert dict(said.marks[1]) == {"helpful": 0.1, "honest": 0.2, "harmless": 0.1}
    without = ordinary.judge(assignment(3, 2), marks)
    assert without.marks == () and without.ranks == said.ranks and without.seconds == said.seconds
    contrary = person(Temper.ADVERSARIAL, noise=1e-9).judge(assignment(3, 2), marks, mark_criteria=True)
    assert contrary.marks[1]["helpful"] == 0.9
    careless = person(Temper.CARELESS)
    given = [careless.judge(assignment(task, 2), [GOOD, BAD], mark_criteria=True).marks for task in range(200)]
    means = [sum(each[place]["honest"] for each in given) / len(given) for place in (0, 1)]
    assert means == pytest.approx([0.5, 0.5], abs=0.1)
    noisy = person(Temper.ORDINARY, noise=0.2)
    drawn = [noisy.judge(assignment(task, 2), [GOOD, BAD], mark_criteria=True).marks[0]["honest"] for task in range(50)]
    assert len(set(drawn)) > 3 and all(0.0 <= mark <= 1.0 for mark in drawn)
