"""TRL's trainers take what `assent export` writes, unchanged. `make parity` installs TRL apart and runs this."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
pytest.importorskip("trl", reason="TRL is not installed here: `make parity` installs it apart")

import datasets
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

from assent.data.exchange import Order, Plan, Reading, Source, Wish, export, import_judgements, recognise
from assent.store import Store
from tests.checkpoints import Shape

TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"


@pytest.fixture
def store(tmp_path: Path) -> Any:
    """Twelve comparisons."""
    path = tmp_path / "pairs.jsonl"
    path.write_text(
        "".join(
            f'{{"prompt": "What is {i} and {i}?", "chosen": "It is {2 * i}.", "rejected": "Who knows {i}?"}}\n'
            for i in range(12)
        )
    )
    with Store.open(tmp_path / "assent.db", create=True) as opened:
        source = Source.open(path)
        import_judgements(opened, source, recognise(source), Plan(Reading()))
        yield opened


def load(path: Path) -> Any:
    """As TRL's users load a file or folder."""
    if path.is_dir():
        return datasets.load_from_disk(str(path))
    kind = "parquet" if path.suffix == ".parquet" else "json"
    return datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(path.parent / "cache"))


def settings(kind: Any, folder: Path) -> Any:
    return kind(
        output_dir=str(folder),
        max_steps=1,
        per_device_train_batch_size=4,
        report_to=[],
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        disable_tqdm=True,
    )


def tokenizer_of(folder: Path) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    tokenizer.chat_template = TEMPLATE
    return tokenizer


CASES = [
    (DPOTrainer, DPOConfig, "preference", False, ".jsonl"),
    (DPOTrainer, DPOConfig, "preference", True, ".parquet"),
    (DPOTrainer, DPOConfig, "preference-implicit", True, ""),
    (RewardTrainer, RewardConfig, "preference", False, ".parquet"),
    (RewardTrainer, RewardConfig, "preference", True, ""),
    (RewardTrainer, RewardConfig, "preference-implicit", False, ".jsonl.gz"),
    (RewardTrainer, RewardConfig, "preference-implicit", True, ".jsonl"),
    (KTOTrainer, KTOConfig, "unpaired", False, ".parquet"),
    (SFTTrainer, SFTConfig, "prompt-completion", True, ".parquet"),
]


@pytest.mark.parametrize(("trainer", "config", "format", "conversational", "ending"), CASES)
def test_a_step_on_the_export(
    store: Store,
    checkpoint: Callable[[Shape], Path],
    tmp_path: Path,
    trainer: Any,
    config: Any,
    format: str,
    conversational: bool,
    ending: str,
) -> None:
    path = tmp_path / f"export{ending}"
    card = export(store, path, Order(format, wish=Wish(conversational=conversational)))
    rows = load(path)
    assert len(rows) == card["rows"]
    folder = checkpoint("llama")
    tokenizer = tokenizer_of(folder)
    if trainer is RewardTrainer:
        model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1)
        model.config.pad_token_id = tokenizer.pad_token_id
    else:
        model = AutoModelForCausalLM.from_pretrained(folder)
    before = [p.detach().clone() for p in model.parameters()]
    made = trainer(model=model, args=settings(config, tmp_path / "out"), train_dataset=rows, processing_class=tokenizer)
    done = made.train()
    assert done.global_step == 1 and done.training_loss > 0
    assert any((a != b).any() for a, b in zip(before, model.parameters(), strict=True))
