"""A step of writing: what a decoder's block does to one new token of each sequence, between its products."""

# mypy: ignore-errors

from __future__ import annotations

import numpy as np
from numba import njit, prange

from assent.kernels.scalars import OPTIONS, F, exp, larger, narrow, wide

ALONE = {**OPTIONS, "parallel": False}  # for work so small that other threads would come too late


@njit(**ALONE)
def add_norm(stream, more, weight, epsilon, out):
    """stream += more, and its RMS norm times the weight."""
    count, width = stream.shape
    for i in range(count):
        row = stream[i]
        new = more[i]
        to = out[i]
        squares = F(0.0)
        for j in range(width):
            x = row[j] + wide(new[j])
            row[j] = x
            squares += x * x
        factor = F(1.0 / np.sqrt(squares / width + epsilon))
        for j in range(width):
            to[j] = narrow(row[j] * factor * wide(weight[j]), out)


@njit(**ALONE)
def gate_halves(both, out):
    """silu of the first half of each row, times the second."""
    count, width = out.shape
    for i in range(count):
        gates = both[i, :width]
        values = both[i, width:]
        to = out[i]
        for j in range(width):
            x = wide(gates[j])
            to[j] = narrow(x / (F(1.0) + exp(-x)) * wide(values[j]), out)


@njit(inline="always")
def _turn(given, weight, normed, epsilon, cosine, sine, scale, to):
    """A head's query or key: its RMS norm, if there is one, the rotation of its position, and a factor."""
    size = len(given)
    half = size // 2
    factor = scale
    if normed:
        squares = F(0.0)
        for j in range(size):
            squares += wide(given[j]) * wide(given[j])
        factor = F(scale / np.sqrt(squares / size + epsilon))
    for j in range(half):
        one = wide(given[j]) * factor
        two = wide(given[j + half]) * factor
        if normed:
            one *= wide(weight[j])
            two *= wide(weight[j + half])
        to[j] = one * wide(cosine[j]) - two * wide(sine[j])
        to[j + half] = two * wide(cosine[j + half]) + one * wide(sine[j + half])


@njit(**OPTIONS)
def attend(given, positions, cosines, sines, weights, normed, epsilon, scale, lengths, keys, values, out):
    """Attention of one token of each sequence to what its slot holds and to itself; its key and value are put there.

    given [B, (H + 2 K) D]: queries, keys and values; positions [B]; cosines and sines [positions, D]; weights [2, D] of
    the norms of queries and keys, used if `normed`; lengths [B]: tokens in the slots; keys, values [S, K, C, D];
    out [B, H D].
    """
    many, size = keys.shape[1], keys.shape[3]
    heads = out.shape[1] // size
    groups = heads // many
    for index in prange(len(given) * many):
        b = index // many
        k = index % many
        length = lengths[b]
        row = given[b]
        to = out[b]
        cosine = cosines[positions[b]]
        sine = sines[positions[b]]
        slot_keys = keys[b, k]
        slot_values = values[b, k]
        turned = np.empty(size, F)
        seen = np.empty(length + 1, F)
        sums = np.empty(size, F)
        begin = (heads + k) * size
        _turn(row[begin : begin + size], weights[1], normed, epsilon, cosine, sine, F(1.0), turned)
        new = slot_keys[length]
        for j in range(size):
            new[j] = narrow(turned[j], keys)
        begin = (heads + many + k) * size
        new_value = slot_values[length]
        for j in range(size):
            new_value[j] = row[begin + j]
        for h in range(k * groups, k * groups + groups):
            begin = h * size
            _turn(row[begin : begin + size], weights[0], normed, epsilon, cosine, sine, scale, turned)
            highest = F(-3e38)
            for t in range(length + 1):
                key = slot_keys[t]
                score = F(0.0)
                for j in range(size):
                    score += turned[j] * wide(key[j])
                seen[t] = score
                highest = larger(highest, score)
            total = F(0.0)
            for t in range(length + 1):
                seen[t] = exp(seen[t] - highest)
                total += seen[t]
            for j in range(size):
                sums[j] = F(0.0)
            for t in range(length + 1):
                share = seen[t]
                value = slot_values[t]
                for j in range(size):
                    sums[j] += share * wide(value[j])
            for j in range(size):
                to[begin + j] = narrow(sums[j] / total, out)
