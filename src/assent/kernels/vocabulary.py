"""Log-probabilities straight from logits, and their gradient, row by row."""

# mypy: ignore-errors

from __future__ import annotations

import numpy as np
from numba import njit, prange

from assent.kernels.scalars import OPTIONS, F, bits_of, exp, larger, narrow, wide

_U = np.uint32
_MAGNITUDE, _INFINITE, _MINUS_INFINITE = _U(0x7FFFFFFF), _U(0x7F800000), _U(0xFF800000)


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
def tell_back(logits, tokens, sharpness, totals, given):
    """In place: the gradient of the logits from that of the log-probabilities."""
    for i in prange(logits.shape[0]):
        row = logits[i]
        total = totals[i]
        weight = -given[i] * sharpness
        own = tokens[i]
        own_logit = wide(row[own])
        for j in range(row.shape[0]):
            row[j] = narrow(exp(wide(row[j]) * sharpness - total) * weight, logits)
        row[own] = narrow(exp(own_logit * sharpness - total) * weight - weight, logits)


@njit(**OPTIONS)
def tell_and_spread_back(logits, tokens, sharpness, totals, entropies, given, given_spread):
    """The same with the gradient of the entropies: of Σ -p log p to a logit, -p (log p + entropy)."""
    for i in prange(logits.shape[0]):
        row = logits[i]
        total = totals[i]
        entropy = entropies[i]
        weight = -given[i] * sharpness
        other = given_spread[i] * sharpness
        own = tokens[i]
        own_log_p = larger(wide(row[own]) * sharpness - total, F(-87.0))
        for j in range(row.shape[0]):
            log_p = larger(wide(row[j]) * sharpness - total, F(-87.0))
            row[j] = narrow(exp(log_p) * (weight - other * (log_p + entropy)), logits)
        row[own] = narrow(exp(own_log_p) * (weight - other * (own_log_p + entropy)) - weight, logits)


@njit(**OPTIONS)
def draw(logits, sharpness, uniform, block, tokens, logprobs):
    """A token of each row by inversion, and its log-probability; NaN of a row that is no distribution.

    The first token at which the cumulative probability passes the row's number: sums over blocks of the vocabulary
    first, then, in float64, within the block where it passes.
    """
    size = logits.shape[1]
    blocks = -(-size // block)
    for i in prange(logits.shape[0]):
        row = logits[i]
        weights = np.empty(size, F)
        sums = np.empty(blocks)
        top = F(-3e38)
        wrong = _U(0)
        for j in range(size):
            x = wide(row[j])
            top = larger(top, x)
            bits = bits_of(x)
            wrong |= _U((bits & _MAGNITUDE) >= _INFINITE) & _U(bits != _MINUS_INFINITE)
        if wrong or top == F(-3e38):
            tokens[i] = 0
            logprobs[i] = F(np.nan)
            continue
        top = top * sharpness
        for j in range(size):
            x = wide(row[j]) * sharpness - top
            weights[j] = exp(x) if x > F(-87.0) else F(0.0)
        total = 0.0
        for b in range(blocks):
            mass = F(0.0)
            for j in range(b * block, min(size, b * block + block)):
                mass += weights[j]
            total += mass
            sums[b] = total
        threshold = uniform[i] * total
        # where rounding leaves nothing that passes, the last one that adds anything
        found = blocks - 1
        while found > 0 and sums[found - 1] == total:
            found -= 1
        for b in range(found):
            if sums[b] > threshold:
                found = b
                break
        begin = found * block
        end = min(size, begin + block)
        threshold -= sums[found - 1] if found > 0 else 0.0
        token = end - 1
        while token > begin and weights[token] == F(0.0):
            token -= 1
        passed = 0.0
        for j in range(begin, token):
            passed += weights[j]
            if passed > threshold:
                token = j
                break
        tokens[i] = token
        logprobs[i] = wide(row[token]) * sharpness - top - F(np.log(total))
