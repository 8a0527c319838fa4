"""`assent people`: a table, the same as JSON, and a clear word where nobody has judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.checkpoints import Shape
from tests.command_line import assent, flags

SETTINGS = {
    "sampling.max-new-tokens": 6,
    "people.completions-per-ranking": 3,
    "people.rankings-per-round": 8,
    "people.holdout-share": 0.3,
    "people.overlap": 2,
    "compute.threads": 1,
}


def test_people_are_told_of(tmp_path: Path, checkpoint: Callable[[Shape], Path]) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(f'{{"prompt": "What is {number} and {number}?"}}\n' for number in range(20)))
    made = assent("init", tmp_path / "w", "--model", checkpoint("llama"), "--prompts", prompts, *flags(SETTINGS))
    assert made.code == 0, made.err
    nobody = assent("people", cwd=tmp_path / "w")
    assert nobody.code == 3 and "nobody has judged anything yet" in nobody.err
    assert assent("loop", cwd=tmp_path / "w").code == 7
    for name in ("Ada", "Bob"):
        assert assent("rank", "--name", name, cwd=tmp_path / "w", typed="1 2 3\n" * 20).code == 0
    told = assent("people", cwd=tmp_path / "w")
    assert told.code == 0, told.err
    assert all(word in told.out for word in ("Ada", "Bob", "human", "reliability", "Krippendorff", "first wins"))
    found = assent("people", "--json", cwd=tmp_path / "w").json
    assert [each["name"] for each in found["people"]] == ["Ada", "Bob"]
    assert sum(each["judgements"] for each in found["people"]) == found["overall"]["judgements"] == 8
    assert found["overall"]["first_wins"]["value"] == 1.0, "both always ranked in the order shown"
    assert found["people"][0]["reliability"].keys() == {"value", "error"}
    none = assent("people", "--round", "2", cwd=tmp_path / "w")
    assert none.code == 3 and "in round 2" in none.err


def test_a_version_is_frozen_by_rules(tmp_path: Path, checkpoint: Callable[[Shape], Path]) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(f'{{"prompt": "What is {number} and {number}?"}}\n' for number in range(20)))
    made = assent("init", tmp_path / "w", "--model", checkpoint("llama"), "--prompts", prompts, *flags(SETTINGS))
    assert made.code == 0, made.err
    nothing = assent("freeze", cwd=tmp_path / "w")
    assert nothing.code == 3 and "nothing was judged yet" in nothing.err
    assert assent("loop", cwd=tmp_path / "w").code == 7
    for name in ("Ada", "Bob"):
        assert assent("rank", "--name", name, cwd=tmp_path / "w", typed="1 2 3\n" * 20).code == 0
    every = assent("freeze", "--json", cwd=tmp_path / "w").json
    assert every["train"] + every["holdout"] == 8 and every["rules"]["disagreements"] == "votes"
    assert assent("freeze", "--json", cwd=tmp_path / "w").json["dataset"] == every["dataset"]
    shared = assent("freeze", "--minimum-votes", 2, "--disagreements", "ruling", "--json", cwd=tmp_path / "w").json
    assert 0 < shared["train"] + shared["holdout"] < 8 and shared["dataset"] != every["dataset"]
    assert shared["rules"]["disagreements"] == "ruling" and shared["rulings"] == 0
    wrong = assent("freeze", "--run", "round9-sample", cwd=tmp_path / "w")
    assert wrong.code == 3 and "round1-sample" in wrong.err
    none = assent("freeze", "--minimum-votes", 9, cwd=tmp_path / "w")
    assert none.code == 3 and "let no judgement in" in none.err
