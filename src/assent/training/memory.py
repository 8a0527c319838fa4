"""What a run will need of memory at most, told before its first step, so that none ends in the middle of a night.

Weights are there when it is asked. Gradients, the optimiser's states and copies can be counted. What a pass keeps for
its gradient is measured on small batches, and grows with the sequences from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from assent.functional.batching import TokenBatch, make_batch
from assent.functional.logprobs import KEPT_BYTES
from assent.models.packed import base_model, packed_row
from assent.training.optimiser import GuardedOptimiser
from assent.types.errors import SettingsError
from assent.types.protocols import Progress

GIB, MIB = 2**30, 2**20
SLACK = 1.15  # a pass backward holds gradients of what it is at, and freed memory is in pieces
SMALLEST = 64  # tokens in a microbatch that compute.tokens_per_microbatch allows
PROBED = 512  # tokens of the longest sequence that is tried


@dataclass(frozen=True)
class Pass:
    """What one microbatch keeps for its gradient, in bytes.

    Args:
        fixed: whatever its size, such as weights in another precision.
        sequence: for each of the longest sequences.
        length: of these, in tokens.
        tokens: in the largest microbatch.
        least: tokens of the largest part that is never cut, such as one sequence, or the two of a pair.
    """

    fixed: int
    sequence: int
    length: int
    tokens: int
    least: int = 0

    def bytes(self, tokens: int | None = None) -> int:
        """With at most so many tokens in a microbatch."""
        most = max(self.least, min(self.tokens, tokens or self.tokens))
        return int(SLACK * (self.fixed + max(1, most // self.length) * self.sequence))


@dataclass(frozen=True)
class Need:
    """What comes beside that which is there when a run begins, in bytes.

    Args:
        states: gradients and the optimiser's.
        passed: what training keeps for gradients.
        saved: what a checkpoint is laid out in.
        sampling: what writing takes.
        copies: of weights, to go back to.
        at_once: it writes while it learns.
    """

    states: int
    passed: Pass
    saved: int
    sampling: int = 0
    copies: int = 0
    at_once: bool = False

    def total(self, tokens: int | None = None) -> int:
        """At the peak, with at most so many tokens in a microbatch: it writes, learns and saves in turn."""
        passed = self.passed.bytes(tokens) + self.sampling * self.at_once
        return self.states + self.copies + max(passed, self.sampling, self.saved)


@dataclass(frozen=True)
class Longest:
    """The longest sequence of a run, and how much of it is read at once.

    Args:
        prompt: its tokens.
        completion: likewise.
        tokens: in the largest microbatch.
        least: tokens of the largest part of one that is never cut, if that is more than one sequence.
        vocabulary: of the head that tells the completion's tokens; 0: none does.
    """

    prompt: int
    completion: int
    tokens: int
    least: int = 0
    vocabulary: int = 0


def need_of(
    forward: Callable[[TokenBatch], Tensor],
    optimisers: Sequence[GuardedOptimiser],
    models: Sequence[nn.Module],
    longest: Longest,
    sampling: int = 0,
    copies: int = 0,
    at_once: bool = False,
) -> Need:
    """What training needs. Sequences longer than a few hundred tokens are reckoned from shorter ones.

    Args:
        forward: from sequences to what a gradient can be taken of.
        optimisers: of all that is trained.
        models: whose weights are there already, the first of them the one that is trained.
    """
    weights = {value.untyped_storage().data_ptr() for model in models for value in model.parameters()}
    length = max(2, longest.prompt + longest.completion)
    told = max(1, min(length - 1, longest.completion))

    def kept(count: int, tokens: int) -> int:
        completion = max(1, min(tokens - 1, round(tokens * told / length)))
        # no two prompts alike, which would be read once
        prompts = [[1 + number] * (tokens - completion) for number in range(count)]
        batch = make_batch(prompts, [[1] * completion] * count).to(next(models[0].parameters()).device)
        return _kept(forward, batch, weights)

    if length > PROBED:
        fixed, sequence = _reckoned([kept(1, tokens) for tokens in (PROBED // 4, PROBED // 2, PROBED)], length)
    else:
        one = kept(1, length)
        sequence = max(0, kept(2, length) - one) if longest.tokens >= 2 * length else one
        fixed = max(0, one - sequence)
    tokens = max(length, longest.tokens)
    logits = 4 * told * longest.vocabulary  # in fp32
    if packed_row(models[0], make_batch([[1]], [[1]]).to(next(models[0].parameters()).device)) is None:
        sequence += 2 * logits  # the pass backward makes them twice more
    else:
        fixed += min(KEPT_BYTES, logits * (tokens // length))
    trained = [value for each in optimisers for value in each.parameters]
    states = sum(each.memory() for each in optimisers) + bytes_of(trained)
    passed = Pass(fixed, sequence, length, tokens, max(length, longest.least))
    return Need(states, passed, states, sampling, copies, at_once)


def _reckoned(found: Sequence[int], length: int) -> tuple[int, int]:
    """What is kept whatever the length, and what for a sequence of this one: parts grow with it and with its square."""
    low, middle, high = found
    slopes = (middle - low) / (PROBED / 4), (high - middle) / (PROBED / 2)
    square = max(0.0, (slopes[1] - slopes[0]) / (PROBED * 3 / 4))
    line = max(0.0, slopes[1] - square * PROBED * 3 / 2)
    fixed = max(0.0, high - line * PROBED - square * PROBED**2)
    return int(fixed), int(line * length + square * length**2)


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


def vocabulary_of(model: nn.Module) -> int:
    """How many tokens its head tells."""
    head = base_model(model).get_output_embeddings()
    return 0 if head is None else int(head.weight.shape[0])


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """All of them together."""
    return sum(table.numel() * table.element_size() for table in tensors)


def require_memory(
    name: str, memory: Callable[[], Need], device: torch.device, limit: float | None, progress: Progress
) -> None:
    """Say what a run will need.

    Args:
        name: of the run.
        memory: finds it out.
        limit: GiB that it may take beside what is there; none: what is free.

    Raises:
        SettingsError: it is more than that; the message says what would fit.
    """
    free = free_memory(device) if limit is None else int(limit * GIB)
    try:
        need = memory()
    except torch.OutOfMemoryError as error:
        raise SettingsError(
            f"{name}: not even a pass over a few hundred tokens fits into the device's memory",
            "train an adapter (model.lora.rank), or a smaller model",
        ) from error
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
    while tokens // 2 >= max(SMALLEST, need.passed.least):
        tokens //= 2
        if need.total(tokens) <= free:
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
