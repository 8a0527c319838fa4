"""Loading and saving causal language models and their tokenizers, with errors that say what is wrong where."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import nn

from assent.config.settings import ShapeSettings
from assent.types.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PLAIN_ATTENTION_CONTEXT = 512  # up to which a CPU is quicker with plain matrix products than with its flash kernel


def load_tokenizer(path: str | Path, revision: str | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint (local directory or hub id). Remote code is never run.

    Raises:
        ModelError: no usable tokenizer there, or one without an end token.
    """
    from transformers import AutoTokenizer

    _check_local(path)
    if Path(path).is_dir() and not any(Path(path).glob("tokenizer*")) and not any(Path(path).glob("vocab*")):
        raise ModelError(
            f"{path}: has no tokenizer files (tokenizer.json, tokenizer.model or vocab files)",
            "save the tokenizer beside the weights: tokenizer.save_pretrained(DIR)",
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path), revision=revision, trust_remote_code=False)
    except Exception as error:
        raise ModelError(f"{path}: its tokenizer cannot be loaded: {_first_line(error)}", _hub_hint(path)) from error
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"{path}: its tokenizer has no end-of-sequence token, so completions could never end",
            "set tokenizer.eos_token and save the tokenizer again",
        )
    return tokenizer


def load_causal_lm(
    path: str | Path, dtype: str = "float32", revision: str | None = None, tokenizer: Any = None
) -> PreTrainedModel:
    """A causal language model with dropout off, in the dtype asked for.

    Raises:
        ModelError: no checkpoint there, damaged weights, weights that do not fit the config, or a tokenizer with
            more entries than the model has embeddings.
    """
    from transformers import AutoModelForCausalLM

    model = load_weights(AutoModelForCausalLM, path, dtype=DTYPES[dtype], revision=revision)
    if tokenizer is not None:
        check_vocabulary(model, tokenizer, path)
    disable_dropout(model)
    return model


def load_weights(cls: Any, path: str | Path, new_heads: bool = False, **options: Any) -> PreTrainedModel:
    """`cls.from_pretrained`, safetensors only, with what can go wrong said plainly.

    Args:
        new_heads: weights missing from the file are expected (a fresh head); otherwise they are an error.
    """
    _check_local(path)
    if Path(path).is_dir() and not any(Path(path).glob("*.safetensors*")):
        raise ModelError(
            f"{path}: holds no safetensors weights",
            "only safetensors are read (pickled .bin files can run code): model.save_pretrained(DIR)",
        )
    quiet = logging.getLogger("transformers.modeling_utils")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        model, info = cls.from_pretrained(
            str(path), output_loading_info=True, use_safetensors=True, trust_remote_code=False, **options
        )
    except SafetensorError as error:
        raise ModelError(f"{path}: its weights file is damaged: {_first_line(error)}", "copy it again") from error
    except Exception as error:
        raise ModelError(f"{path}: the model cannot be loaded: {_first_line(error)}", _hub_hint(path)) from error
    finally:
        quiet.setLevel(level)
    missing = sorted(info["missing_keys"])
    if missing and not new_heads:
        raise ModelError(f"{path}: {len(missing)} weights are missing from the checkpoint, e.g. {missing[0]}")
    if info["mismatched_keys"]:
        raise ModelError(f"{path}: weights do not fit the config, e.g. {next(iter(info['mismatched_keys']))}")
    return choose_attention(model)


def choose_attention(model: PreTrainedModel) -> PreTrainedModel:
    """The same model with the attention that suits short contexts, where there is no GPU.

    The backward pass of torch's flash kernel for CPUs is slow there; long sequences need it, as plain products hold a
    weight for every pair of positions.
    """
    if not torch.cuda.is_available() and context_length(model) <= PLAIN_ATTENTION_CONTEXT:
        model.set_attn_implementation("eager")
    return model


def build_llama(shape: ShapeSettings, tokenizer: PreTrainedTokenizerBase, seed: int) -> PreTrainedModel:
    """A Llama-shaped model with seeded random weights, embeddings tied."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return choose_attention(LlamaForCausalLM(config))


def disable_dropout(model: nn.Module) -> None:
    """Dropout would make the policy differ from the one that sampled: all of it off, for good."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name in ("attention_dropout", "attn_dropout", "dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def check_vocabulary(model: PreTrainedModel, tokenizer: Any, path: str | Path) -> None:
    """Raises ModelError if the tokenizer can give ids that the model has no embedding for."""
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ModelError(
            f"{path}: vocabulary mismatch: the tokenizer has {len(tokenizer)} entries, the model {rows} embeddings",
            "use the tokenizer the model was trained with, or call model.resize_token_embeddings(len(tokenizer))",
        )


def cache_bytes(config: Any, size: int) -> int:
    """Of one token's keys and values in all layers, each number of so many bytes."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * int(config.num_hidden_layers) * int(heads) * int(width) * size


def context_length(model: PreTrainedModel) -> int:
    """Longest sequence in tokens that the model takes."""
    for name in ("max_position_embeddings", "n_positions", "n_ctx"):
        if isinstance(value := getattr(model.config, name, None), int):
            return value
    raise ModelError(f"{model.config.name_or_path}: its config names no context length (max_position_embeddings)")


def stop_ids(model: PreTrainedModel, tokenizer: Any) -> tuple[int, ...]:
    """Tokens that end a completion: the tokenizer's end token first, then what the generation config adds."""
    found = [int(tokenizer.eos_token_id)]
    extra = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    for token in extra if isinstance(extra, list) else [extra]:
        if token is not None and int(token) not in found:
            found.append(int(token))
    return tuple(found)


def _check_local(path: str | Path) -> None:
    looks_local = isinstance(path, Path) or str(path).startswith((".", "/", "~")) or str(path).count("/") > 1
    if looks_local and not Path(path).exists():
        raise ModelError(f"{path}: no such directory", "check model.path")
    if Path(path).is_dir() and not (Path(path) / "config.json").exists():
        raise ModelError(f"{path}: is no transformers checkpoint (it has no config.json)", "check model.path")


def _hub_hint(path: str | Path) -> str:
    return "" if Path(path).exists() else "it is no local directory; as a hub id it needs the network and a valid name"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
