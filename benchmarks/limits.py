"""What this machine can do at most, measured: matrix products a second, and bytes read a second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

_SIZE, _REPEATS = 2048, 7


@dataclass(frozen=True)
class Limits:
    """Of all threads together."""

    flops: float  # of bf16 matrix products where the chip has them, else of fp32 ones, a second
    bytes: float  # read a second


def limits_of(device: torch.device, dtype: torch.dtype) -> Limits:
    """Measure both, medians of several runs."""
    a, b = (torch.randn(_SIZE, _SIZE, device=device).to(dtype) for _ in range(2))
    table = torch.randn(2**26, device=device)
    product = _median(lambda: (a @ b).sum().item())
    read = _median(lambda: table.sum().item())
    return Limits(2.0 * _SIZE**3 / product, table.numel() * table.element_size() / read)


def _median(run: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds[1:])


def flops_of(work: str, shape: dict[str, int], amount: float) -> float:
    """Floating-point operations that matrix products with the weights take at least for this work, attention left out.

    Prompts that several completions share count once. Lengths are those of `benchmarks.peers.ground`.
    """
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    keys = hidden // shape["num_attention_heads"] * shape["num_key_value_heads"]
    layers = shape["num_hidden_layers"] * (2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * inner)
    head = hidden * shape["vocab_size"]
    prompt, completion, pair = 48.0, 22.0, (28.5, 136.0)  # mean tokens
    token, told = 2.0 * layers, 2.0 * head  # of one pass; training takes three
    by_work = {
        "sft": 3 * (token + told),
        "reward": 3 * token * sum((2 * pair[0], pair[1])),
        "dpo": 4 * (token * (2 * pair[0] + pair[1]) + told * pair[1]),
        "generate": token * (prompt + completion) / completion + told,
        "grpo": token * (prompt / 8 + completion) * 4 + told * completion * 4,
        # sampling, the policy's, the reference's, the value's and the reward's pass, and two epochs of policy and value
        "ppo": token * (prompt + completion) * (1 + 4 + 2 * 2 * 3) + told * completion * (1 + 2 + 2 * 3),
    }
    by_work["rloo"] = by_work["grpo"]
    return by_work[work] * amount
