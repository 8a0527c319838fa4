"""How much each person's judgements count, from how they compare with those of others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from assent.feedback.agreement import agreement_counts
from assent.feedback.annotators import fit_annotators
from assent.feedback.answers import answers_of
from assent.feedback.intervals import Floats
from assent.types.feedback import JudgedTask, Ranking

PRIOR_PAIRS = 20.0  # pairs that everyone is taken to have judged beside an average person
ROUNDS = 200


def reliability_weights(rankings: Sequence[Ranking]) -> dict[int, float]:
    """Weight of each person who judged; the mean over these rankings is 1.

    If person i is right on a pair with chance p_i, independently of the others (Dawid & Skene 1979, with one parameter
    each), two people agree with chance a_ij, and 2a_ij - 1 = r_i · r_j with r = 2p - 1. The r are fitted to all
    agreements by least squares, so that to agree with an adversary is no merit; r is the weight, and who is no better
    than a guess has none. `PRIOR_PAIRS` beside an average person keep a few pairs from deciding; who never met anybody
    has the weight of an average person. Where nobody met, or people agree no more than by chance, all weights are 1.
    """
    people = sorted({ranking.person_id for ranking in rankings})
    place = {person: row for row, person in enumerate(people)}
    pairs, excess = np.zeros((len(people), len(people))), np.zeros((len(people), len(people)))
    for (one, other), (agreed, met) in agreement_counts(rankings).items():
        for row, column in ((place[one], place[other]), (place[other], place[one])):
            pairs[row, column], excess[row, column] = met, 2.0 * agreed - met
    weights = np.maximum(0.0, _reliabilities(pairs, excess))
    total = sum(float(weights[place[ranking.person_id]]) for ranking in rankings)
    if total <= 0:
        return dict.fromkeys(people, 1.0)
    return {person: float(weights[place[person]]) * len(rankings) / total for person in people}


def bradley_terry_weights(judged: Sequence[JudgedTask], cap: float = math.inf) -> dict[int, float]:
    """Weight of each person who judged, from a Bradley–Terry model of people (`fit_annotators`); the mean is 1.

    The weight is the person's `discernment`, on the scale of the r above: how far from a guess they are on two items
    of ordinary difference, once their leaning to what is shown first is taken off. A guess or worse has none.

    Args:
        judged: all that is known of the people; ties and K-wise rankings included.
        cap: on each person's share of the evidence (`Answers.capped`), so that no flood of answers can pass for the
            truth that others are measured by.
    """
    people = sorted({each.ranking.person_id for each in judged})
    answers = answers_of(judged, people)
    if not len(answers):
        return dict.fromkeys(people, 1.0)
    found = fit_annotators(answers.capped(cap)).discernment()
    weights = {person: max(0.0, float(value)) for person, value in zip(people, found, strict=True)}
    total = sum(weights[each.ranking.person_id] for each in judged)
    if total <= 0:
        return dict.fromkeys(people, 1.0)
    return {person: weight * len(judged) / total for person, weight in weights.items()}


def _reliabilities(pairs: Floats, excess: Floats) -> Floats:
    """r of each person, [P], by least squares, given the others'; `excess` is agreed less disagreed."""
    met = pairs.sum()
    if met == 0 or excess.sum() <= 0:
        return np.ones(len(pairs))
    found = np.full(len(pairs), np.sqrt(excess.sum() / met))
    for _ in range(ROUNDS):
        mean = float((found * pairs.sum(axis=1)).sum() / met)
        above = excess @ found + PRIOR_PAIRS * mean**3
        below = pairs @ found**2 + PRIOR_PAIRS * mean**2
        # Half-way steps: without a person's own row, whole ones may swing between two answers.
        found = 0.5 * (found + np.clip(above / np.maximum(below, 1e-12), -1.0, 1.0))
    return found
