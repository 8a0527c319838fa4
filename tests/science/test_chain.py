"""PPO on the chain: ten states in a row, right and left, 16 steps, and a reward of 1 on the tenth state alone.

The policy is a small transformer that is pretrained on walks of chance, of which 3.4 % arrive, and goes through
`assent loop` as any other. Solved: the greedy policy arrives, and so do at least 95 % of held-out games that are
sampled.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from assent.store import Workspace, get_run
from assent.training.loop import read_metrics
from tests.command_line import assent

RECIPE = Path(__file__).parents[2] / "recipes" / "chain.toml"


def figures(folder: Path, seed: int, *words: str) -> tuple[float, float, float]:
    """Share of games that were paid before RL and after it, and what the greedy policy was paid."""
    workspace = folder / f"seed-{seed}"
    made = assent("init", workspace, "--recipe", RECIPE, "--seed", seed, "--compute.threads", 1, *words)
    assert made.code == 0, made.err
    for command in ("pretrain", "rl"):
        done = assent(command, "-w", workspace)
        assert done.code == 0, done.err
    with Workspace.open(workspace).open_store() as store:
        run = get_run(store, "round1-rl")
    assert run is not None
    found = run.result["heldout"]
    before = read_metrics(workspace / "runs" / "round1-rl")[0]["heldout_won"]
    print(f"seed {seed}: paid before RL {before:.3f}, after {found['won']:.3f}; greedy {found['greedy_mean']}")
    return before, found["won"], found["greedy_mean"]


def test_a_short_chain_is_solved(tmp_path: Path) -> None:
    environment = ("--rl.environment", "tests.science.walks:ShortChain", "--rl.max-turns", "8")
    small = ("--pretrain.steps", "50", "--rl.steps", "16")
    before, after, greedy = figures(tmp_path, 0, *environment, *small)
    assert before < 0.5
    assert after >= 0.95 and greedy == 1.0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_chain_is_solved_for_five_seeds_of_five(tmp_path: Path) -> None:
    found = [figures(tmp_path, seed) for seed in range(5)]
    assert all(before < 0.2 for before, _, _ in found)
    assert [after >= 0.95 and greedy == 1.0 for _, after, greedy in found] == [True] * 5
