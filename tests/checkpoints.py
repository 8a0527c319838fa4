"""Tiny checkpoints of the three architectures that are tested, as a user would have them on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerFast

Shape = Literal["llama", "qwen3", "gpt2"]
SHAPES: tuple[Shape, ...] = ("llama", "qwen3", "gpt2")
CONTEXT = 128
HIDDEN = 64

TEXTS = (
    "Question: What is the safest way to store bleach?\nAnswer: Keep it in its own bottle, closed, out of reach.",
    "Question: May I mix vinegar and bleach?\nAnswer: No. The two together give off a gas that harms the lungs.",
    "Question: How do I clean a window?\nAnswer: Use warm water with a drop of soap, then wipe it dry.",
    "Numbers are 0 1 2 3 4 5 6 7 8 9, and then there are ten, twenty and one hundred.",
)


def build_checkpoint(
    folder: Path,
    shape: Shape,
    texts: Sequence[str] = TEXTS,
    *,
    context: int = CONTEXT,
    hidden: int = HIDDEN,
    layers: int = 2,
    vocab_size: int = 400,
    end: str | None = "<|end|>",
    pad: str | None = "<|pad|>",
    chat_template: str | None = None,
    seed: int = 0,
) -> Path:
    """Save a tiny randomly initialised model and a byte-level BPE tokenizer; returns the folder.

    It loads with `AutoModelForCausalLM` and `AutoTokenizer`. `end=None` and `pad=None` leave that token out, as some
    published tokenizers do. Dropout is on where the architecture has it (GPT-2), as published checkpoints have it.
    """
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = build_tokenizer(texts, vocab_size, context, end, pad)
    tokenizer.chat_template = chat_template
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(_config(shape, tokenizer, context, hidden, layers))
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def build_tokenizer(
    texts: Sequence[str], vocab_size: int, context: int, end: str | None, pad: str | None
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer trained on these texts, so any text round-trips."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[token for token in (end, pad) if token is not None],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    special = {"eos_token": end, "pad_token": pad}
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        model_max_length=context,
        **{name: token for name, token in special.items() if token is not None},
    )


def _config(
    shape: Shape, tokenizer: PreTrainedTokenizerFast, context: int, hidden: int, layers: int
) -> PretrainedConfig:
    from transformers import GPT2Config, LlamaConfig, Qwen3Config

    common = {
        "vocab_size": len(tokenizer),
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if shape == "gpt2":
        return GPT2Config(n_positions=context, n_embd=hidden, n_layer=layers, n_head=4, **common)
    grouped = {
        "max_position_embeddings": context,
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    if shape == "qwen3":
        return Qwen3Config(**grouped, head_dim=hidden // 4, tie_word_embeddings=True, **common)
    return LlamaConfig(**grouped, tie_word_embeddings=False, **common)
