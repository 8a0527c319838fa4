"""What a transformer's layers do to single elements: RMS norms, rotary positions, gated units."""

# mypy: ignore-errors

from __future__ import annotations

import numpy as np
from numba import njit, prange

from assent.kernels.scalars import OPTIONS, F, exp, narrow, wide


@njit(**OPTIONS)
def norm(x, weight, epsilon, scale, out):
    """x · scale · weight with scale = 1 / √(mean(x²) + epsilon) of each row."""
    width = x.shape[1]
    for i in prange(x.shape[0]):
        row = x[i]
        to = out[i]
        squares = F(0.0)
        for j in range(width):
            squares += wide(row[j]) * wide(row[j])
        factor = F(1.0 / np.sqrt(squares / width + epsilon))
        scale[i] = factor
        for j in range(width):
            to[j] = narrow(wide(row[j]) * factor * wide(weight[j]), out)


@njit(**OPTIONS)
def norm_back(given, x, weight, scale, in_x, in_weight):
    """The gradients; that of the weight in so many parts, each of as many rows of the input."""
    count, width = x.shape
    rows = -(-count // in_weight.shape[0])
    for block in prange(in_weight.shape[0]):
        sums = in_weight[block]
        sums[:] = F(0.0)
        for i in range(block * rows, min(count, block * rows + rows)):
            row = x[i]
            gradient = given[i]
            to = in_x[i]
            factor = scale[i]
            along = F(0.0)
            for j in range(width):
                product = wide(gradient[j]) * wide(row[j]) * factor
                sums[j] += product
                along += product * wide(weight[j])
            along = along / F(width) * factor
            for j in range(width):
                to[j] = narrow((wide(gradient[j]) * wide(weight[j]) - wide(row[j]) * along) * factor, in_x)


@njit(**OPTIONS)
def rotate(x, cosines, sines, sign, out):
    """Halves of each head turned by the angles of its position; back again with sign -1."""
    tokens, heads, size = x.shape
    half = size // 2
    for n in prange(tokens):
        cosine = cosines[n]
        sine = sines[n]
        for h in range(heads):
            row = x[n, h]
            to = out[n, h]
            for j in range(half):
                one = wide(row[j])
                two = wide(row[j + half])
                to[j] = narrow(one * wide(cosine[j]) - sign * two * wide(sine[j]), out)
                to[j + half] = narrow(two * wide(cosine[j + half]) + sign * one * wide(sine[j + half]), out)


@njit(**OPTIONS)
def gate(gates, values, out):
    """silu(gates) · values."""
    for i in prange(gates.shape[0]):
        g = gates[i]
        v = values[i]
        to = out[i]
        for j in range(g.shape[0]):
            x = wide(g[j])
            to[j] = narrow(x / (F(1.0) + exp(-x)) * wide(v[j]), out)


@njit(**OPTIONS)
def gate_back(given, gates, values, in_gates, in_values):
    """Its gradients."""
    for i in prange(gates.shape[0]):
        d = given[i]
        g = gates[i]
        v = values[i]
        to_g = in_gates[i]
        to_v = in_values[i]
        for j in range(g.shape[0]):
            x = wide(g[j])
            gradient = wide(d[j])
            open_ = F(1.0) / (F(1.0) + exp(-x))
            to_v[j] = narrow(gradient * x * open_, in_values)
            to_g[j] = narrow(gradient * wide(v[j]) * open_ * (F(1.0) + x * (F(1.0) - open_)), in_gates)
