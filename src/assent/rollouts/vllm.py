"""A generator that writes with vLLM in the trainer's process, and takes over the trainer's weights in place each time.

vLLM has kernels for a GPU, a paged cache and many families of models. What it samples is a little off from what the
trainer computes, as its arithmetic is another: `mismatch_kl` in every step's figures says how far. That it computes the
same model at all, with the weights as they are now, is tried whenever it takes them over.
"""

from __future__ import annotations

import copy
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import util
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from assent.models.loading import cache_bytes, context_length
from assent.models.packed import base_model
from assent.models.shadow import plain_weights
from assent.rollouts.requests import room_behind
from assent.types.errors import ModelError, SettingsError
from assent.types.protocols import SamplingParams
from assent.types.rollout import FinishReason, Generation, GenerationRequest
from assent.types.seeds import derive_seed

# In the trainer's process, on the threads that it was given, without a word to anybody.
_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
_TRIED = 16  # tokens that are compared
_NEAR = {"float32": 1e-3, "bfloat16": 0.2}  # nats on average; a stale head is off by half a nat
_COLDEST = 0.01  # vLLM raises lower temperatures to this one
_GIB = 2**30
_CACHE_ASKED_FOR = "VLLM_CPU_KVCACHE_SPACE" in os.environ


def require_vllm() -> None:
    """Refuse if it is not here.

    Raises:
        SettingsError: it is not installed.
    """
    if util.find_spec("vllm") is None:
        raise SettingsError(
            'sampling.generator is "vllm", and vLLM is not installed here',
            "pip install 'assent[vllm]' (docs/vllm.md), or sampling.generator = \"local\"",
        )


class VLLMGenerator:
    """Samples from a transformers causal LM, or one with a LoRA adapter, whose weights are the ones that are used.

    Log-probabilities are those of the distribution that is sampled, over the temperature. The same seed gives the same
    tokens, as far as vLLM's arithmetic does not depend on what it computes together.

    Args:
        model: the policy; it may be trained on between calls.
        stop_ids: tokens that end a completion (kept as its last token).
        version: called at each `generate`, names the weights in use.
        batch_size: sequences written together.
        on_row: told after each step how many rows are finished, and of how many.
        dtype: of vLLM's copy of the weights, and of its products.
        memory: on a GPU the share of its memory that vLLM may take for its copy and its cache.
    """

    def __init__(
        self,
        model: nn.Module,
        stop_ids: Sequence[int],
        version: Callable[[], str],
        batch_size: int = 256,
        on_row: Callable[[int, int], None] | None = None,
        dtype: Literal["float32", "bfloat16"] = "float32",
        memory: float = 0.4,
    ) -> None:
        self.model: Any = model
        self.stop_ids = frozenset(stop_ids)
        self._version = version
        self._on_row = on_row
        self._context = context_length(self.model)
        self._held: str | None = None  # the version of the weights that are held
        self._engine = _Engine(self.model, self._context, batch_size, dtype, memory)

    @property
    def policy_version(self) -> str:
        """Artifact and step whose weights are in use."""
        return self._version()

    def generate(self, requests: Sequence[GenerationRequest], sampling: SamplingParams, seed: int) -> list[Generation]:
        """All continuations, ordered by request, then by sample.

        Greedy ones have their log-probabilities at temperature 1.

        Raises:
            ValueError: an empty prompt, or one that leaves no room for a single token.
            ModelError: vLLM cannot run this model, or does not say the same as it.
            SettingsError: a temperature that vLLM would not keep to.
        """
        if not sampling.greedy and sampling.temperature < _COLDEST:
            raise SettingsError(
                f"sampling.temperature is {sampling.temperature}, and vLLM writes at {_COLDEST} or more",
                'raise it, or take sampling.generator = "local"',
            )
        asked = []
        for index, request in enumerate(requests):
            room = room_behind(index, request.prompt_ids, self._context)
            asked += [_Row(index, request.prompt_ids, min(sampling.max_new_tokens, room)) for _ in range(request.n)]
        version = self._held or self.policy_version
        with _own_chance():
            if self._held is None:
                self._engine.take_over()
            self._engine.write(asked, sampling, sorted(self.stop_ids), seed, self._tell)
        return [Generation(row.request, row.tokens, row.logprobs, self._reason(row), version) for row in asked]

    def hold(self) -> None:
        """vLLM's weights are its own: they are taken over once."""
        with _own_chance():
            self._engine.take_over()
        self._held = self.policy_version

    def release(self) -> None:
        """They are taken over anew at each call again."""
        self._held = None

    def memory(self, rows: int, tokens: int, held: bool) -> int:
        """The share that vLLM is given and has not taken yet; it looks after itself then."""
        return self._engine.wanted()

    def _reason(self, row: _Row) -> FinishReason:
        if row.tokens[-1] in self.stop_ids:
            return FinishReason.STOP
        full = len(row.prompt) + len(row.tokens) >= self._context
        return FinishReason.CONTEXT if full else FinishReason.LENGTH

    def _tell(self, finished: int, total: int) -> None:
        if self._on_row is not None:
            self._on_row(finished, total)


@dataclass
class _Row:
    request: int
    prompt: Sequence[int]
    limit: int  # tokens it may write
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)


class _Engine:
    """vLLM with a copy of one model. A process has one at a time: the newest shape of model that was asked for."""

    _made: tuple[Any, Any] | None = None  # what it was made for, and it

    def __init__(self, model: Any, context: int, batch_size: int, dtype: str, memory: float) -> None:
        require_vllm()
        os.environ.update({name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()})
        with _own_chance():
            import vllm
        self._vllm = vllm
        self._model, self._context, self._batch_size = model, context, batch_size
        self._dtype, self._memory = dtype, memory

    def take_over(self) -> None:
        """The weights as they are now; then a few tokens are told by both.

        Raises:
            ModelError: vLLM cannot run this model, or does not say the same as it.
        """
        engine = self._llm()
        engine.reset_prefix_cache()
        tied = bool(getattr(base_model(self._model).config, "tie_word_embeddings", False))
        with torch.no_grad():
            weights = plain_weights(self._model).items()
            named = [(name, weight) for name, weight in weights if not (tied and name == "lm_head.weight")]
            with self._named():
                engine.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(named)})
                engine.apply_model(_lay_out_heads)
                gap = self._gap()
        if not gap <= _NEAR[self._dtype]:
            raise ModelError(
                f"vLLM does not say the same as {type(base_model(self._model)).__name__}: log-probabilities lie "
                f"{gap:.3g} nats apart",
                'sampling.generator = "local"',
            )

    def write(
        self,
        rows: Sequence[_Row],
        sampling: SamplingParams,
        stop_ids: Sequence[int],
        seed: int,
        tell: Callable[[int, int], None],
    ) -> None:
        """Fill in the rows' tokens and log-probabilities."""
        engine = self._llm().llm_engine
        for place, row in enumerate(rows):
            params = self._vllm.SamplingParams(
                temperature=0.0 if sampling.greedy else sampling.temperature,
                max_tokens=row.limit,
                seed=derive_seed(seed, place),
                logprobs=0,
                stop_token_ids=list(stop_ids),
                ignore_eos=True,
                detokenize=False,
            )
            engine.add_request(str(place), {"prompt_token_ids": list(row.prompt)}, params)
        finished = 0
        try:
            while engine.has_unfinished_requests():
                for output in engine.step():
                    if output.finished:
                        found, row = output.outputs[0], rows[int(output.request_id)]
                        row.tokens = list(found.token_ids)
                        row.logprobs = [at[token].logprob for at, token in zip(found.logprobs, row.tokens, strict=True)]
                        finished += 1
                tell(finished, len(rows))
        except BaseException:
            _end()  # what is half written must not be given to those who ask next
            raise

    def wanted(self) -> int:
        """Bytes that it will take when it begins; 0 if it has begun."""
        if _Engine._made is not None:
            return 0
        weight = next(self._model.parameters())
        if weight.device.type == "cuda":
            return int(self._memory * torch.cuda.mem_get_info(weight.device)[1])
        size = 4 if self._dtype == "float32" else 2
        return self._cache_gib() * _GIB + size * int(sum(value.numel() for value in self._model.parameters()))

    def _llm(self) -> Any:
        made_for = (self._shape(), self._context, self._batch_size, self._dtype, self._memory)
        if _Engine._made is None or _Engine._made[0] != made_for:
            _end()
            _Engine._made = (made_for, self._begun())
        return _Engine._made[1]

    def _shape(self) -> str:
        return str(base_model(self._model).config.to_json_string())

    def _begun(self) -> Any:
        base = base_model(self._model)
        on_cpu = next(base.parameters()).device.type == "cpu"
        if on_cpu and not _CACHE_ASKED_FOR:
            os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(self._cache_gib())
        config = copy.deepcopy(base.config)
        config.architectures = [type(base).__name__]
        config.dtype = self._dtype
        with tempfile.TemporaryDirectory(prefix="assent-vllm-") as folder:
            config.save_pretrained(folder)
            with self._named(), _unseen("llvmlite.binding.ffi"), _threads_kept():
                return self._vllm.LLM(
                    model=folder,
                    skip_tokenizer_init=True,
                    load_format="dummy",  # the weights come from the trainer
                    dtype=self._dtype,
                    max_model_len=self._context,
                    max_num_seqs=self._batch_size,
                    logprobs_mode="processed_logprobs",
                    enforce_eager=on_cpu,
                    enable_prefix_caching=True,
                    disable_log_stats=True,
                    **({} if on_cpu else {"gpu_memory_utilization": self._memory}),
                )

    @contextmanager
    def _named(self) -> Iterator[None]:
        """What vLLM objects to, as an error that says whose model it was; it is begun anew if it is asked again."""
        try:
            yield
        except (ValueError, RuntimeError, NotImplementedError, AssertionError, KeyError, TypeError) as error:
            _end()
            name = type(base_model(self._model)).__name__
            raise ModelError(f"vLLM cannot run this {name}: {error}", 'sampling.generator = "local"') from error

    def _cache_gib(self) -> int:
        """Room for a whole batch of the longest sequences, at most 4 GiB: what does not fit has to wait."""
        each = cache_bytes(base_model(self._model).config, 4 if self._dtype == "float32" else 2)
        whole = each * self._context * self._batch_size
        return int(max(1, min(4, -(-whole // _GIB))))

    @torch.no_grad()
    def _gap(self) -> float:
        """The mean difference in nats between vLLM's log-probabilities of what it writes and the model's own."""
        base = base_model(self._model)
        tokens = base.get_input_embeddings().weight.shape[0]
        prompt = [number % tokens for number in range(1, 6)][: max(1, self._context - _TRIED)]
        row = _Row(0, prompt, min(_TRIED, self._context - len(prompt)))
        self.write([row], SamplingParams(1.0, _TRIED), [], 0, lambda finished, total: None)
        ids = torch.tensor([[*prompt, *row.tokens]], device=next(base.parameters()).device)
        was = self._model.training
        self._model.eval()
        logits: Tensor = self._model(input_ids=ids, use_cache=False).logits[0].float()
        self._model.train(was)
        exact = logits.log_softmax(-1)[len(prompt) - 1 : -1].gather(-1, ids[0, len(prompt) :, None])[:, 0]
        return float((exact.cpu() - torch.tensor(row.logprobs)).abs().mean())


def _lay_out_heads(model: nn.Module) -> None:
    """On a CPU vLLM keeps a copy of a tied head as its products want it, which new weights do not reach."""
    for module in model.modules():
        if type(module).__name__ == "ParallelLMHead" and hasattr(module, "cpu_linear"):
            from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm

            dispatch_cpu_unquantized_gemm(module, remove_weight=False)


def _end() -> None:
    """Let go of the engine that there is, or of what there is of one, and of its memory."""
    made, _Engine._made = _Engine._made, None
    if made is not None:
        made[1].llm_engine.engine_core.shutdown()
    del made
    from vllm.distributed import cleanup_dist_env_and_memory

    cleanup_dist_env_and_memory()


@contextmanager
def _unseen(name: str) -> Iterator[None]:
    """vLLM 0.32 looks through all modules for its kernels, and falls over one that has whatever one asks it for."""
    module = sys.modules.pop(name, None)
    try:
        yield
    finally:
        if module is not None:
            sys.modules[name] = module


@contextmanager
def _threads_kept() -> Iterator[None]:
    """On a CPU vLLM puts a function that does nothing in the place of the one that sets torch's threads."""
    setting = torch.set_num_threads
    try:
        yield
    finally:
        torch.set_num_threads = setting


@contextmanager
def _own_chance() -> Iterator[None]:
    """vLLM seeds everybody's random numbers when it begins, and draws some of them."""
    before, arrays = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(before)
            np.random.set_state(arrays)
