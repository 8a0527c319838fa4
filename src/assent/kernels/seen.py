"""The parts of packed attention that are no matrix products: layouts, and the softmax over what a token may see."""

# mypy: ignore-errors

from __future__ import annotations

from numba import njit, prange

from assent.kernels.scalars import OPTIONS, F, exp, larger, narrow, wide


@njit(**OPTIONS)
def to_heads(table, at, each, width, factor, out):
    """[N, K·R, D] -> [T·K, each·R·width, D], times a factor; zeros where there is no token."""
    heads, size = table.shape[1:]
    shared = out.shape[0] * each * width // at.shape[0]
    repeats = heads // shared
    for place in prange(at.shape[0]):
        trunk = place // (each * width)
        branch = place // width % each
        step = place % width
        token = at[place]
        for head in range(heads):
            row = (branch * repeats + head % repeats) * width + step
            to = out[trunk * shared + head // repeats, row]
            if token < 0:
                for j in range(size):
                    to[j] = narrow(F(0.0), out)
            else:
                source = table[token, head]
                for j in range(size):
                    to[j] = narrow(wide(source[j]) * factor, out)


@njit(**OPTIONS)
def from_heads(found, at, each, width, factor, adds, out):
    """The inverse, written to the tokens' places in [N, K·R, D], or added to what is there."""
    heads, size = out.shape[1:]
    shared = found.shape[0] * each * width // at.shape[0]
    repeats = heads // shared
    for place in prange(at.shape[0]):
        trunk = place // (each * width)
        branch = place // width % each
        step = place % width
        token = at[place]
        if token >= 0:
            for head in range(heads):
                row = (branch * repeats + head % repeats) * width + step
                source = found[trunk * shared + head // repeats, row]
                to = out[token, head]
                if adds:
                    for j in range(size):
                        to[j] = narrow(wide(to[j]) + wide(source[j]) * factor, out)
                else:
                    for j in range(size):
                        to[j] = narrow(wide(source[j]) * factor, out)


@njit(**OPTIONS)
def seen_softmax(above, own, lengths):
    """In place: each row over its trunk's first tokens and its own strand's tokens so far, zero elsewhere."""
    rows, width = own.shape
    each = rows // lengths.shape[0]
    for i in prange(rows):
        to_trunk = above[i]
        to_self = own[i]
        trunk = lengths[i // each]
        seen = i % width + 1
        top = F(-3e38)
        for j in range(trunk):
            top = larger(top, wide(to_trunk[j]))
        for j in range(seen):
            top = larger(top, wide(to_self[j]))
        mass = F(0.0)
        for j in range(trunk):
            mass += exp(wide(to_trunk[j]) - top)
        for j in range(seen):
            mass += exp(wide(to_self[j]) - top)
        share = F(1.0) / mass
        for j in range(trunk):
            to_trunk[j] = narrow(exp(wide(to_trunk[j]) - top) * share, above)
        for j in range(trunk, to_trunk.shape[0]):
            to_trunk[j] = narrow(F(0.0), above)
        for j in range(seen):
            to_self[j] = narrow(exp(wide(to_self[j]) - top) * share, own)
        for j in range(seen, width):
            to_self[j] = narrow(F(0.0), own)


@njit(**OPTIONS)
def seen_softmax_back(above, own, weights_above, weights_own, lengths):
    """In place: from the gradients of the weights to those of the scores."""
    rows, width = own.shape
    each = rows // lengths.shape[0]
    for i in prange(rows):
        to_trunk = above[i]
        to_self = own[i]
        trunk = lengths[i // each]
        seen = i % width + 1
        w_trunk = weights_above[i]
        w_self = weights_own[i]
        along = F(0.0)
        for j in range(trunk):
            along += wide(to_trunk[j]) * wide(w_trunk[j])
        for j in range(seen):
            along += wide(to_self[j]) * wide(w_self[j])
        for j in range(trunk):
            to_trunk[j] = narrow((wide(to_trunk[j]) - along) * wide(w_trunk[j]), above)
        for j in range(trunk, to_trunk.shape[0]):
            to_trunk[j] = narrow(F(0.0), above)
        for j in range(seen):
            to_self[j] = narrow((wide(to_self[j]) - along) * wide(w_self[j]), own)
        for j in range(seen, width):
            to_self[j] = narrow(F(0.0), own)
