from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from assent.training.checkpoint import load_checkpoint, save_checkpoint
from assent.training.loop import LoopSettings, MetricsLog, cosine_share, read_metrics, run_steps
from assent.types.errors import WorkspaceError
from assent.types.protocols import Silent
from tests.checkpoints import Shape
from tests.unit.training.building import STEPS, language_model

Built = Callable[[Shape], Path]


def saved(folder: Path, *steps: int) -> None:
    for step in steps:
        save_checkpoint(folder, step, {"w": torch.arange(4.0) + step}, {"kl_coef": step / 3})


def test_a_checkpoint_comes_back_to_the_bit(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None
    odd = {"nan": torch.tensor([float("nan"), -0.0]), "half": torch.ones(2, 3).bfloat16(), "step": torch.tensor(7)}
    save_checkpoint(tmp_path, 7, odd, {"kl_coef": 0.1 + 0.2})
    found = load_checkpoint(tmp_path)
    assert found is not None
    step, tensors, values = found
    assert (step, values) == (7, {"kl_coef": 0.1 + 0.2})
    for name, tensor in odd.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name].reshape(-1).view(torch.uint8), tensor.reshape(-1).view(torch.uint8))


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    saved(tmp_path, 5, 10, 15, 20)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000015", "step-000020"]
    found = load_checkpoint(tmp_path)
    assert found is not None and found[0] == 20


def test_what_a_signal_saved_is_gone_on_from_and_not_rolled_back_to(tmp_path: Path) -> None:
    saved(tmp_path, 5, 10)
    for step in (12, 13):
        save_checkpoint(tmp_path, step, {"w": torch.zeros(1)}, {}, scheduled=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000005", "step-000010", "stopped-000013"]
    newest, scheduled = load_checkpoint(tmp_path), load_checkpoint(tmp_path, scheduled_only=True)
    assert newest is not None and newest[0] == 13
    assert scheduled is not None and scheduled[0] == 10
    saved(tmp_path, 15)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000010", "step-000015"]


def damage(file: Path, how: str) -> None:
    content = file.read_bytes()
    if how == "a flipped bit":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif how == "cut short":
        file.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        file.write_bytes(b"")
    else:
        file.unlink()


@pytest.mark.parametrize("name", ["state.safetensors", "state.json"])
@pytest.mark.parametrize("how", ["a flipped bit", "cut short", "empty", "missing"])
def test_damage_is_named_with_what_to_do(name: str, how: str, tmp_path: Path) -> None:
    saved(tmp_path, 5, 10)
    damage(tmp_path / "step-000010" / name, how)
    with pytest.raises(WorkspaceError, match=r"step-000010.* is damaged") as caught:
        load_checkpoint(tmp_path)
    assert str(tmp_path / "step-000010") in caught.value.hint
    assert "delete" in caught.value.hint


def test_after_deleting_a_damaged_checkpoint_the_run_ends_alike(checkpoint: Built, tmp_path: Path) -> None:
    """The hint given with the error is true."""
    settings = LoopSettings(STEPS, 2)
    whole = language_model(checkpoint("llama"))
    run_steps(whole, tmp_path / "whole", settings, Silent(), "sft")
    run_steps(language_model(checkpoint("llama")), tmp_path / "cut", LoopSettings(4, 2), Silent(), "sft")
    newest = tmp_path / "cut" / "checkpoints" / "step-000004"
    damage(newest / "state.safetensors", "a flipped bit")
    with pytest.raises(WorkspaceError, match="damaged"):
        run_steps(language_model(checkpoint("llama")), tmp_path / "cut", settings, Silent(), "sft")
    for file in newest.iterdir():
        file.unlink()
    newest.rmdir()
    again = language_model(checkpoint("llama"))
    run_steps(again, tmp_path / "cut", settings, Silent(), "sft")
    assert all(torch.equal(tensor, again.tensors()[name]) for name, tensor in whole.tensors().items())


def test_metrics_after_a_checkpoint_are_forgotten(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    for step in (1, 2, 3):
        log.append({"step": step, "loss": 1.0 / step}, seconds=0.5)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')  # a process that died while it wrote
    log.truncate(2)
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}]
    timings = (tmp_path / "timings.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in timings] == [1, 2]
    log.append({"step": 3, "loss": 0.25}, seconds=0.5)
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3]


def test_no_metrics_yet(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "never") == []


def test_the_schedule() -> None:
    # Warm-up over 4 steps: 1/4, 2/4, 3/4, 1; then a cosine over the remaining 8, half-way between 1 and 0.1 at step 8.
    shares = [cosine_share(step, 12, 4, 0.1) for step in range(13)]
    assert shares[:4] == [0.25, 0.5, 0.75, 1.0]
    assert shares[4] == 1.0
    assert shares[8] == pytest.approx(0.55)
    assert shares[12] == pytest.approx(0.1)
    assert shares[4:] == sorted(shares[4:], reverse=True)
    assert cosine_share(0, 10, 0, 0.0) == 1.0
