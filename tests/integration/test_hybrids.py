"""`assent rl` with all that can be had beside the reward, and `assent best-of`, on a user's own checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from assent.store import Workspace, get_artifact, get_run
from assent.training.loop import read_metrics
from tests.checkpoints import Shape
from tests.command_line import assent, flags
from tests.integration.stopping_reward import STOP

SMALL = {
    "sampling.max-new-tokens": 8,
    "rl.steps": 3,
    "rl.rollouts-per-step": 8,
    "rl.samples-per-prompt": 4,
    "rl.evaluate-prompts": 4,
    "sft.steps": 2,
    "algorithm.learning-rate": 0.003,
    "compute.threads": 1,
}
MIXED = {
    "pretrain.texts": "../texts.txt",
    "algorithm.ptx-coef": 0.5,
    "algorithm.sft-coef": 0.5,
    "algorithm.mixed-tokens": 128,
    "reward.cost-function": "tests.integration.test_hybrids:length",
    "algorithm.cost-limit": 0.1,
    "rl.temperature-from": 1.2,
    "rl.pass-score": 0.2,
    "rl.evaluate-samples": 2,
}


def length(prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
    """A cost."""
    return [len(text) / 20 for text in completions]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, checkpoint: Callable[[Shape], Path]) -> tuple[Path, Path]:
    """Two workspaces alike, fine-tuned on a file of demonstrations."""
    folder = tmp_path_factory.mktemp("hybrids")
    asked = [{"prompt": f"What of things, number {number}?"} for number in range(24)]
    answered = [{"prompt": f"May I ask for {number}?", "completion": "You may, and twice."} for number in range(8)]
    for name, lines in {"prompts": asked, "answers": answered}.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (folder / "texts.txt").write_text(
        "\n\n".join(f"Some text, numbered {i}." * 5 for i in range(400)), encoding="utf-8"
    )
    words = ["--model", checkpoint("llama"), "--prompts", folder / "prompts.jsonl", *flags(SMALL)]
    words += ["--sft.demonstrations", folder / "answers.jsonl", "--reward", "tests.integration.stopping_reward:score"]
    for name in ("whole", "cut"):
        for command in (["init", name, *words], ["sft", "-w", name]):
            done = assent(*command, cwd=folder)
            assert done.code == 0, done.err
    return folder / "whole", folder / "cut"


def test_all_of_it_runs_and_goes_on_to_the_same_bits(two: tuple[Path, Path]) -> None:
    whole, cut = two
    words = ["rl", "--run", "mixed", *flags(MIXED), "--json"]
    done = assent(*words, cwd=whole)
    assert done.code == 0, done.err
    (cut / STOP).touch()
    assert assent(*words, cwd=cut).code == 143
    resumed = assent(*words, cwd=cut)
    assert resumed.code == 0, resumed.err
    assert resumed.json["policy"] == done.json["policy"]
    rows = read_metrics(whole / "runs" / "mixed")
    assert rows == read_metrics(cut / "runs" / "mixed") and len(rows) == 3
    for name in ("ptx_loss", "sft_loss", "cost", "cost_multiplier", "pass_rate", "coverage", "distinct_2"):
        assert all(name in row for row in rows), name
    assert [row["temperature"] for row in rows] == pytest.approx([1.2, 1.1, 1.0])
    assert rows[2]["cost_multiplier"] > rows[0]["cost_multiplier"]
    assert "above algorithm.cost_limit 0.1" in done.err
    with Workspace.open(whole).open_store() as store:
        card = get_artifact(store, done.json["policy"]).card
    assert card["perplexity"] < rows[0]["heldout_perplexity"]
    assert card["cost"] > 0.1 and card["steps"] == 3
    assert 0.0 <= card["pass_rate"] <= card["coverage"] <= 1.0


def test_the_kl_budget_ends_a_run_and_says_so(two: tuple[Path, Path]) -> None:
    words = [
        "--algorithm.kl-budget",
        0.3,
        "--algorithm.learning-rate",
        0.02,
        "--rl.steps",
        12,
        "--algorithm.kl-coef",
        0,
    ]
    done = assent("rl", "--run", "bounded", *words, "--json", cwd=two[0])
    assert done.code == 0, done.err
    assert "kl_budget of 0.3 nats was passed: the last policy within it is kept" in done.err
    rows = read_metrics(two[0] / "runs" / "bounded")
    assert len(rows) < 12 and rows[-1]["kl"] > 0.3 >= max(row["kl"] for row in rows[:-1])


def test_best_of_n_is_measured_and_kept(two: tuple[Path, Path]) -> None:
    done = assent("best-of", "--n", 6, "--json", cwd=two[0])
    assert done.code == 0, done.err
    sizes = done.json["best_of"]
    assert [each["n"] for each in sizes] == [1, 2, 4, 6]
    proxies = [each["proxy"]["value"] for each in sizes]
    assert proxies == sorted(proxies) and proxies[0] < proxies[-1]
    assert sizes[0]["kl_bound"] == 0.0
    again = assent("best-of", "--n", 6, "--json", cwd=two[0])
    assert again.json["best_of"] == sizes
    with Workspace.open(two[0]).open_store() as store:
        run = get_run(store, f"round1-best-of-6-{done.json['policy']}")
    assert run is not None and run.done
    assert assent("best-of", "--n", 2, "--policy", "policy-none", cwd=two[0]).code == 3
    assert assent("best-of", "--n", 1, cwd=two[0]).code == 2


def test_what_is_mixed_in_must_be_there(two: tuple[Path, Path]) -> None:
    for words, said in {
        ("--algorithm.ptx-coef", 1): "give pretrain.texts",
        ("--algorithm.cost-limit", 1): "give reward.cost_function",
    }.items():
        done = assent("rl", "--run", "refused", *words, cwd=two[0])
        assert done.code == 2 and said in done.err
    (two[0] / "short.txt").write_text("Too short.", encoding="utf-8")
    done = assent("rl", "--run", "short", "--algorithm.ptx-coef", 1, "--pretrain.texts", "short.txt", cwd=two[0])
    assert done.code == 3 and "too few" in done.err
