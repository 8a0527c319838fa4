"""Shared ground: deterministic tokenizers, random-weight models, texts, and the line of JSON that each run prints.

`python -m benchmarks.peers.ground` writes everything under $ASSENT_BENCH_DATA once; both sides then read the same
files, so that they get the same weights, texts, batch sizes and seeds.

    S  Llama, hidden 256, 4 layers, 4 heads, vocabulary 4,096, untied, about 5.3M parameters
    M  Llama, hidden 576, 30 layers, 9 heads and 3 for keys, vocabulary 49,152, tied, 134.5M (the shape of SmolLM-135M)

Each has a `policy`, and a `reward` and a `value` model (sequence classifiers with one label). The end token is given a
constant bias through hidden dimension 0, so that the mean chance of stopping is 1/24 a step: completions have geometric
lengths of mean 22 or so, cut at 64. Prompts have 32 to 64 tokens; texts for fine-tuning, rewards and DPO are log-normal
with mean 96, at most 256.
"""

from __future__ import annotations

import json
import math
import os
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("ASSENT_BENCH_DATA") or Path(tempfile.gettempdir()) / "assent-bench" / "data")
SEED = 1234
MEAN_COMPLETION, MAX_NEW = 24, 64
SHAPES: dict[str, dict[str, Any]] = {
    "S": {
        "hidden_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "intermediate_size": 688,
        "vocab_size": 4096,
        "tie_word_embeddings": False,
    },
    "M": {
        "hidden_size": 576,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
    },
}
# Items of one timed run, so that it stays under about two minutes.
ITEMS = {"S": {"sft": 512, "reward": 512, "dpo": 256}, "M": {"sft": 96, "reward": 48, "dpo": 32}}
BATCH = 16
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
ONSETS = (*"bcdfghjklmnprstvwz", "br", "ch", "cl", "dr", "fl", "gr", "pl", "pr", "sh", "sl", "st", "th", "tr")
VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "ou"]


def rows(model: str, name: str, count: int | None = None) -> list[dict[str, str]]:
    """The texts of one kind: sft, pairs or prompts."""
    lines = (DATA / model / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:count]]


class Clock:
    """Wall and CPU seconds of a stretch, and how many cores other processes took meanwhile."""

    def __enter__(self) -> Clock:
        self._begun, self._cpu, self._busy = time.perf_counter(), time.process_time(), _busy()
        self._aside = 0.0
        return self

    def __exit__(self, *_: object) -> None:
        whole = time.perf_counter() - self._begun
        self.wall = whole - self._aside
        self.cpu = time.process_time() - self._cpu
        self.others = max(0.0, (_busy() - self._busy - self.cpu) / whole)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What happens inside is not counted: both sides leave out their first step, in which much is done once."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._aside += time.perf_counter() - begun


def _busy() -> float:
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def emit(amount: float, clock: Clock, **more: Any) -> None:
    """Print the result: how much was done, in what time, and the most memory that it took."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"amount": amount, "seconds": clock.wall, "cpu_seconds": clock.cpu, "others_cores": clock.others}
    print("RESULT " + json.dumps({**figures, "peak_mb": round(peak), **more}), flush=True)


def build(name: str) -> None:
    """Write one size's models and texts."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast

    shape, big = SHAPES[name], name == "M"
    words = _lexicon(60_000 if big else 6_000)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    chance = random.Random(11)
    lines = (" " + " ".join(chance.sample(words, 50)) for _ in range(4000 if big else 400))
    trainer = trainers.BpeTrainer(
        vocab_size=shape["vocab_size"],
        special_tokens=["<pad>", "<bos>", "<eos>"],
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(lines, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        model_max_length=2048,
        padding_side="left",
    )
    config = {"max_position_embeddings": 2048, "rope_theta": 10000.0, "attention_bias": False, **shape, **SPECIAL}
    writer = _Writer(tokenizer, words)
    torch.manual_seed(SEED)
    policy = LlamaForCausalLM(LlamaConfig(**config))
    probe = torch.tensor([tokenizer.encode(writer.text(48)).ids for _ in range(32)])
    _calibrate(policy, probe, shape["tie_word_embeddings"])
    policy.save_pretrained(DATA / name / "policy")
    fast.save_pretrained(DATA / name / "policy")
    for number, kind in enumerate(("reward", "value")):
        torch.manual_seed(SEED + 1 + number)
        LlamaForSequenceClassification(LlamaConfig(num_labels=1, **config)).save_pretrained(DATA / name / kind)
        fast.save_pretrained(DATA / name / kind)
    _write(name, "sft", [{"text": writer.text(writer.length(96, 8, 255))} for _ in range(512)])
    pairs = []
    for _ in range(512):
        prompt = writer.chance.randint(16, 40)
        chosen, rejected = (writer.length(68, 4, 255 - prompt) for _ in range(2))
        pairs.append({"prompt": writer.text(prompt), "chosen": writer.text(chosen), "rejected": writer.text(rejected)})
    _write(name, "pairs", pairs)
    _write(name, "prompts", [{"prompt": writer.text(writer.chance.randint(32, 64))} for _ in range(512)])


def _write(name: str, kind: str, items: list[dict[str, str]]) -> None:
    lines = "".join(json.dumps(item) + "\n" for item in items)
    (DATA / name / f"{kind}.jsonl").write_text(lines, encoding="utf-8")


def _calibrate(policy: Any, probe: Any, tied: bool) -> None:
    """Find the end token's bias: every embedding has 8 in dimension 0, the end token's row of the head more of it."""
    import torch

    low, high = 0.0, 200.0
    for _ in range(18):
        bias = (low + high) / 2
        with torch.no_grad():
            policy.model.embed_tokens.weight[:, 0] = 8.0
            policy.model.norm.weight[0] = 0.02
            if tied:
                policy.model.embed_tokens.weight[2, 0] = 8.0 + bias
            else:
                policy.lm_head.weight[:, 0] = 0.0
                policy.lm_head.weight[2, 0] = bias
            stops = policy(probe).logits[:, 16:].softmax(-1)[..., 2].mean().item()
        low, high = (bias, high) if stops < 1 / MEAN_COMPLETION else (low, bias)


def _lexicon(count: int) -> list[str]:
    chance = random.Random(7)
    found: dict[str, None] = {}
    while len(found) < count:
        syllables = (chance.choice(ONSETS) + chance.choice(VOWELS) for _ in range(chance.choice((1, 2, 2, 3, 3, 4))))
        found["".join(syllables) + chance.choice(("", "", "n", "s", "r"))] = None
    return list(found)


class _Writer:
    """Writes text of an exact number of tokens, its words drawn by a Zipf law."""

    def __init__(self, tokenizer: Any, words: list[str]) -> None:
        self.chance = random.Random(99)
        self._words = words
        self._shares = [1.0 / (rank + 10) for rank in range(len(words))]
        self._tokens = {word: len(tokenizer.encode(" " + word).ids) for word in words}
        self._single = [word for word in words[:2000] if self._tokens[word] == 1]

    def text(self, tokens: int) -> str:
        """So many tokens of it."""
        found = []
        while tokens:
            (word,) = self.chance.choices(self._words, self._shares)
            if self._tokens[word] > tokens:
                word = self.chance.choice(self._single)
            found.append(word)
            tokens -= self._tokens[word]
        return "".join(" " + word for word in found)

    def length(self, mean: float, least: int, most: int, spread: float = 0.6) -> int:
        """Log-normal, in tokens."""
        drawn = self.chance.lognormvariate(math.log(mean) - spread * spread / 2, spread)
        return max(least, min(most, round(drawn)))


if __name__ == "__main__":
    for size in SHAPES:
        build(size)
