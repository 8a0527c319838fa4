"""`assent dpo` on a user's own checkpoint: it learns from rankings or a file, goes on after a kill, and is recorded."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from assent.config.preference import PREFERENCES
from assent.store import Judgements, Workspace, add_person, get_artifact, get_run, get_tasks, hash_folder
from assent.training.loop import read_metrics
from assent.types.feedback import Judgement, PersonKind
from tests.checkpoints import Shape
from tests.command_line import Done, assent, flags

SMALL = {
    "sampling.max-new-tokens": 12,
    "people.kind": "simulated",
    "people.marks": "tests.integration.own_functions:vowel_marks",
    "people.rankings-per-round": 30,
    "people.count": 6,
    "people.evaluators": 6,
    "evaluation.prompts": 12,
    "evaluation.bootstrap": 100,
    "preference.learning-rate": 0.003,
    "preference.batch-size": 24,
    "preference.checkpoint-every": 1,
    "compute.threads": 1,
}
QUESTIONS = [f"What of {'many ' * (number % 3)}things, number {number}?" for number in range(36)]
Made = Callable[..., Path]


def lines(path: Path, *values: object) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Makes a workspace on this checkpoint, with the rankings of its first round if it is to be judged."""

    def make(model: Path, judged: bool = True, **settings: object) -> Path:
        folder = tmp_path_factory.mktemp("preference")
        splits = ["train", "train", "test"] * 12
        prompts = lines(
            folder / "prompts.jsonl", *({"prompt": q, "split": s} for q, s in zip(QUESTIONS, splits, strict=True))
        )
        given = flags({**SMALL, **settings})
        done = assent("init", "w", "--model", model, "--prompts", prompts, *given, cwd=folder)
        assert done.code == 0, done.err
        for command in ("sample", "simulate") if judged else ():
            done = assent(command, cwd=folder / "w")
            assert done.code == 0, done.err
        return folder / "w"

    return make


@pytest.fixture(scope="module")
def judged(made: Made, checkpoint: Callable[[Shape], Path]) -> Path:
    return made(checkpoint("llama"))


def comparisons(number: int = 24) -> list[dict[str, str]]:
    """Of training prompts; a file that likes vowels."""
    asked = [question for place, question in enumerate(QUESTIONS) if place % 3 != 2]
    return [
        {"prompt": asked[i % len(asked)], "chosen": f"a io u {'a' * (i % 4)}e", "rejected": f"krx t {'n' * (i % 3)}p"}
        for i in range(number)
    ]


CHOICES = {
    "dpo": ["dpo"],
    "dpo-noisy": ["dpo", "--preference.ties", "learn", "--preference.label-smoothing", "0.1"],
    "ipo": ["ipo"],
    "kto": ["kto", "--preference.undesirable-weight", "0.8"],
    "orpo": ["orpo"],
    "simpo": ["simpo"],
}


@pytest.mark.parametrize("name", CHOICES)
def test_every_type_learns_from_rankings(name: str, judged: Path) -> None:
    done = assent("dpo", "--run", name, "--preference.type", *CHOICES[name], "--json", cwd=judged)
    assert done.code == 0, done.err
    rows = read_metrics(judged / "runs" / name)
    assert len(rows) > 3 and all(math.isfinite(value) for row in rows for value in row.values())
    if name.startswith("dpo"):
        assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    kind = CHOICES[name][0]
    assert ("log_ratio" in rows[-1]) == PREFERENCES[kind]().needs_reference
    with Workspace.open(judged).open_store() as store:
        card = get_artifact(store, done.json["policy"]).card
        run = get_run(store, name)
    assert run is not None and run.kind == "preference" and run.done
    assert (card["algorithm"], card["steps"]) == (kind, len(rows))
    assert card["ties"] > 0 and card["ties_left_out"] == (0 if name == "dpo-noisy" else card["ties"])
    ties_told = "of them ties" if name == "dpo-noisy" else "ties are left out"
    assert f"{card['ties']} {ties_told}" in done.err
    assert 0.0 <= card["held_out_accuracy"]["value"] <= 1.0
    assert (card.get("desirable") == card["comparisons"]) == (kind == "kto")  # every pair has one of each
    kept = tomllib.loads((judged / "runs" / name / "settings.toml").read_text(encoding="utf-8"))
    assert kept["preference"]["type"] == kind
    assert not (judged / "runs" / name / "checkpoints").exists()
    again = assent("dpo", "--run", name, "--preference.type", *CHOICES[name], "--json", cwd=judged)
    assert again.json["policy"] == done.json["policy"] and "preference (" not in again.err


def test_the_outcome_is_compared_and_known_both_ways(judged: Path) -> None:
    done = assent("dpo", "--run", "both-ways", "--json", cwd=judged)
    policy = done.json["policy"]
    assert done.json["round"] == 1 and done.json["comparisons"] > 50
    found = assent("eval", "--run", "both-ways", "--json", cwd=judged)
    assert found.code == 0, found.err
    assert found.json["policy"] == policy and 0.0 < found.json["people"]["interval"]["value"] < 1.0
    up = json.dumps(assent("lineage", policy, "--up", "--json", cwd=judged).json)
    assert "labeller-" in up and "dataset-" in up and "base-" in up and "simulated" in up
    assert policy in json.dumps(assent("lineage", "judgement:1", "--down", "--json", cwd=judged).json)
    refused(assent("eval", "--run", "round1-sample", cwd=judged), 2, "the loop's own")
    refused(assent("eval", "--run", "both-ways-eval", cwd=judged), 3, "of kind eval, which makes no policy")
    changed = assent("dpo", "--run", "both-ways", "--preference.kl-coef", "0.5", cwd=judged)
    assert changed.code == 6 and "kl_coef" in changed.err


def start(words: Sequence[object], folder: Path) -> subprocess.Popen[str]:
    paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "assent", *map(str, words)]
    return subprocess.Popen(command, cwd=folder, env=paths, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end_at(saved: Path, pattern: str, number: int, words: Sequence[object], folder: Path) -> tuple[int, str]:
    """Run a command until something is saved, then send it this signal; its code, and its last words."""
    with start(words, folder) as process:
        while process.poll() is None and not list(saved.glob(pattern)):
            time.sleep(0.005)
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
    return process.returncode, said


@pytest.mark.parametrize(
    ("kind", "lora"), [("dpo", 0), pytest.param("kto", 4, marks=pytest.mark.slow)], ids=["dpo", "kto-lora"]
)
def test_killed_twice_it_ends_with_the_same_bits(
    kind: str, lora: int, made: Made, checkpoint: Callable[[Shape], Path]
) -> None:
    settings = {"preference.batch-size": 6, "preference.type": kind, "model.lora.rank": lora}
    whole, cut = (made(checkpoint("gpt2"), **settings) for _ in range(2))
    words = ["dpo", "--run", "r"]
    done = assent(*words, "--json", cwd=whole)
    assert done.code == 0, done.err
    saved = cut / "runs" / "r" / "checkpoints"
    code, said = end_at(saved, "reference/checkpoints/step-*", signal.SIGKILL, words, cut)
    assert code == -signal.SIGKILL, said
    assert not list(saved.glob("step-*"))  # it was still measuring the reference
    code, said = end_at(saved, "step-*", signal.SIGKILL, words, cut)
    assert code == -signal.SIGKILL, said
    resumed = assent(*words, "--json", cwd=cut)
    assert resumed.code == 0, resumed.err
    assert resumed.json["policy"] == done.json["policy"]  # an artifact's id is the hash of its content
    metrics = [(each / "runs" / "r" / "metrics.jsonl").read_bytes() for each in (whole, cut)]
    assert metrics[0] == metrics[1] and metrics[0].count(b"\n") > 10
    assert {path.name for path in saved.parent.iterdir()} == {"settings.toml", "metrics.jsonl", "timings.jsonl"}


@pytest.mark.parametrize(
    ("shape", "kind", "lora"), [("llama", "simpo", 0), ("qwen3", "dpo", 4), ("gpt2", "kto", 4), ("gpt2", "orpo", 0)]
)
def test_two_rounds_of_the_loop_without_a_reward_model(
    shape: Shape, kind: str, lora: int, made: Made, checkpoint: Callable[[Shape], Path]
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = checkpoint(shape)
    before = hash_folder(model)
    given = {"loop.improve": "preference", "preference.type": kind, "model.lora.rank": lora, "loop.kl-budget": 1000}
    workspace = made(model, judged=False, **given)
    done = assent("loop", "--rounds", "2", "--json", cwd=workspace)
    assert done.code == 0, done.err
    assert len(done.json["promoted"]) == 2 and done.json["rm_accuracy"] is None
    assert all(28 <= count <= 30 for count in done.json["rankings_per_round"])
    with Workspace.open(workspace).open_store() as store:
        first, second = (get_run(store, f"round{round}-preference") for round in (1, 2))
        assert get_run(store, "round1-reward") is None and get_run(store, "round1-rl") is None
        assert first is not None and second is not None
        served = first.result["policy"] if done.json["promoted"][0] else dict(first.inputs)["policy"]
        assert dict(second.inputs)["policy"] == served
        assert dict(second.inputs)["reference"] == dict(first.inputs)["policy"]
        # 30 new rankings beside the 30 of round 1, of which held-out ones are not learnt
        assert second.result["comparisons"] > 1.5 * first.result["comparisons"]
        folder = workspace / get_artifact(store, second.result["policy"]).path
    assert (folder / "adapter").exists() == (lora > 0)
    plain, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(QUESTIONS[0], return_tensors="pt")["input_ids"]
    initial = AutoModelForCausalLM.from_pretrained(model)
    with torch.no_grad():
        assert float((plain(input_ids=ids).logits - initial(input_ids=ids).logits).abs().max()) > 1e-3
    assert hash_folder(model) == before
    page = Path(done.json["report"]).read_text(encoding="utf-8")
    assert second.result["policy"] in page and "Right on learnt pairs" in page
    again = assent("loop", "--rounds", "2", "--json", cwd=workspace)
    assert again.code == 0 and "preference (" not in again.err


def test_a_file_of_comparisons(made: Made, checkpoint: Callable[[Shape], Path]) -> None:
    workspace = made(checkpoint("llama"), judged=False)
    file = lines(workspace.parent / "c.jsonl", *comparisons())
    words = ["dpo", "--preference.comparisons", file, "--preference.epochs", "4", "--json"]
    done = assent(*words, "--run", "own", cwd=workspace)
    assert done.code == 0, done.err
    assert (done.json["comparisons"], done.json["ties"], done.json["held_out_accuracy"]) == (24, 0, None)
    rows = read_metrics(workspace / "runs" / "own")
    assert rows[-1]["accuracy"] == 1.0 and rows[-1]["loss"] < 0.6
    with Workspace.open(workspace).open_store() as store:
        run = get_run(store, "own")
        assert run is not None
        dataset = get_artifact(store, dict(run.inputs)["dataset"])
    assert dataset.card == {"source": str(file), "comparisons": 24}
    assert len((workspace / dataset.path / "comparisons.jsonl").read_text(encoding="utf-8").splitlines()) == 24
    found = assent("eval", "--run", "own", "--json", cwd=workspace)
    assert found.code == 0, found.err
    lines(file, *comparisons(23))
    refused(assent(*words, "--run", "own", cwd=workspace), 6, "is not what it was when own began")
    # Judged one by one: the same completions as labels give the same lesson to KTO as the pairs.
    singles = [
        {"prompt": each["prompt"], "completion": each[side], "label": side == "chosen"}
        for side in ("chosen", "rejected")
        for each in comparisons()
    ]
    for name, given in {"paired": comparisons(), "single": singles}.items():
        lines(file, *given)
        done = assent(*words, "--run", name, "--preference.type", "kto", cwd=workspace)
        assert done.code == 0, done.err
        assert "48 judged completions (24 desirable)" in done.err
    metrics = [(workspace / "runs" / name / "metrics.jsonl").read_bytes() for name in ("paired", "single")]
    assert [len(rows.splitlines()) for rows in metrics] == [8, 8]


def test_a_loop_on_a_file_asks_no_one(made: Made, checkpoint: Callable[[Shape], Path]) -> None:
    workspace = made(checkpoint("llama"), judged=False)
    file = lines(workspace.parent / "c.jsonl", *comparisons())
    given = [
        "--people.kind",
        "none",
        "--people.marks",
        "none",
        "--preference.comparisons",
        file,
        "--loop.improve",
        "preference",
    ]
    done = assent("loop", "--rounds", "1", *given, "--json", cwd=workspace)
    assert done.code == 0, done.err
    assert (done.json["promoted"], done.json["rankings_per_round"]) == ([False], [])
    with Workspace.open(workspace).open_store() as store:
        verdict = get_run(store, "round1-eval")
    assert verdict is not None
    assert "nobody compared the new policy with the old one" in verdict.result["verdict"]["reasons"][0]


def refused(done: Done, code: int, *said: str) -> None:
    assert done.code == code, done.err + done.out
    assert "Traceback" not in done.err
    for words in said:
        assert words in done.err, done.err


GOOD = {"prompt": QUESTIONS[0], "chosen": "Yes, it is.", "rejected": "No."}
LONG = "many more words than the model can hold " * 20
BROKEN: dict[str, tuple[object, str, tuple[str, ...]]] = {
    "not JSON": ('{"prompt": "How?"', "dpo", ("line 2", "broken JSON")),
    "no comparison": ({"prompt": QUESTIONS[1]}, "dpo", ("line 2", "a prompt without a comparison")),
    "no prompt": ({"chosen": "a", "rejected": "b"}, "dpo", ("line 2", "'prompt'", "missing")),
    "half a pair": ({"prompt": QUESTIONS[1], "chosen": "a"}, "dpo", ("line 2", "'rejected' is missing")),
    "empty": ({"prompt": QUESTIONS[1], "chosen": " ", "rejected": "b"}, "dpo", ("line 2", "'chosen' is empty")),
    "a number": ({"prompt": QUESTIONS[1], "chosen": 3, "rejected": "b"}, "dpo", ("line 2", "'chosen'", "a number")),
    "held out": ({"prompt": QUESTIONS[2], "chosen": "a", "rejected": "b"}, "dpo", ("line 2", "test prompts")),
    "test split": ({**GOOD, "split": "test"}, "dpo", ("line 2", "'test'")),
    "misspelt": ({"prompt": QUESTIONS[1], "chosen": "a", "rejectd": "b"}, "dpo", ("did you mean 'rejected'",)),
    "too long": ({"prompt": QUESTIONS[1], "chosen": "a", "rejected": LONG}, "dpo", ("line 2", "context is 128")),
    "one by one": ({"prompt": QUESTIONS[1], "completion": "a", "label": True}, "ipo", ("line 2", "to kto")),
    "no label": ({"prompt": QUESTIONS[1], "completion": "a"}, "kto", ("line 2", "'label' is missing")),
    "a word": ({"prompt": QUESTIONS[1], "completion": "a", "label": "yes"}, "kto", ("line 2", "true or false")),
    "both": ({**GOOD, "label": True}, "kto", ("line 2", "'chosen' and 'label'")),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_is_wrong_is_refused_with_its_line(case: str, judged: Path, tmp_path: Path) -> None:
    line, kind, said = BROKEN[case]
    text = line if isinstance(line, str) else json.dumps(line)
    file = tmp_path / "c.jsonl"
    file.write_text(json.dumps(GOOD) + "\n" + text + "\n", encoding="utf-8")
    words = ["--preference.type", kind, "--preference.comparisons", file]
    refused(assent("dpo", "--run", f"bad-{case.replace(' ', '-')}", *words, cwd=judged), 3, *said)


NOTHING_TO_LEARN = {
    "identical": ("dpo", [{**GOOD, "rejected": GOOD["chosen"]}], "no comparison has a winner: of 1, 1 are of twice"),
    "all desirable": (
        "kto",
        [{"prompt": q, "completion": "a", "label": 1} for q in QUESTIONS[:2]],
        "all 2 completions",
    ),
    "one prompt": ("kto", [GOOD, {**GOOD, "chosen": "So."}], "all completions are of one prompt"),
    "nothing": ("dpo", [], "empty"),
}


@pytest.mark.parametrize("case", NOTHING_TO_LEARN)
def test_a_file_that_teaches_nothing_is_refused_with_the_reason(case: str, judged: Path, tmp_path: Path) -> None:
    kind, given, said = NOTHING_TO_LEARN[case]
    words = ["--preference.type", kind, "--preference.comparisons", lines(tmp_path / "c.jsonl", *given)]
    refused(assent("dpo", "--run", f"nothing-{case.replace(' ', '-')}", *words, cwd=judged), 3, said)


def test_identical_pairs_are_left_out_and_counted(judged: Path, tmp_path: Path) -> None:
    given = [*comparisons(8), {**GOOD, "rejected": " Yes, it is. "}]
    words = ["--preference.comparisons", lines(tmp_path / "c.jsonl", *given), "--json"]
    done = assent("dpo", "--run", "identical", *words, cwd=judged)
    assert done.code == 0, done.err
    assert (done.json["comparisons"], done.json["identical"]) == (8, 1)
    assert "1 pairs of twice the same completion are left out" in done.err


def test_people_who_only_tie_teach_nothing(made: Made, checkpoint: Callable[[Shape], Path]) -> None:
    workspace = made(checkpoint("llama"), judged=False, **{"people.rankings-per-round": 12})
    assert assent("sample", cwd=workspace).code == 0
    with Workspace.open(workspace).open_store() as store:
        judgements = Judgements(store)
        for number in range(3):
            person = add_person(store, f"undecided-{number}", PersonKind.HUMAN)
            ids = [task.id for task in get_tasks(store, "round1-sample")]
            for lease in judgements.lease(ids, person, seed=number):
                tied = Judgement(ranks=(1,) * len(lease.completions), order_shown=lease.order_shown)
                judgements.submit(lease.id, tied, f"{number}-{lease.id}")
    for kind, ties in (("dpo", "drop"), ("dpo", "learn"), ("kto", None)):
        words = ["--preference.type", kind, *(["--preference.ties", ties] if ties else [])]
        done = assent("dpo", "--run", f"{kind}-{ties}", *words, cwd=workspace)
        refused(done, 3, "no comparison has a winner", "ties")


def test_what_must_come_first_is_named(made: Made, checkpoint: Callable[[Shape], Path]) -> None:
    workspace = made(checkpoint("llama"), judged=False)
    refused(assent("dpo", cwd=workspace), 3, "round 1 has no tasks yet", "assent sample --round 1")
    refused(assent("eval", cwd=workspace), 3, "assent rl --round 1")
    refused(assent("eval", "--loop.improve", "preference", cwd=workspace), 3, "assent dpo --round 1")
    assert assent("sample", cwd=workspace).code == 0
    refused(assent("dpo", cwd=workspace), 3, "still missing", "assent simulate --round 1")


def test_single_stages_by_dpo_are_the_loops_own(made: Made, checkpoint: Callable[[Shape], Path]) -> None:
    workspace = made(checkpoint("llama"))
    done = assent("dpo", "--json", cwd=workspace)
    assert done.code == 0, done.err
    found = assent("eval", "--json", cwd=workspace)
    assert found.code == 0 and found.json["policy"] == done.json["policy"], found.err
    refused(assent("dpo", cwd=workspace), 3, "round 2 has no tasks yet")  # round 1 has its policy
    loop = assent("loop", "--rounds", "1", "--loop.improve", "preference", "--json", cwd=workspace)
    assert loop.code == 0 and loop.json["promoted"] == [found.json["promoted"]], loop.err
