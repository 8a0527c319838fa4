"""`assent rl --algorithm.type …` on a user's own checkpoint: it trains, goes on after a stop, and is recorded."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from assent.store import Workspace, get_artifact
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
    "algorithm.learning-rate": 0.003,
    "compute.threads": 1,
}
CHOICES = {
    "a2c": ["a2c"],
    "reinforce": ["reinforce"],
    "rloo": ["rloo", "--algorithm.kl-penalty", "k3-corrected-loss"],
    "reinforce++": ["reinforce++", "--algorithm.baseline", "group-mean"],
    "expert-iteration": ["expert-iteration", "--algorithm.keep", "2"],
    "online-dpo": ["online-dpo"],
    "grpo": ["grpo", "--algorithm.loss-mean", "sequences", "--algorithm.epochs", "2", "--algorithm.minibatches", "2"],
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Makes a workspace of this checkpoint's; its reward is a callable, so that nobody is asked."""

    def made(model: Path) -> Path:
        folder = tmp_path_factory.mktemp("algorithms")
        asked = [{"prompt": f"What of things, number {number}?"} for number in range(24)]
        (folder / "prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in asked), encoding="utf-8")
        words = ["--model", model, "--prompts", folder / "prompts.jsonl", *flags(SMALL)]
        done = assent("init", "w", *words, "--reward", "tests.integration.stopping_reward:score", cwd=folder)
        assert done.code == 0, done.err
        return folder / "w"

    return made


@pytest.fixture(scope="module")
def two(workspace: Callable[[Path], Path], checkpoint: Callable[[Shape], Path]) -> tuple[Path, Path]:
    return workspace(checkpoint("llama")), workspace(checkpoint("llama"))


@pytest.mark.parametrize("name", CHOICES)
def test_it_trains_and_goes_on_to_the_same_bits(name: str, two: tuple[Path, Path]) -> None:
    whole, cut = two
    run = f"try-{name.replace('+', 'p')}"
    words = ["rl", "--run", run, "--algorithm.type", *CHOICES[name], "--json"]
    done = assent(*words, cwd=whole)
    assert done.code == 0, done.err
    (cut / STOP).touch()
    stopped = assent(*words, cwd=cut)
    assert stopped.code == 143 and "step 1 of 3 is saved" in stopped.err
    resumed = assent(*words, cwd=cut)
    assert resumed.code == 0, resumed.err
    assert resumed.json["policy"] == done.json["policy"]  # an artifact's id is the hash of its content
    rows = read_metrics(whole / "runs" / run)
    assert rows == read_metrics(cut / "runs" / run) and len(rows) == 3
    assert all(row["updates"] > 0 for row in rows)
    assert ("value_loss" in rows[0]) == (name == "a2c")
    with Workspace.open(whole).open_store() as store:
        assert get_artifact(store, done.json["policy"]).card["algorithm"] == name
    kept = tomllib.loads((whole / "runs" / run / "settings.toml").read_text(encoding="utf-8"))
    assert kept["algorithm"]["type"] == name


def test_a_choice_that_does_not_go_with_the_rest_is_refused(two: tuple[Path, Path]) -> None:
    for words, said in {
        ("--algorithm.type", "rloo", "--rl.samples-per-prompt", "1"): "set rl.samples_per_prompt to 2 or more",
        ("--algorithm.type", "rlo"): "did you mean 'rloo'?",
        ("--algorithm.type", "rloo", "--algorithm.clip", "0.2"): "one that has it: ppo, reinforce++",
    }.items():
        done = assent("rl", "--run", "refused", *words, cwd=two[0])
        assert done.code == 2
        assert said in done.err
    assert not (two[0] / "runs" / "refused").exists()


def test_another_algorithm_under_the_name_of_a_run_is_refused(two: tuple[Path, Path]) -> None:
    words = ["rl", "--run", "one-name", "--rl.steps", "1", "--algorithm.type"]
    assert assent(*words, "reinforce", cwd=two[0]).code == 0
    done = assent(*words, "rloo", cwd=two[0])
    assert done.code == 6 and "type" in done.err
