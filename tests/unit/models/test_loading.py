from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from assent.config.settings import ShapeSettings
from assent.models.loading import (
    build_llama,
    context_length,
    disable_dropout,
    load_causal_lm,
    load_tokenizer,
    stop_ids,
)
from assent.models.scalar import load_scalar_model
from assent.types.errors import ModelError
from tests.checkpoints import CONTEXT, SHAPES, TEXTS, Shape, build_checkpoint, build_tokenizer

Built = Callable[[Shape], Path]


@pytest.fixture
def copied(checkpoint: Built, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint("llama"), tmp_path / "copy"))


@pytest.mark.parametrize("shape", SHAPES)
def test_dropout_is_off_in_training_mode(shape: Shape, checkpoint: Built) -> None:
    model = load_causal_lm(checkpoint(shape)).train()
    ids = torch.arange(20)[None]
    assert torch.equal(model(ids).logits, model(ids).logits)
    assert all(module.p == 0.0 for module in model.modules() if isinstance(module, nn.Dropout))


def test_gpt2_would_drop_out_if_let(checkpoint: Built) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoint("gpt2")).train()
    ids = torch.arange(20)[None]
    assert not torch.equal(model(ids).logits, model(ids).logits)
    disable_dropout(model)
    assert torch.equal(model(ids).logits, model(ids).logits)


@pytest.mark.parametrize("shape", SHAPES)
def test_context_and_stop_tokens(shape: Shape, checkpoint: Built) -> None:
    model, tokenizer = load_causal_lm(checkpoint(shape)), load_tokenizer(checkpoint(shape))
    assert context_length(model) == CONTEXT
    assert stop_ids(model, tokenizer) == (tokenizer.eos_token_id,)
    model.generation_config.eos_token_id = [9, tokenizer.eos_token_id, 11]
    assert stop_ids(model, tokenizer) == (tokenizer.eos_token_id, 9, 11)


def test_a_model_from_scratch_is_a_function_of_its_seed() -> None:
    tokenizer = build_tokenizer(TEXTS, 320, 64, "<|end|>", None)
    shape = ShapeSettings(hidden_size=32, layers=1, heads=2, intermediate_size=48, context=64)
    first, again, other = (build_llama(shape, tokenizer, seed) for seed in (1, 1, 2))
    assert torch.equal(first.lm_head.weight, again.lm_head.weight)
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)
    assert first.lm_head.weight is first.model.embed_tokens.weight


def test_missing_directory(tmp_path: Path) -> None:
    for load in (load_causal_lm, load_tokenizer, load_scalar_model):
        with pytest.raises(ModelError, match="nowhere: no such directory"):
            load(tmp_path / "nowhere")


def test_directory_without_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_causal_lm(tmp_path)


def test_missing_tokenizer(copied: Path) -> None:
    for file in copied.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ModelError, match="has no tokenizer files"):
        load_tokenizer(copied)


def test_broken_tokenizer(copied: Path) -> None:
    (copied / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="its tokenizer cannot be loaded"):
        load_tokenizer(copied)


def test_tokenizer_without_end_token(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no end-of-sequence token"):
        load_tokenizer(build_checkpoint(tmp_path, "gpt2", end=None, pad=None))


def test_vocabulary_mismatch(copied: Path) -> None:
    tokenizer = load_tokenizer(copied)
    rows = len(tokenizer)
    load_causal_lm(copied, tokenizer=tokenizer)
    tokenizer.add_tokens(["surplus"])
    with pytest.raises(ModelError, match=f"tokenizer has {rows + 1} entries, the model {rows} embeddings"):
        load_causal_lm(copied, tokenizer=tokenizer)


@pytest.mark.parametrize("keep", [0, 5, 100, 0.5, 0.999])
def test_cut_off_weights(copied: Path, keep: float) -> None:
    weights = copied / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: int(keep * len(content)) if keep < 1 else int(keep)])
    with pytest.raises(ModelError, match=r"damaged|cannot be loaded"):
        load_causal_lm(copied)


def test_pickled_weights_are_not_read(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    torch.save({}, copied / "pytorch_model.bin")
    with pytest.raises(ModelError, match="no safetensors weights"):
        load_causal_lm(copied)


def test_weights_that_do_not_fit_the_config(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(ModelError, match="weights are missing"):
        load_causal_lm(copied)
    (copied / "config.json").write_text(json.dumps({**config, "intermediate_size": 40}))
    with pytest.raises(ModelError, match=r"cannot be loaded|do not fit"):
        load_causal_lm(copied)


def test_a_causal_model_is_no_reward_model(checkpoint: Built) -> None:
    with pytest.raises(ModelError, match=r"1 weights are missing.*score\.weight"):
        load_scalar_model(checkpoint("llama"))


def test_a_model_that_brings_its_own_code_is_not_run(copied: Path, tmp_path: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}}
    (copied / "config.json").write_text(json.dumps(config))
    (copied / "mine.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_causal_lm(copied)
    assert not (tmp_path / "run").exists()
