"""Check of the compiled kernels: they can be compiled here, which is done once and kept, and are taken."""

from __future__ import annotations

import time

from assent.cli.findings import Finding


def check_kernels() -> Finding:
    """A small model is trained and written with as in a run, so that what a run needs is compiled by then."""
    from assent.kernels import missing

    if (reason := missing()) is not None:
        return Finding("kernels", "warn", f"none, plain torch does it more slowly: {reason}", "pip install numba")
    started = time.perf_counter()
    quick = _exercise()
    seconds = time.perf_counter() - started
    if not quick:
        return Finding("kernels", "warn", "compiled, but a plain Llama is not written by quick steps here")
    return Finding("kernels", "ok", f"compiled and kept ({seconds:.1f} s)")


def _exercise() -> bool:
    """Every kernel in the precisions that training and sampling have; whether quick steps are taken."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from assent.config.settings import ComputeSettings
    from assent.functional.batching import make_batch
    from assent.models.policy import completion_logprobs
    from assent.models.slots import steps_quickly
    from assent.rollouts.local import LocalGenerator
    from assent.training.precision import fast_products, has_bf16
    from assent.types.protocols import SamplingParams
    from assent.types.rollout import GenerationRequest

    device = torch.device("cpu")
    shape = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(LlamaConfig(vocab_size=100, max_position_embeddings=64, **shape))
    batch = make_batch([[5, 6, 7]] * 4 + [[8]], [[9], [10, 11], [12], [13, 14, 15], [16]])
    for precision in ("float32", "bfloat16") if has_bf16(device) else ("float32",):
        with fast_products(ComputeSettings(precision=precision), device):
            for watched in ("none", "train"):
                logprobs, entropy = completion_logprobs(model, batch, 1.0, watched)
                total = logprobs.sum() if entropy is None else logprobs.sum() + entropy.sum()
                total.backward()  # type: ignore[no-untyped-call]
        generator = LocalGenerator(model, [0], lambda: "", bf16=precision == "bfloat16")
        generator.generate([GenerationRequest([5, 6, 7], 3)], SamplingParams(1.0, 4), 0)
    return steps_quickly(model)
