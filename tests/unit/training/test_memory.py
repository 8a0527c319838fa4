"""What a run says it needs of memory, beside what it takes; and what is refused before it begins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from assent.training.memory import GIB, PROBED, Need, Pass, _reckoned, free_memory, require_memory
from assent.types.errors import SettingsError
from assent.types.protocols import Silent
from tests.checkpoints import Shape, build_checkpoint

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[3]
# returned at once, so that what is measured is what is in use
TRIMMED = {"MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_MMAP_THRESHOLD_": "65536", "PYTHONPATH": str(ROOT)}


class Said(Silent):
    def __init__(self) -> None:
        self.words = ""

    def say(self, message: str) -> None:
        self.words = message


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are reset by Linux alone")
@pytest.mark.parametrize(
    ("shape", "kinds"), [("llama", ["sft", "reward", "dpo", "ppo", "padded", "wide", "wide padded"]), ("gpt2", ["sft"])]
)
def test_the_estimate_is_near_the_peak(shape: Shape, kinds: list[str], tmp_path: Path) -> None:
    """`wide` has a vocabulary of 50,000, whose logits are most of what is kept; `padded` is the way of a GPU."""
    path = build_checkpoint(tmp_path / "model", shape, context=512, hidden=160, layers=5)
    words = [sys.executable, "-m", "tests.unit.training.peak_memory", str(path), "2048", str(tmp_path / "run"), *kinds]
    done = subprocess.run(words, env={**os.environ, **TRIMMED}, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [kind for kind, *_ in lines] == [kind.replace(" ", "-") for kind in kinds]
    for kind, said, taken in lines:
        print(kind, said, taken)
        assert int(taken) > 50e6
        assert 0.85 < int(said) / int(taken) < 1.6, (kind, said, taken)


NEED = Need(2 * GIB, Pass(GIB, GIB, 100, 1000), saved=GIB, sampling=3 * GIB, copies=GIB)


def test_what_is_never_cut_is_not_said_to_be() -> None:
    need = Need(0, Pass(0, GIB, 100, 1000, least=800), 0)
    assert need.total(100) == need.total(800) == pytest.approx(8 * 1.15 * GIB)
    with pytest.raises(SettingsError) as caught:
        require_memory("r", lambda: need, CPU, 5.0, Silent())
    assert "tokens_per_microbatch" not in caught.value.hint


def test_long_sequences_are_reckoned_from_short_ones() -> None:
    def kept(tokens: int) -> int:
        return 1000 + 20 * tokens + 3 * tokens**2

    found = [kept(tokens) for tokens in (PROBED // 4, PROBED // 2, PROBED)]
    assert _reckoned(found, 8192) == pytest.approx((1000, kept(8192) - 1000))


def test_what_writes_while_it_learns_adds_up() -> None:
    need = Need(GIB, Pass(0, GIB, 100, 100), 0, sampling=GIB, at_once=True)
    assert need.total() == pytest.approx(3.15 * GIB)


def test_it_writes_learns_and_saves_in_turn() -> None:
    assert NEED.passed.bytes() == pytest.approx(1.15 * 11 * GIB)
    assert NEED.total() == pytest.approx((3 + 1.15 * 11) * GIB)
    assert NEED.total(200) == pytest.approx((3 + 1.15 * 3) * GIB)
    assert NEED.total(1) == 6 * GIB  # writing takes more than a pass over one sequence, which is never cut


def test_what_is_there_is_said() -> None:
    said = Said()
    require_memory("round1-rl", lambda: NEED, CPU, 100.0, said)
    assert said.words == "round1-rl: about 15.6 GiB of memory beside the weights, of 100.0 GiB that are free"
    free = free_memory(CPU)
    assert free is None or free > GIB // 4


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (10.0, "set compute.tokens_per_microbatch to 500: about 9.9 GiB then"),
        (7.0, "set compute.tokens_per_microbatch to 250: about 6.4 GiB then"),
        (5.0, "train an adapter (model.lora.rank)"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(limit: float, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        require_memory("round1-rl", lambda: NEED, CPU, limit, Silent())
    assert f"round1-rl: about 15.6 GiB of memory beside the weights, and {limit} GiB are free" in caught.value.message
    assert (
        "gradients and optimiser 2.0 GiB" in caught.value.message
        and "a pass over 1000 tokens 12.6 GiB" in caught.value.message
    )
    assert said in caught.value.hint


def test_writing_too_much_at_once_is_named() -> None:
    with pytest.raises(SettingsError) as caught:
        need = Need(GIB, Pass(0, GIB, 100, 100), 0, sampling=9 * GIB)
        require_memory("r", lambda: need, CPU, 5.0, Silent())
    assert "sampling.batch_size" in caught.value.hint
