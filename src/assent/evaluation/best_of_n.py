"""Best-of-n: what it costs in KL and gains in wins, whatever the model, the prompt and the reward.

Of n samples the one with the highest reward is taken. Where no two rewards are equal, both figures are exact; ties
make them upper bounds (Beirami et al. 2024 on the KL).
"""

from __future__ import annotations

import math


def best_of_n_kl(n: int) -> float:
    """log n - (n - 1) / n, in nats: KL of the best of n from a single sample (Stiennon et al. 2020, appendix G.3).

    Raises:
        ValueError: n is below 1.
    """
    return math.log(_samples(n)) - (n - 1) / n


def best_of_n_win_rate(n: int) -> float:
    """n / (n + 1): how often the best of n beats a fresh sample by the reward, ties counted half.

    The n and the fresh one are n + 1 samples alike, and each is as likely as any other to be the best of them all.

    Raises:
        ValueError: n is below 1.
    """
    return _samples(n) / (n + 1)


def _samples(n: int) -> int:
    if n < 1:
        raise ValueError(f"best-of-n takes at least 1 sample, got {n}")
    return n
