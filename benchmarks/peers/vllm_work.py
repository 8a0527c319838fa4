"""One run of generation by vLLM: `python -m benchmarks.peers.vllm_work generate S`, in the environment of `make vllm`.

In process, without its compiler (which takes longer than it saves at these sizes), no log-probabilities asked for.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")  # as many threads as the other side has
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")

from benchmarks.peers.ground import DATA, MAX_NEW, Clock, emit, rows


def generate(model: str, dtype: str = "bfloat16", repeats: int = 4) -> None:
    """64 ragged prompts, one completion each."""
    from vllm import LLM, SamplingParams

    engine = LLM(
        model=str(DATA / model / "policy"),
        dtype=dtype,
        max_model_len=2048,
        max_num_seqs=64,
        enforce_eager=True,
        enable_prefix_caching=False,
        disable_log_stats=True,
    )
    tokenizer = engine.get_tokenizer()
    prompts = [{"prompt_token_ids": tokenizer(row["prompt"])["input_ids"]} for row in rows(model, "prompts", 64)]
    tokens = 0
    with Clock() as clock:
        for number in range(repeats):
            params = [
                SamplingParams(
                    temperature=1.0, max_tokens=MAX_NEW, seed=64 * number + place, stop_token_ids=[2], detokenize=False
                )
                for place in range(len(prompts))
            ]
            if number == 0:
                with clock.aside():
                    engine.generate(prompts, params, use_tqdm=False)
                continue
            found = engine.generate(prompts, params, use_tqdm=False)
            tokens += sum(len(each.outputs[0].token_ids) for each in found)
    emit(tokens, clock)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
