"""Sizes that recur: oneDNN compiles code for every new shape of a bf16 product, which takes longer than the product.

Batches of text never have the same shape twice. Rounded up a little they do, and what was compiled is used again.
"""

from __future__ import annotations

import torch
from torch import Tensor

_MANY = 64  # matrices that are multiplied by one call


def recurring(size: int, finest: int = 16, levels: int = 16) -> int:
    """The size rounded up, to one of so many values between a power of two and the next; up to `finest`, as it is."""
    if size <= finest:
        return size
    step = max(finest, (1 << (size.bit_length() - 1)) // levels)
    return -(-size // step) * step


def products(left: Tensor, right: Tensor, onto: Tensor | None = None) -> Tensor:
    """[B, M, K] · [B, K, N], in place on top of `onto` if that is given, by calls of 64, 32, 16, ... matrices."""
    if left.dtype != torch.bfloat16 or left.device.type != "cpu":
        return torch.bmm(left, right) if onto is None else onto.baddbmm_(left, right)
    out = left.new_empty(len(left), left.shape[1], right.shape[2]) if onto is None else onto
    for part in _parts(len(left)):
        if onto is None:
            torch.bmm(left[part], right[part], out=out[part])
        else:
            out[part].baddbmm_(left[part], right[part])
    return out


def _parts(count: int) -> list[slice]:
    found = [slice(begin, begin + _MANY) for begin in range(0, count - _MANY + 1, _MANY)]
    begin, size = len(found) * _MANY, _MANY
    while begin < count:
        size //= 2
        if begin + size <= count:
            found.append(slice(begin, begin + size))
            begin += size
    return found
