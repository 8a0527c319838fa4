"""What a run will need of memory at most, told before its first step, so that none ends in the middle of a night.

Weights are there when it is asked. Gradients, the optimiser's states and copies can be counted. What a pass keeps for
its gradient is measured on two small batches, and grows with the sequences from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from assent.functional.batching import TokenBatch, make_batch
from assent.training.optimiser import GuardedOptimiser
from assent.types.errors import SettingsError
from assent.types.protocols import Progress

GIB, MIB = 2**30, 2**20
SLACK = 1.15  # a pass backward holds gradients of what it is at, and freed memory is in pieces
SMALLEST = 64  # tokens in a microbatch that compute.tokens_per_microbatch allows


@dataclass(frozen=True)
class Pass:
    """What one microbatch keeps for its gradient, in bytes.

    Args:
        fixed: whatever its size, such as weights in another precision.
        sequence: for each of the longest sequences.
        length: of these, in tokens.
        tokens: in the largest microbatch.
    """

    fixed: int
    sequence: int
    length: int
    tokens: int

    def bytes(self, tokens: int | None = None) -> int:
        """With so many tokens in a microbatch; a sequence is never cut."""
        count = max(1, min(self.tokens, tokens or self.tokens) // self.length)
        return int(SLACK * (self.fixed + count * self.sequence))


@dataclass(frozen=True)
class Need:
    """What comes beside that which is there when a run begins, in bytes.

    Args:
        states: gradients and the optimiser's.
        passed: what training keeps for gradients.
        saved: what a checkpoint is laid out in.
        sampling: what writing takes.
        copies: of weights, to go back to.
    """

    states: int
    passed: Pass
    saved: int
    sampling: int = 0
    copies: int = 0

    def total(self, tokens: int | None = None) -> int:
        """At the peak, with so many tokens in a microbatch: it writes, learns and saves in turn."""
        return self.states + self.copies + max(self.passed.bytes(tokens), self.sampling, self.saved)


def need_of(
    forward: Callable[[TokenBatch], Tensor],
    optimisers: Sequence[GuardedOptimiser],
    models: Sequence[nn.Module],
    prompt: int,
    completion: int,
    tokens: int,
    sampling: int = 0,
    copies: int = 0,
) -> Need:
    """What training needs.

    Args:
        forward: from sequences to what a gradient can be taken of.
        optimisers: of all that is trained.
        models: whose weights are there already.
        prompt: tokens of the longest one.
        completion: likewise.
        tokens: in the largest microbatch.
    """
    weights = {value.untyped_storage().data_ptr() for model in models for value in model.parameters()}
    device = next(models[0].parameters()).device
    prompt, completion = max(1, prompt), max(1, completion)
    found = []
    for count in (1, 2):
        prompts = [[1 + number] * prompt for number in range(count)]  # no two alike, which would be read once
        batch = make_batch(prompts, [[1] * completion] * count).to(device)
        found.append(_kept(forward, batch, weights))
    sequence = max(0, found[1] - found[0])
    length = prompt + completion
    passed = Pass(max(0, found[0] - sequence), sequence, length, max(tokens, length))
    trained = [value for each in optimisers for value in each.parameters]
    states = sum(each.memory() for each in optimisers)
    return Need(states + bytes_of(trained), passed, states + bytes_of(trained), sampling, copies)


def _kept(forward: Callable[[TokenBatch], Tensor], batch: TokenBatch, weights: set[int]) -> int:
    kept: dict[int, int] = {}

    def keep(table: Tensor) -> Tensor:
        storage = table.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return table

    with saved_tensors_hooks(keep, lambda table: table):
        result = forward(batch)
    del result
    return sum(kept.values())


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """All of them together."""
    return sum(table.numel() * table.element_size() for table in tensors)


def require_memory(name: str, need: Need, device: torch.device, limit: float | None, progress: Progress) -> None:
    """Say what a run will need.

    Args:
        name: of the run.
        limit: GiB that it may take beside what is there; none: what is free.

    Raises:
        SettingsError: it is more than that; the message says what would fit.
    """
    free = free_memory(device) if limit is None else int(limit * GIB)
    total = need.total()
    words = f"{name}: about {_size(total)} of memory beside the weights"
    if free is None:
        progress.say(words)
        return
    if total <= free:
        progress.say(f"{words}, of {_size(free)} that are free")
        return
    parts = {
        "gradients and optimiser": need.states,
        "copies of weights": need.copies,
        f"a pass over {need.passed.tokens} tokens": need.passed.bytes(),
        "writing": need.sampling,
        "a checkpoint": need.saved,
    }
    told = ", ".join(f"{part} {_size(size)}" for part, size in parts.items() if size)
    raise SettingsError(f"{words}, and {_size(free)} are free ({told})", _what_fits(need, free))


def _what_fits(need: Need, free: int) -> str:
    tokens = need.passed.tokens
    while tokens >= SMALLEST:
        tokens //= 2
        if need.total(tokens) <= free and need.passed.bytes(tokens) < need.passed.bytes():
            return f"set compute.tokens_per_microbatch to {tokens}: about {_size(need.total(tokens))} then"
    if need.states + need.copies + max(need.passed.bytes(), need.saved) <= free:
        return "lower sampling.batch_size or sampling.max_new_tokens"
    return "train an adapter (model.lora.rank), or a smaller model; or set compute.memory, if you know better"


def _size(count: int) -> str:
    return f"{count / GIB:.1f} GiB" if count >= GIB // 10 else f"{count / MIB:.0f} MiB"


def free_memory(device: torch.device) -> int | None:
    """Bytes that can be had: on a GPU what nobody holds, else what the kernel or the container's limit leaves."""
    if device.type == "cuda":
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + held
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    free = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        statistics = dict(line.split() for line in Path("/sys/fs/cgroup/memory.stat").read_text().splitlines())
        if limit != "max":  # file pages count as used, but give way
            free.append(int(limit) - used + int(statistics.get("inactive_file", 0)))
    except (OSError, ValueError):
        pass
    return min(free) if free else None
