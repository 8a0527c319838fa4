"""Tic-tac-toe by self-play: nobody beats the greedy policy, and it beats chance.

The examination plays every line of the other side, and 1,000 games against chance each way. That it can be failed, and
by whom it is passed, is tested in tests/unit/tasks/test_tictactoe.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from assent.store import Workspace, get_run
from tests.command_line import assent

RECIPE = Path(__file__).parents[2] / "recipes" / "tictactoe.toml"


def examined(workspace: Path, run_id: str, *words: str) -> dict[str, float]:
    """What the recipe's run says of its policy."""
    made = assent("init", workspace, "--recipe", RECIPE, *words)
    assert made.code == 0, made.err
    done = assent("loop", "-w", workspace)
    assert done.code == 0, done.err
    with Workspace.open(workspace).open_store() as store:
        run = get_run(store, run_id)
    assert run is not None
    found = dict(run.result["heldout"])
    print({name: round(value, 4) for name, value in found.items()})
    return found


def test_the_recipe_runs_and_a_beginner_fails(tmp_path: Path) -> None:
    small = {
        "--pretrain.steps": 10,
        "--loop.rounds": 1,
        "--rl.steps": 1,
        "--rl.rollouts-per-step": 16,
        "--algorithm.warmup-steps": 0,
        "--evaluation.prompts": 20,
        "--compute.threads": 1,
    }
    found = examined(tmp_path / "w", "round1-rl", *[str(word) for pair in small.items() for word in pair])
    assert found["first_lost_games"] > 0 and found["second_lost_games"] > 0
    assert found["first_by_chance_won"] < 0.98


@pytest.mark.slow
@pytest.mark.timeout(14_400)
def test_nobody_beats_what_self_play_has_taught(tmp_path: Path) -> None:
    found = examined(tmp_path / "w", "round2-rl")
    assert found["first_lost_games"] == 0 and found["second_lost_games"] == 0
    assert found["first_by_chance_won"] >= 0.98
