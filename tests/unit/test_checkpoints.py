from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.checkpoints import CONTEXT, SHAPES, Shape, build_checkpoint


@pytest.mark.parametrize("shape", SHAPES)
def test_checkpoint_loads_as_any_other(shape: Shape, checkpoint: Callable[[Shape], Path]) -> None:
    folder = checkpoint(shape)
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.config.model_type == shape
    assert tokenizer.eos_token_id is not None
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)
    text = "Grüße: bleach & 漂白剂"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids) == text
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits
    assert logits.shape == (1, len(ids), len(tokenizer))
    assert torch.isfinite(logits).all()
    assert checkpoint(shape) == folder


def test_same_seed_builds_the_same_weights(tmp_path: Path) -> None:
    first = build_checkpoint(tmp_path / "a", "llama") / "model.safetensors"
    again = build_checkpoint(tmp_path / "b", "llama") / "model.safetensors"
    other = build_checkpoint(tmp_path / "c", "llama", seed=1) / "model.safetensors"
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()


def test_a_tokenizer_may_lack_its_end_token(tmp_path: Path) -> None:
    folder = build_checkpoint(tmp_path, "gpt2", end=None, pad=None)
    assert AutoTokenizer.from_pretrained(folder).eos_token_id is None


def test_the_context_is_as_asked(checkpoint: Callable[[Shape], Path]) -> None:
    assert AutoTokenizer.from_pretrained(checkpoint("qwen3")).model_max_length == CONTEXT
