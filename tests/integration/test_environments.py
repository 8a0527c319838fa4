"""`assent rl --rl.environment …` on a user's own checkpoint, with each algorithm; and the documents' example."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from assent.store import Workspace, get_artifact, get_run
from assent.training.loop import read_metrics
from tests.checkpoints import Shape
from tests.command_line import Done, assent, flags
from tests.integration.own_environment import STOP

OWN = "tests.integration.own_environment"
DOCUMENT = Path(__file__).parents[2] / "docs" / "environments.md"
SMALL = {
    "sampling.max-new-tokens": 4,
    "rl.steps": 3,
    "rl.rollouts-per-step": 8,
    "rl.samples-per-prompt": 4,
    "rl.evaluate-prompts": 4,
    "evaluation.prompts": 6,
    "evaluation.bootstrap": 100,
    "algorithm.learning-rate": 0.003,
    "compute.threads": 1,
}
CHOICES = {
    "ppo": ["ppo", "--rl.opponent-age", "2", "--rl.environment", f"{OWN}:Copying"],
    "a2c": ["a2c"],
    "reinforce": ["reinforce", "--algorithm.gamma", "0.9"],
    "rloo": ["rloo"],
    "reinforce++": ["reinforce++"],
    "grpo": ["grpo", "--algorithm.loss-mean", "constant", "--algorithm.epochs", "2"],
}


@pytest.fixture(scope="module")
def two(checkpoint: Callable[[Shape], Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two workspaces that are alike."""
    made = []
    for _ in range(2):
        folder = tmp_path_factory.mktemp("environments")
        words = ["--model", checkpoint("llama"), *flags(SMALL), "--rl.environment", f"{OWN}:Vowels"]
        done = assent("init", "w", *words, cwd=folder)
        assert done.code == 0, done.err
        assert f"the environment {OWN}:Vowels asks" in done.out
        made.append(folder / "w")
    return made[0], made[1]


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
    assert all(row["updates"] > 0 and 2.0 <= row["turns"] <= 3.0 and row["reward"] == row["reward"] for row in rows)
    assert rows[0]["heldout_turns"] >= 2.0 and rows[0]["heldout_kl"] == pytest.approx(0.0, abs=1e-4)
    with Workspace.open(whole).open_store() as store:
        card = get_artifact(store, done.json["policy"]).card
    assert card["algorithm"] == name and {"proxy", "won", "kl"} <= card.keys()


def test_an_older_opponent_is_another_run(two: tuple[Path, Path]) -> None:
    words = ["rl", "--rl.environment", f"{OWN}:Copying", "--rl.steps", "4", "--json", "--run"]
    older = assent(*words, "older", "--rl.opponent-age", "3", cwd=two[0])
    current = assent(*words, "current", cwd=two[0])
    assert older.code == current.code == 0, older.err + current.err
    assert older.json["policy"] != current.json["policy"]


def test_held_out_games_are_played_against_the_policy_it_began_with(two: tuple[Path, Path]) -> None:
    """Whom the policy becomes has no part in it: its other side is the one in service, whatever it learnt itself."""
    words = ["rl", "--rl.environment", f"{OWN}:Echoing", "--rl.evaluate-every", "1", "--rl.evaluate-samples", "2"]
    words += ["--algorithm.learning-rate", "0.1", "--algorithm.stop-epoch-kl", "none", "--rl.pass-score", "0.5"]
    done = assent(*words, "--rl.steps", "2", "--run", "held-out", "--json", cwd=two[0])
    assert done.code == 0, done.err
    rows = read_metrics(two[0] / "runs" / "held-out")
    with Workspace.open(two[0]).open_store() as store:
        card = get_artifact(store, done.json["policy"]).card
    # Echoing pays for what the other side wrote, which the policy has no influence on
    paid = [*(row["heldout_proxy"] for row in rows), card["proxy"]]
    assert paid == [paid[0]] * 3 and paid[0] > 0.0
    assert card["kl"] > 0.05, "the policy itself has moved"
    assert len({row["score"] for row in rows}) == 2, "training games are played against the policy as it is"
    assert 0.0 <= card["pass_rate"] <= card["coverage"] <= 1.0


def test_the_perplexity_of_texts_is_measured_beside_games(two: tuple[Path, Path]) -> None:
    (two[0] / "texts.txt").write_text("\n\n".join(f"Text {i} to read." * 9 for i in range(400)), encoding="utf-8")
    for name, words in {"texts": ["--rl.evaluate-texts"], "ptx": ["--algorithm.ptx-coef", "0.1"]}.items():
        given = [*words, "--pretrain.texts", "texts.txt", "--algorithm.mixed-tokens", "64"]
        done = assent("rl", *given, "--rl.steps", "1", "--run", name, "--json", cwd=two[0])
        assert done.code == 0, done.err
        assert read_metrics(two[0] / "runs" / name)[0]["heldout_perplexity"] > 1.0


def test_the_best_that_was_measured_is_kept(two: tuple[Path, Path]) -> None:
    words = ["rl", "--run", "best", "--rl.keep", "best", "--rl.evaluate-every", "1", "--rl.steps", "4"]
    fast = ["--algorithm.learning-rate", "0.05", "--algorithm.stop-epoch-kl", "none", "--algorithm.kl-coef", "0.1"]
    done = assent(*words, *fast, "--json", cwd=two[0])
    assert done.code == 0, done.err
    with Workspace.open(two[0]).open_store() as store:
        card = get_artifact(store, done.json["policy"]).card
    rows = read_metrics(two[0] / "runs" / "best")[1:]
    worth = {row["step"] - 1: row["heldout_proxy"] - 0.1 * row["heldout_kl"] for row in rows}
    assert 1 <= card["kept_step"] <= 4 and card["steps"] == 4
    assert f"those after step {card['kept_step']} of 4 are kept" in done.err
    assert card["proxy"] - 0.1 * card["kl"] >= max(worth.values())
    if card["kept_step"] < 4:
        assert card["proxy"] == rows[card["kept_step"] - 1]["heldout_proxy"]


def test_more_games_of_each_seed_are_compared(two: tuple[Path, Path]) -> None:
    done = assent("rl", "--run", "more", "--rl.steps", "1", cwd=two[0])
    assert done.code == 0, done.err
    done = assent("eval", "--run", "more", "--evaluation.samples-per-prompt", "3", cwd=two[0])
    assert done.code == 0, done.err
    with Workspace.open(two[0]).open_store() as store:
        run = get_run(store, "more-eval")
    assert run is not None
    assert (run.result["prompts"], run.result["games"]) == (6, 18)
    assert run.result["versus_reference"]["gold"]["count"] == 6, "games of one seed are no independent ones"


def test_the_whole_loop_compares_what_was_paid(two: tuple[Path, Path]) -> None:
    done = assent("loop", "--rounds", "1", "--json", cwd=two[1])
    assert done.code == 0, done.err
    assert (two[1] / "report.html").exists()
    with Workspace.open(two[1]).open_store() as store:
        run = get_run(store, "round1-eval")
    assert run is not None and done.json["people_win_rate"] is None
    assert 0.0 <= run.result["versus_reference"]["gold"]["value"] <= 1.0
    assert run.result["kl"] != 0.0 and done.json["promoted"] == [run.result["verdict"]["promoted"]]
    assert {round(found["turns"]) for found in run.result["played"].values()} <= {2, 3}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["rl", "--rl.environment", f"{OWN}:Silent"], 5, "said nothing after turn 1"),
        (["rl", "--rl.environment", f"{OWN}:Vowel"], 2, "did you mean 'Vowels'?"),
        (["rl", "--rl.opponent-age", "2"], 2, "Vowels has no other side that the policy plays"),
        (["rl", "--rl.max-turns", "1"], 5, "were not over after 1 turns"),
        (["rl", "--people.kind", "simulated"], 2, "asks and pays by itself: leave out people.kind"),
        (["rl", "--reward", "tests.integration.own_functions:vowel_reward"], 2, "leave out reward.function"),
        (["rl", "--sampling.max-new-tokens", "120"], 3, "does not fit into the model's context of 128"),
        (["sample"], 2, "nothing for people to rank"),
        (["reward"], 2, "no reward model is needed"),
    ],
)
def test_what_does_not_go_is_refused(two: tuple[Path, Path], words: list[str], code: int, said: str) -> None:
    run = ["--run", "refused-" + re.sub(r"\W", "-", said)[:40]] if words[0] == "rl" else []
    done = assent(*words, *run, cwd=two[0])
    assert (done.code, said in done.err) == (code, True), done.err


def test_nothing_to_pretrain_on_is_named(tmp_path: Path) -> None:
    assert assent("init", "w", "--rl.environment", f"{OWN}:Vowels", cwd=tmp_path).code == 0
    done = assent("loop", cwd=tmp_path / "w")
    assert done.code == 4 and "Vowels has no `conversations`" in done.err


def run_example(command: str, model: Path, cwd: Path) -> Done:
    """A command of the document, made small."""
    words = shlex.split(command)[1:]
    small = {**SMALL, "rl.steps": 1, "rl.rollouts-per-step": 8, "rl.samples-per-prompt": 8}
    given = {word[2:] for word in words if word.startswith("--")}
    extra = flags({name: value for name, value in small.items() if name not in given})
    return assent(*[str(model) if word == "DIR_OR_ID" else word for word in words], *extra, cwd=cwd)


def test_the_documents_example_runs(checkpoint: Callable[[Shape], Path], tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    code = re.search(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert code is not None
    (tmp_path / "guess.py").write_text(code[1], encoding="utf-8")
    section = text[text.index("## Your own environment") : text.index("## What is learnt from")]
    init, rl = (line.strip() for line in section.splitlines() if line.startswith("    assent "))
    made = run_example(init, checkpoint("qwen3"), tmp_path)
    assert made.code == 0, made.err
    done = run_example(rl, checkpoint("qwen3"), tmp_path)
    assert done.code == 0, done.err
    (row,) = read_metrics(tmp_path / "my-game" / "runs" / "round1-rl")
    assert 1.0 <= row["turns"] <= 4.0
