"""How much each person's judgements count, from how often others agreed with them."""

from __future__ import annotations

from collections.abc import Sequence

from assent.feedback.agreement import agreement_counts
from assent.types.feedback import Ranking

PRIOR_PAIRS = 20.0  # pairs with which everyone starts at the crowd's own agreement


def reliability_weights(rankings: Sequence[Ranking]) -> dict[int, float]:
    """Weight of each person who judged; the mean over these rankings is 1.

    If people are right on a pair with chances p and q, independently, they agree with chance a = pq + (1 - p)(1 - q),
    so 2a - 1 = (2p - 1)(2q - 1): how far a person's agreement lies above one half is proportional to how far their
    chance of being right does. That is the weight; who agrees less often than by chance has none. Everyone's count of
    pairs begins with `PRIOR_PAIRS` at the crowd's mean, so that a few pairs do not decide, and who never met anybody on
    a task has the weight of the average person. Where nobody met, or nobody agrees beyond chance, all weights are 1.
    """
    people = sorted({ranking.person_id for ranking in rankings})
    counts = agreement_counts(rankings)
    met = sum(pairs for _, pairs in counts.values())
    mean = sum(agreed for agreed, _ in counts.values()) / met if met else 0.5
    weights = {}
    for person in people:
        agreed, pairs = counts.get(person, (0, 0))
        share = (agreed + PRIOR_PAIRS * mean) / (pairs + PRIOR_PAIRS)
        weights[person] = max(0.0, 2.0 * share - 1.0)
    total = sum(weights[ranking.person_id] for ranking in rankings)
    if total <= 0:
        return dict.fromkeys(people, 1.0)
    return {person: weight * len(rankings) / total for person, weight in weights.items()}
