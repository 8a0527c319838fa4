"""A person at a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from assent.cli.rank import printable
from assent.cli.ranking import Command, parse_best, parse_ranking
from assent.store import Judgements, Workspace, counts, list_people, open_tasks, rankings
from assent.types.feedback import LabelKind, PersonKind
from tests.checkpoints import Shape
from tests.command_line import assent, flags

SETTINGS = {
    "sampling.max-new-tokens": 6,
    "people.completions-per-ranking": 3,
    "people.rankings-per-round": 6,
    "people.holdout-share": 0.3,
    "people.overlap": 2,
    "compute.threads": 1,
}


@pytest.fixture
def workspace(tmp_path: Path, checkpoint: Callable[[Shape], Path]) -> Path:
    """Stopped by the loop itself: it is people's turn."""
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(f'{{"prompt": "What is {number} and {number}?"}}\n' for number in range(20)))
    made = assent("init", tmp_path / "w", "--model", checkpoint("llama"), "--prompts", prompts, *flags(SETTINGS))
    assert made.code == 0, made.err
    done = assent("loop", cwd=tmp_path / "w")
    assert done.code == 7
    assert "judgements are still wanted" in done.err and "assent rank" in done.err
    return tmp_path / "w"


def test_people_rank_until_nothing_is_open(workspace: Path) -> None:
    done = assent("rank", "--name", "Ada", cwd=workspace, typed="2 1=3\n3 1\n3 1 2\ns\nq\n")
    assert done.code == 0, done.err
    assert "2 missing" in done.out and "2 judgements recorded" in done.out
    with Workspace.open(workspace).open_store() as store:
        (ada,) = list_people(store)
        assert (ada.name, ada.kind) == ("Ada", PersonKind.HUMAN)
        first, second = rankings(store)
        shown = Judgements(store).get(first.judgement_id).order_shown
        assert [first.ranks[index] for index in shown] == [2, 1, 2]
        shown = Judgements(store).get(second.judgement_id).order_shown
        assert [second.ranks[index] for index in shown] == [2, 3, 1]
        assert counts(store, ["round1-sample"]).submitted == 2
        # What was skipped and where she left is free for the next person at once.
        bob = 1 + ada.id
    assert assent("rank", "--name", "Bob", cwd=workspace, typed="1 2 3\n" * 20).code == 0
    last = assent("rank", "--name", "Ada", cwd=workspace, typed="1 2 3\n" * 20)
    with Workspace.open(workspace).open_store() as store:
        assert open_tasks(store, "round1-sample") == []
        assert {ranking.person_id for ranking in rankings(store)} == {ada.id, bob}
        assert counts(store, ["round1-sample"]).submitted == 6
    assert "`assent loop` goes on" in last.out
    nothing = assent("rank", "--name", "Ada", cwd=workspace)
    assert nothing.code == 3 and "nothing is to be judged" in nothing.err


def test_marks_per_criterion_are_asked_for(workspace: Path) -> None:
    settings = workspace / "assent.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("[people]\n", "[people]\ncriteria_marks = true\n"), encoding="utf-8")
    typed = "2 1=3\n7 10 0\n1 2\n11 1 1\n5 5 4\n0 1 2\n" + "1 2 3\nq\n"
    done = assent("rank", "--name", "Ada", cwd=workspace, typed=typed)
    assert done.code == 0, done.err
    assert "2 marks for 3 completions" in done.out and "'11' is no mark" in done.out
    with Workspace.open(workspace).open_store() as store:
        (said,) = rankings(store)
        shown = Judgements(store).get(said.judgement_id).order_shown
        assert [said.marks[index] for index in shown] == [
            {"helpful": 0.7, "honest": 0.5, "harmless": 0.0},
            {"helpful": 1.0, "honest": 0.5, "harmless": 0.1},
            {"helpful": 0.0, "honest": 0.4, "harmless": 0.2},
        ]
        assert counts(store, ["round1-sample"]).submitted == 1, "what was left half-marked is not recorded"


def test_marks_are_of_the_criteria_that_are_learnt(workspace: Path) -> None:
    settings = workspace / "assent.toml"
    text = settings.read_text(encoding="utf-8").replace("[people]\n", "[people]\ncriteria_marks = true\n")
    settings.write_text(f"{text}\n[reward_model]\ncriteria = ['brief', 'polite']\n", encoding="utf-8")
    done = assent("rank", "--name", "Ada", cwd=workspace, typed="2 1=3\n7 10 0\n5 5 4\nq\n")
    assert done.code == 0, done.err
    assert "brief, 0 to 10 each" in done.out and "helpful" not in done.out
    with Workspace.open(workspace).open_store() as store:
        (said,) = rankings(store)
    assert [set(marks) for marks in said.marks] == [{"brief", "polite"}] * 3


def test_the_whole_conversation_is_shown(tmp_path: Path, checkpoint: Callable[[Shape], Path]) -> None:
    turns = [("system", "Be \x1b[2J brief."), ("user", "What is soap?"), ("assistant", "A salt."), ("user", "Of what?")]
    held = [{"messages": [{"role": r, "content": f"{c} {n}"} for r, c in turns]} for n in range(20)]
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps(each) + "\n" for each in held))
    asked = flags(SETTINGS)
    assert assent("init", tmp_path / "w", "--model", checkpoint("llama"), "--prompts", prompts, *asked).code == 0
    assert assent("loop", cwd=tmp_path / "w").code == 7
    done = assent("rank", "--name", "Ada", cwd=tmp_path / "w", typed="1 2 3\nq\n")
    said = [line.rstrip("0123456789 ") for line in done.out.splitlines()[2:10]]
    assert said[:6] == [
        "system",
        "Be \N{REPLACEMENT CHARACTER}[2J brief.",
        "user",
        "What is soap?",
        "assistant",
        "A salt.",
    ]
    assert said[6:] == ["prompt", "Of what?"]
    with Workspace.open(tmp_path / "w").open_store() as store:
        (task, *_) = open_tasks(store, "round1-sample")
        (found,) = Judgements(store).lease([task], 1, 0)
    assert [(m.role, m.content.rstrip("0123456789 ")) for m in found.messages] == turns
    assert found.prompt == found.messages[-1].content


def test_leaving_at_once_is_no_success(workspace: Path) -> None:
    done = assent("rank", "--name", "Ada", cwd=workspace, typed="")
    assert done.code == 3
    assert "0 judgements recorded; 6 still wanted" in done.out


def test_simulated_people_do_not_mix_in_unasked(workspace: Path) -> None:
    done = assent("simulate", cwd=workspace)
    assert done.code == 2 and "people.kind is human" in done.err


@pytest.mark.parametrize(
    ("typed", "ranks"),
    [("2 1 3", (1, 3, 2)), ("1=2=3", (1, 1, 1)), (" 3  2 =1 ", (2, 1, 2)), ("1=3 2", (3, 1, 1))],
)
def test_typed_rankings(typed: str, ranks: tuple[int, ...]) -> None:
    # Shown first is completion 2, then 0, then 1. So "2 1 3" puts completion 0 first, then 2, then 1; and in
    # "3 2=1" completion 1 is first, 0 and 2 share the second place.
    assert parse_ranking(typed, (2, 0, 1)) == ranks


def test_the_best_alone() -> None:
    assert parse_best(" 2 ", (2, 0, 1)) == (1, 2, 2)  # shown second is completion 0
    assert parse_best("s", (2, 0, 1)) is Command.SKIP
    for typed, said in (("", "nothing"), ("4", "no completion 4"), ("1 2", "'1 2' is no number")):
        with pytest.raises(ValueError, match=said):
            parse_best(typed, (2, 0, 1))


def test_people_pick_the_best_where_that_is_asked(tmp_path: Path, checkpoint: Callable[[Shape], Path]) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(f'{{"prompt": "What is {number} and {number}?"}}\n' for number in range(20)))
    asked = flags({**SETTINGS, "people.label": "best-of-k"})
    assert assent("init", tmp_path / "w", "--model", checkpoint("llama"), "--prompts", prompts, *asked).code == 0
    assert assent("loop", cwd=tmp_path / "w").code == 7
    done = assent("rank", "--name", "Ada", cwd=tmp_path / "w", typed="1=2 3\n3\nq\n")
    assert "no number" in done.out and "The number of the best one" in done.out
    with Workspace.open(tmp_path / "w").open_store() as store:
        (said,) = rankings(store)
        assert said.label is LabelKind.BEST_OF_K
        shown = Judgements(store).get(said.judgement_id).order_shown
        assert [said.ranks[index] for index in shown] == [2, 2, 1]
        assert len(said.comparisons()) == 2


@pytest.mark.parametrize(("typed", "command"), [("s", Command.SKIP), ("Q", Command.QUIT), (" quit ", Command.QUIT)])
def test_typed_commands(typed: str, command: Command) -> None:
    assert parse_ranking(typed, (0, 1)) is command


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "nothing"),
        ("1 2", "3 missing"),
        ("1 2 2 3", "2 stands there twice"),
        ("1 2 4", "no completion 4"),
        ("0 1 2", "no completion 0"),
        ("1 2 x", "'x' is no number"),
        ("1 = 2 =", "a number is missing"),
        ("1 2 ³", "is no number"),
    ],
)
def test_what_is_typed_wrong_is_explained(typed: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_ranking(typed, (0, 1, 2))


def test_a_text_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in printable("\x1b[2Jgone\x07") and printable("a\nb\tä") == "a\nb\tä"
    assert printable("  ") == "(empty)"
