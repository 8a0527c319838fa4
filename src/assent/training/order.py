"""Which examples a step takes: seeded permutations addressed by epoch, so that resuming needs no saved position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from assent.types.seeds import derive_seed


def permutation(count: int, *address: int | str) -> list[int]:
    """A seeded permutation of 0..count-1 for this address."""
    generator = torch.Generator().manual_seed(derive_seed(*address))
    return [int(index) for index in torch.randperm(count, generator=generator)]


def endless(count: int, seed: int, name: str) -> Iterator[int]:
    """Indices of epoch after epoch, each in its own order."""
    epoch = 0
    while True:
        yield from permutation(count, seed, name, epoch)
        epoch += 1


def batches_of(count: int, size: int, steps: int, seed: int, name: str) -> list[list[int]]:
    """`size` indices for each of `steps` steps, every example once before any comes again."""
    stream = endless(count, seed, name)
    return [[next(stream) for _ in range(size)] for _ in range(steps)]


def batches_by_tokens(lengths: Sequence[int], tokens: int, steps: int, seed: int, name: str) -> list[list[int]]:
    """For each step, examples until together they have at least `tokens` tokens.

    Raises:
        ValueError: no examples, or only empty ones.
    """
    if not lengths or max(lengths) < 1:
        raise ValueError("batches_by_tokens needs at least one example that is not empty")
    stream = endless(len(lengths), seed, name)
    plan: list[list[int]] = []
    for _ in range(steps):
        batch, total = [], 0
        while total < tokens:
            batch.append(next(stream))
            total += lengths[batch[-1]]
        plan.append(batch)
    return plan
