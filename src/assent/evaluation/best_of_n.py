"""Best-of-n as a policy: of n samples the one with the highest score. No weights change."""

from __future__ import annotations

import math
from collections.abc import Sequence


def best_of_n_kl_bound(n: int) -> float:
    """log n − (n − 1)/n, in nats: best-of-n lies no further from the policy it samples.

    Equal where no two completions share a score (Stiennon et al. 2020, who give it as the KL); else the KL is smaller
    (Beirami et al. 2024).

    Raises:
        ValueError: n is below 1.
    """
    if n < 1:
        raise ValueError(f"best-of-n takes at least 1 sample, got {n}")
    return math.log(n) - (n - 1) / n


def best_of_k_mean(scores: Sequence[float], values: Sequence[float], k: int) -> float:
    """The expected value of the best of k of these samples, the best by score; unbiased over which k are taken.

    Sorted by score, the i-th lowest of n (from 0) is the best of C(i, k − 1) of the C(n, k) choices (Nakano et al.
    2021, appendix I). Samples of equal scores stand in for one another: each has the mean value of all of them.

    Args:
        scores: of n samples of one prompt.
        values: what is to be averaged: the scores themselves, or what another judge says of the same samples.
        k: from 1 to n.

    Raises:
        ValueError: the two differ in length, or k is not within 1 and their number.
    """
    n = len(scores)
    if len(values) != n or not 1 <= k <= n:
        raise ValueError(f"best_of_k_mean got {n} scores, {len(values)} values and k = {k}")
    among: dict[float, list[float]] = {}
    for score, value in zip(scores, values, strict=True):
        among.setdefault(score, []).append(value)
    total, below = 0.0, 0
    for score in sorted(among):
        ties = among[score]
        choices = math.comb(below + len(ties), k) - math.comb(below, k)
        total += choices * sum(ties) / len(ties)
        below += len(ties)
    return total / math.comb(n, k)
