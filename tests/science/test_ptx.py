"""PPO-ptx: held-out pretraining text becomes less unlikely than without it, at equal reward (Ouyang et al. 2022).

A tiny model is pretrained on the bundled task's texts and tuned by RL to write vowels, which no text asks for: once as
it is, once with the texts mixed in, through the commands that a user has.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from assent.training.loop import read_metrics
from tests.command_line import TINY, assent, flags
from tests.science.findings import Figure, Findings, Section

SETTINGS = TINY | {
    "pretrain.steps": 120,
    "pretrain.tokens-per-step": 1024,
    "sft.steps": 10,
    "people.kind": "none",
    "people.marks": "none",
    "reward.function": "tests.integration.own_functions:vowel_reward",
    "algorithm.type": "rloo",
    "algorithm.learning-rate": 0.001,
    "algorithm.kl-coef": 0.0,
    "algorithm.missing-eos-penalty": 0.0,
    "rl.steps": 30,
    "rl.rollouts-per-step": 64,
    "rl.samples-per-prompt": 4,
    "rl.evaluate-every": 2,
    "rl.evaluate-prompts": 64,
    "rl.evaluate-texts": "true",
    "compute.precision": "float32",
}
SECTION = Section(
    key="ptx",
    order=13,
    title="Pretraining texts mixed into RL",
    text="""
A tiny model, pretrained on the bundled task's texts, is rewarded for vowels, which no text asks for, without a KL
penalty: once as it is, once with `ptx_coef = 1`. Shown is the perplexity of held-out pretraining text before RL, and
where each run first reaches the same mean reward on held-out prompts, nine tenths of the gain of the weaker one.
""",
    source="tests/science/test_ptx.py",
    columns=("policy", "reward", "perplexity of held-out text"),
    figures=(
        Figure("ptx", "Perplexity of held-out pretraining text as the reward rises", "mean reward", "perplexity"),
    ),
)
Curve = list[tuple[float, float]]  # (reward, perplexity) on held-out prompts and texts, step by step


def curve(folder: Path, run: str, *words: str) -> Curve:
    done = assent("rl", "--run", run, *words, "--json", cwd=folder)
    assert done.code == 0, done.err
    rows = [row for row in read_metrics(folder / "runs" / run) if "heldout_proxy" in row]
    return [(row["heldout_proxy"], row["heldout_perplexity"]) for row in rows]


def at_reward(found: Curve, reward: float) -> float:
    """The perplexity where the reward is first reached, between two measurements on the line through them."""
    for (before, low), (after, high) in itertools.pairwise(found):
        if after >= reward:
            return low + (high - low) * (reward - before) / (after - before)
    raise AssertionError(f"{reward} is never reached")


@pytest.mark.slow
def test_texts_mixed_in_keep_perplexity_down_at_equal_reward(tmp_path: Path, findings: Findings) -> None:
    made = assent("init", "w", "--task", "household", *flags(SETTINGS), cwd=tmp_path)
    assert made.code == 0, made.err
    folder = tmp_path / "w"
    for command in ("pretrain", "sft"):
        done = assent(command, cwd=folder)
        assert done.code == 0, done.err
    plain, mixed = curve(folder, "plain"), curve(folder, "mixed", "--algorithm.ptx-coef", "1")
    assert plain[0] == mixed[0]
    start, begun = plain[0]
    reward = start + 0.9 * (min(max(r for r, _ in each) for each in (plain, mixed)) - start)
    without, with_texts = at_reward(plain, reward), at_reward(mixed, reward)
    for name, at, perplexity in (
        ("before RL", start, begun),
        ("RL", reward, without),
        ("RL with texts", reward, with_texts),
    ):
        findings.row(SECTION, name, at, perplexity)
    findings.line("ptx", "RL", plain)
    findings.line("ptx", "RL with texts", mixed)
    assert reward > start + 0.1
    assert without > begun * 1.05
    assert with_texts < without
