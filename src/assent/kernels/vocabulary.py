"""Log-probabilities straight from logits, and their gradient, row by row."""

# mypy: ignore-errors

from __future__ import annotations

import numpy as np
from numba import njit, prange

from assent.kernels.scalars import OPTIONS, F, exp, larger, narrow, wide


@njit(**OPTIONS)
def tell(logits, tokens, sharpness, totals, logprobs):
    """log Σ exp(sharpness · logits) of each row, and its token's log-probability."""
    for i in prange(logits.shape[0]):
        row = logits[i]
        top = F(-3e38)
        for j in range(row.shape[0]):
            top = larger(top, wide(row[j]))
        top = top * sharpness
        mass = F(0.0)
        for j in range(row.shape[0]):
            mass += exp(wide(row[j]) * sharpness - top)
        totals[i] = top + F(np.log(mass))
        logprobs[i] = wide(row[tokens[i]]) * sharpness - totals[i]


@njit(**OPTIONS)
def spread(logits, sharpness, totals, entropies):
    """The entropy of each row."""
    for i in prange(logits.shape[0]):
        row = logits[i]
        total = totals[i]
        found = F(0.0)
        for j in range(row.shape[0]):
            log_p = larger(wide(row[j]) * sharpness - total, F(-87.0))
            found -= exp(log_p) * log_p
        entropies[i] = found


@njit(**OPTIONS)
def tell_back(logits, tokens, sharpness, totals, given, found):
    """The gradient of the logits from that of the log-probabilities."""
    for i in prange(logits.shape[0]):
        row = logits[i]
        to = found[i]
        total = totals[i]
        weight = -given[i] * sharpness
        for j in range(row.shape[0]):
            to[j] = narrow(exp(wide(row[j]) * sharpness - total) * weight, found)
        own = tokens[i]
        to[own] = narrow(exp(wide(row[own]) * sharpness - total) * weight - weight, found)


@njit(**OPTIONS)
def tell_and_spread_back(logits, tokens, sharpness, totals, entropies, given, given_spread, found):
    """The same with the gradient of the entropies: of Σ -p log p to a logit, -p (log p + entropy)."""
    for i in prange(logits.shape[0]):
        row = logits[i]
        to = found[i]
        total = totals[i]
        entropy = entropies[i]
        weight = -given[i] * sharpness
        other = given_spread[i] * sharpness
        for j in range(row.shape[0]):
            log_p = larger(wide(row[j]) * sharpness - total, F(-87.0))
            to[j] = narrow(exp(log_p) * (weight - other * (log_p + entropy)), found)
        own = tokens[i]
        log_p = larger(wide(row[own]) * sharpness - total, F(-87.0))
        to[own] = narrow(exp(log_p) * (weight - other * (log_p + entropy)) - weight, found)
