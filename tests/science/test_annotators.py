"""Crowds with random, adversarial, flooding and opposed people, whose truth is known, are seen through."""

from __future__ import annotations

from dataclasses import dataclass, replace

import krippendorff
import numpy as np
import pytest
from scipy.stats import kendalltau

from assent.feedback import Answers, capped_weights, fit_annotators, fit_groups, krippendorff_alpha
from assent.feedback.alpha import Level
from tests.science.findings import Findings, Section
from tests.unit.feedback.crowds import Crowd, Floats, shared_items

SECTION = Section(
    key="annotators",
    order=7,
    title="Crowds in which not everybody means well",
    text="""
Simulated people compare random pairs of shared items; the truth is known. *Bad people*: of 25, five guess and five give
the opposite of what they find; Kendall's τ of the strengths with the true ones, and the area under the ROC curve with
which the reliability tells the ten from the others. *A flood*: one of 20, who prefers the opposite, sends in 20 times
as many answers as anybody else; the share of all pairs of items that the strengths order as the truth does, in plain
Bradley–Terry of all answers, with each person's share of the weight capped at twice an equal one, and in the model of
people with that cap. *Opposed groups*: 14 people of one taste and 6 of another; the share of pairs ordered as the
minority does. Means over the crowds drawn, and the worst of them; plain Bradley–Terry stands beside.
""",
    source="tests/science/test_annotators.py",
    columns=("crowd", "figure", "plain", "model", "worst of the model", "must be", "crowds"),
)


@dataclass(frozen=True)
class Extent:
    """How many crowds are drawn."""

    crowds: int


FULL = pytest.param(Extent(40), marks=pytest.mark.slow, id="full")
SHORT = pytest.param(Extent(6), id="short")


def plain(answers: Answers) -> Floats:
    """Bradley–Terry with all people alike."""
    return fit_groups(answers, 1, seed=0).strengths[0]


def ordered_as(strengths: Floats, truth: Floats) -> float:
    """The share of pairs of items that both put in the same order."""
    i, j = np.triu_indices(len(truth), 1)
    return float(np.mean((strengths[i] > strengths[j]) == (truth[i] > truth[j])))


def tell(findings: Findings, crowd: str, figure: str, before: list[float], after: list[float], bound: str) -> None:
    findings.row(SECTION, crowd, figure, np.mean(before), np.mean(after), min(after), bound, str(len(after)))


def agreement_with(strengths: Floats, answers: Answers) -> Floats:
    """The share of each person's answers that these strengths would have given."""
    same = (strengths[answers.first] > strengths[answers.second]) == (answers.preference > 0.5)
    total: Floats = np.bincount(answers.people, same) / np.bincount(answers.people)
    return total


def area_under(score: Floats) -> float:
    """The chance that a good person has a better score than one of the first ten, who are not."""
    return float(np.mean(score[10:, None] > score[None, :10]))


def crowd_with_bad_people(seed: int) -> Crowd:
    rng = np.random.default_rng(seed)
    skill = 2.0 * rng.uniform(0.6, 1.4, 25)
    skill[:5] = 0.0
    skill[5:10] *= -1.0
    return shared_items(seed, skill, rng.normal(0.0, 0.5, 25), items=30, each=150)


@pytest.mark.parametrize("extent", [FULL, SHORT])
def test_random_and_adversarial_people(findings: Findings, extent: Extent) -> None:
    before, after, plain_area, area = [], [], [], []
    for seed in range(extent.crowds):
        crowd = crowd_with_bad_people(1000 + seed)
        found = fit_annotators(crowd.answers)
        pooled = plain(crowd.answers)
        before.append(float(kendalltau(pooled, crowd.strengths).statistic))
        plain_area.append(area_under(agreement_with(pooled, crowd.answers)))
        after.append(float(kendalltau(found.strengths, crowd.strengths).statistic))
        area.append(area_under(found.reliability))
    tell(findings, "20 % random, 20 % adversarial", "Kendall τ", before, after, "≥ 0.90")
    tell(findings, "20 % random, 20 % adversarial", "AUC of bad people", plain_area, area, "≥ 0.99")
    assert np.mean(after) >= 0.90
    assert np.mean(area) >= 0.99
    assert np.mean(after) > np.mean(before) + 0.03, "knowing whom to trust must help, or the check could not fail"


@pytest.mark.parametrize("extent", [FULL, SHORT])
def test_one_person_who_floods(findings: Findings, extent: Extent) -> None:
    before, capped, model = [], [], []
    for seed in range(extent.crowds):
        crowd = flooded(2000 + seed)
        before.append(ordered_as(plain(crowd.answers), crowd.strengths))
        capped.append(ordered_as(plain(crowd.answers.capped(2.0)), crowd.strengths))
        model.append(ordered_as(fit_annotators(crowd.answers.capped(2.0)).strengths, crowd.strengths))
    tell(findings, "one of 20 floods 20-fold", "pairs ordered as the truth, capped only", before, capped, "")
    tell(findings, "one of 20 floods 20-fold", "pairs ordered as the truth, capped model", before, model, "≥ 0.97")
    assert np.mean(model) >= 0.97
    assert np.mean(before) < 0.75, "the flood must do harm, or the check could not fail"


def flooded(seed: int) -> Crowd:
    """The last of 20 people prefers the opposite and answers 20 times as often."""
    skill = np.r_[np.full(19, 2.0), np.full(20, -2.0)]
    drawn = shared_items(seed, skill, items=20, each=250)
    one = np.minimum(drawn.answers.people, 19)
    return replace(drawn, answers=replace(drawn.answers, people=one, person_ids=tuple(range(20))))


@pytest.mark.parametrize("likeness", [-1.0, 0.0])
@pytest.mark.parametrize("extent", [FULL, SHORT])
def test_opposed_groups(findings: Findings, extent: Extent, likeness: float) -> None:
    pooled, found, pooled_majority, majority = [], [], [], []
    for seed in range(extent.crowds):
        tastes, answers = two_tastes(3000 + seed, likeness)
        groups = fit_groups(answers, 2, seed=seed, restarts=4)
        together = plain(answers)
        pooled.append(ordered_as(together, tastes[1]))
        pooled_majority.append(ordered_as(together, tastes[0]))
        found.append(ordered_as(groups.strengths[1], tastes[1]))
        majority.append(ordered_as(groups.strengths[0], tastes[0]))
    name = f"70/30, tastes correlated {likeness:g}"
    tell(findings, name, "pairs ordered as the minority", pooled, found, "≥ 0.85")
    tell(findings, name, "pairs ordered as the majority", pooled_majority, majority, "≥ 0.85")
    assert np.mean(found) >= 0.85
    assert np.mean(majority) >= 0.85
    assert np.mean(pooled) < 0.75, "pooled strengths must fail the minority, or the check could not fail"


def two_tastes(seed: int, likeness: float) -> tuple[Floats, Answers]:
    """[2, 20] tastes, and the answers of 14 people of the one and 6 of the other."""
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=(2, 20))
    tastes = 1.5 * np.stack([one, likeness * one + np.sqrt(1.0 - likeness**2) * other])
    person = np.repeat(np.arange(20), 100)
    first = rng.integers(20, size=len(person))
    second = (first + rng.integers(1, 20, size=len(person))) % 20
    own = tastes[(person >= 14).astype(int)]
    rows = np.arange(len(person))
    chance = 1.0 / (1.0 + np.exp(own[rows, second] - own[rows, first]))
    said = (rng.random(len(person)) < chance).astype(np.float64)
    return tastes, Answers.of(person, first, second, said, None, range(20), range(20))


def test_alpha_is_the_reference_library_s(findings: Findings) -> None:
    rng = np.random.default_rng(0)
    off = []
    levels: tuple[Level, ...] = ("nominal", "ordinal", "interval")
    for _ in range(200):
        table = rng.integers(1, 6, (int(rng.integers(2, 8)), int(rng.integers(3, 40)))).astype(float) ** 2
        table[rng.random(table.shape) < 0.4] = np.nan
        for level in levels:
            interval = krippendorff_alpha(table, level, resamples=1).interval
            if interval is not None:
                off.append(abs(interval.value - krippendorff.alpha(table, level_of_measurement=level)))
    assert len(off) > 500
    findings.row(
        SECTION, "ragged tables", "largest difference of α", "–", f"{max(off):.1e}", "–", "≤ 1e-9", str(len(off))
    )
    assert max(off) <= 1e-9


def test_the_cap_is_kept() -> None:
    answers = flooded(1).answers
    given = {person: float(n) for person, n in enumerate(answers.weight_of_people())}
    found = capped_weights(dict.fromkeys(given, 1.0), given, 2.0)
    total = sum(given.values())
    assert given[19] / total > 0.5
    assert max(found[p] * given[p] / total for p in given) == pytest.approx(0.1)
