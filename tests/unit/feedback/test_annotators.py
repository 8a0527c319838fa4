"""People's reliabilities and biases are recovered, with honest errors, whether items are shared or not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.feedback import Answers, answers_of, fit_annotators
from assent.types.feedback import JudgedTask, LabelKind, Ranking
from tests.unit.feedback.crowds import own_pairs, rankings, shared_items

RELIABILITY = np.array([0.0, 0.0, -2.0, -1.5, 1.0, 1.5, 2.0, 2.0, 2.5, 1.2, 1.8, 2.2])
SIDE = np.array([0.0, 2.0, 0.0, 0.5, 0.0, 0.0, -0.8, 0.0, 0.0, 1.0, 0.0, 0.0])


@pytest.mark.parametrize("tie", [0.0, 0.6])
def test_shared_items(tie: float) -> None:
    crowd = shared_items(0, RELIABILITY, SIDE, items=25, each=300, tie=tie)
    found = fit_annotators(crowd.answers)
    assert (found.over, found.converged) == ("items", True)
    off = (found.reliability - crowd.reliability * crowd.strengths.std()) / found.reliability_error
    assert np.abs(off).max() < 3.5
    assert np.abs((found.side_bias - crowd.side) / found.side_error).max() < 3.5
    assert found.side_error.max() < 0.3
    assert found.tie == pytest.approx(tie, rel=0.15)
    assert np.corrcoef(found.strengths, crowd.strengths)[0, 1] > 0.97


def test_errors_are_honest_where_every_completion_is_judged_but_a_few_times() -> None:
    off, side_off, ratio = [], [], []
    for seed in range(4):
        crowd = own_pairs(10 * seed, RELIABILITY, SIDE, tasks=500, overlap=3)
        found = fit_annotators(crowd.answers)
        assert found.over == "pairs"
        off.append((found.reliability - crowd.reliability) / found.reliability_error)
        side_off.append((found.side_bias - crowd.side) / found.side_error)
        ratio.append(np.median(found.reliability[4:] / crowd.reliability[4:]))
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.12)
    assert 0.6 < np.std(off) < 1.5
    assert 0.6 < np.std(side_off) < 1.4
    assert abs(np.mean(side_off)) < 0.4


def test_rankings_that_nobody_else_judged_do_not_make_anybody_reliable() -> None:
    judged = [*rankings(1, RELIABILITY, 150, 4, 3), *_alone(rankings(2, RELIABILITY, 200, 4, 1))]
    found = fit_annotators(answers_of(judged))
    assert found.over == "pairs"
    assert np.abs(found.reliability[:2]).max() < 0.5, "a guess is found to be one, however much it is alone"
    assert found.reliability[2:4].max() < -0.7
    assert found.reliability[4:].min() > 0.6
    assert np.median(found.reliability[4:] / RELIABILITY[4:]) == pytest.approx(1.0, abs=0.25)


def _alone(judged: list[JudgedTask]) -> list[JudgedTask]:
    """The same of other completions."""
    return [
        replace(
            each,
            task_id=each.task_id + 10_000,
            ranking=replace(each.ranking, completion_ids=tuple(i + 100_000 for i in each.ranking.completion_ids)),
        )
        for each in judged
    ]


def test_discernment() -> None:
    found = fit_annotators(shared_items(3, RELIABILITY, each=200).answers)
    rng = np.random.default_rng(0)
    apart = np.abs(rng.normal(size=200_000) - rng.normal(size=200_000))
    expected = [np.mean(2.0 / (1.0 + np.exp(-a * apart)) - 1.0) for a in found.reliability]
    assert found.discernment() == pytest.approx(expected, abs=0.01)


def test_the_pairs_of_a_ranking_count_as_its_choices() -> None:
    ranking = Ranking(1, 7, 1, (10, 11, 12), (2, 1, 2))
    answers = answers_of([JudgedTask(ranking, 1, (2, 0, 1))])
    said = {
        (answers.item_ids[i], answers.item_ids[j]): preference
        for i, j, preference in zip(answers.first, answers.second, answers.preference, strict=True)
    }
    assert said == {(12, 10): 0.5, (12, 11): 0.0, (10, 11): 0.0}, "each as it was shown"
    assert answers.weight.sum() == pytest.approx(2.0)
    best = replace(ranking, ranks=(2, 1, 2), label=LabelKind.BEST_OF_K)
    assert len(answers_of([JudgedTask(best, 1, (2, 0, 1))])) == 2


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        (([1], [2], [2], [1.0]), "with itself"),
        (([1], [2], [3], [0.7]), "preference"),
        (([1, 1], [2], [3], [1.0]), "one length"),
        (([1], [2], [3], [1.0], [-1.0]), "weight"),
        (([1], [2], [3], [1.0], None, [4]), "not among those listed"),
    ],
)
def test_answers_that_are_none(columns: tuple[list[float], ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Answers.of(*columns)


def test_a_model_needs_answers() -> None:
    with pytest.raises(ValueError, match="at least one answer"):
        fit_annotators(answers_of([]))


def unanimous(people: int, tasks: int, shared: int = 0) -> Answers:
    """Everybody prefers the item of the lower number: of pairs of its own each task, or of so many shared items."""
    chance = np.random.default_rng(people)
    pairs = np.arange(2 * tasks).reshape(-1, 2)
    if shared:
        pairs = np.array([sorted(chance.choice(shared, 2, replace=False)) for _ in range(tasks)])
    better = np.tile(pairs, (people, 1))
    turned = chance.random(len(better)) < 0.5
    first, second = np.where(turned[:, None], better[:, ::-1], better).T
    return Answers.of(np.repeat(np.arange(people), tasks), first, second, np.where(turned, 0.0, 1.0))


YOUNG = [(1, 1, 0), (1, 40, 0), (1, 60, 8), (2, 1, 0), (2, 5, 0), (2, 60, 0), (2, 200, 8), (10, 300, 12), (30, 50, 0)]


@pytest.mark.parametrize("over", ["items", "pairs"])
@pytest.mark.parametrize(("people", "tasks", "shared"), YOUNG)
def test_people_who_never_disagree_are_found_reliable_and_not_without_end(
    people: int, tasks: int, shared: int, over: str
) -> None:
    found = fit_annotators(unanimous(people, tasks, shared), over)
    assert found.converged
    for each in (found.reliability, found.reliability_error, found.side_bias, found.side_error, found.strengths):
        assert np.isfinite(each).all()
    assert np.isfinite(found.strength_error).all()
    assert found.reliability.min() > 0.5 and found.reliability.max() < 15.0
    assert found.reliability_error.min() > 0.2
    if people > 1 and tasks > 1:
        assert found.reliability.min() > 1.4, "more than what is expected of anybody"


def test_nothing_is_known_of_one_person_alone() -> None:
    found = fit_annotators(unanimous(1, 1))
    assert found.reliability == pytest.approx(1.0, abs=0.25)
    assert found.reliability_error > 0.8


def test_who_did_not_judge_is_expected_to_be_as_the_others() -> None:
    answers = replace(unanimous(2, 20), person_ids=(0, 1, 2))
    found = fit_annotators(answers)
    assert found.reliability[2] == pytest.approx(found.reliability[:2].mean())
    assert found.reliability_error[2] > found.reliability_error[:2].max()


CROWDS = st.tuples(st.integers(0, 10_000), st.sampled_from(["items", "pairs"]), st.sampled_from([0.0, 0.5]))


@settings(max_examples=8, deadline=None)
@given(CROWDS)
def test_swapping_what_is_shown_first_turns_the_side_bias_round(given_crowd: tuple[int, str, float]) -> None:
    seed, over, tie = given_crowd
    answers = shared_items(seed, RELIABILITY, SIDE, items=8, each=12, tie=tie).answers
    found, swapped = fit_annotators(answers, over), fit_annotators(answers.swapped(), over)
    assert swapped.side_bias == pytest.approx(-found.side_bias, abs=1e-6)
    assert swapped.reliability == pytest.approx(found.reliability, abs=1e-6)
    assert swapped.strengths == pytest.approx(found.strengths, abs=1e-6)


@settings(max_examples=8, deadline=None)
@given(CROWDS, st.randoms(use_true_random=False))
def test_relabelling_people_permutes_what_is_found(given_crowd: tuple[int, str, float], order: object) -> None:
    seed, over, tie = given_crowd
    answers = shared_items(seed, RELIABILITY, SIDE, items=8, each=12, tie=tie).answers
    names = list(range(len(RELIABILITY)))
    order.shuffle(names)
    relabelled = replace(answers, people=np.asarray(names)[answers.people])
    found, other = fit_annotators(answers, over), fit_annotators(relabelled, over)
    for before, after in (
        (found.reliability, other.reliability),
        (found.side_bias, other.side_bias),
        (found.reliability_error, other.reliability_error),
    ):
        assert after[names] == pytest.approx(before, abs=1e-6)


@settings(max_examples=8, deadline=None)
@given(CROWDS)
def test_who_never_judged_changes_nothing(given_crowd: tuple[int, str, float]) -> None:
    seed, over, tie = given_crowd
    answers = shared_items(seed, RELIABILITY, SIDE, items=8, each=12, tie=tie).answers
    more = replace(answers, person_ids=(*answers.person_ids, 99))
    found, other = fit_annotators(answers, over), fit_annotators(more, over)
    assert other.reliability[:-1] == pytest.approx(found.reliability, abs=1e-9)
    assert other.reliability_error[:-1] == pytest.approx(found.reliability_error, abs=1e-6)
    assert other.strengths == pytest.approx(found.strengths, abs=1e-9)
    assert other.reliability[-1] == pytest.approx(found.reliability.mean())
    assert other.reliability_error[-1] > found.reliability_error.min()
