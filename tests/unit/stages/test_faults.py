"""What a stage refuses or says before anything is spent on what could come to nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from assent.cli.init import next_steps
from assent.cli.inputs import check_inputs
from assent.config import load_settings
from assent.pipeline import run_loop
from assent.stages.improve import Start
from assent.stages.unpenalised import run_unpenalised, without_penalty
from assent.store import list_runs
from assent.types.errors import DataError, SettingsError
from assent.types.protocols import Silent
from tests.unit.stages.conftest import OWN_REWARD, MakeProject

OWN = ["--model.path", "m", "--prompts.path", "p.jsonl"]
SAMPLES = ["--reward-model.samples", "s.jsonl", "--reward-model.loss", "regression"]


@dataclass
class Heard(Silent):
    """Keeps what is said."""

    lines: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_a_loop_in_which_nobody_compares_is_not_begun(make_project: MakeProject) -> None:
    project = make_project(
        {"people.kind": "none", "reward-model.samples": "s.jsonl", "reward-model.loss": "regression"}
    )
    with pytest.raises(SettingsError, match=r"no round could build on the one before") as caught:
        run_loop(project, 2)
    assert "people.marks" in str(caught.value) and list_runs(project.store) == []


@pytest.mark.parametrize(
    ("flags", "compares"),
    [
        ([*OWN, "--people.kind=none", *SAMPLES], False),
        ([*OWN, "--people.kind=none", "--reward.model=reward-1"], False),
        ([*OWN, "--people.kind=none", "--loop.improve=preference", "--preference.comparisons=c.jsonl"], False),
        ([*OWN, "--people.kind=none", "--people.marks=m:f", *SAMPLES], True),
        ([*OWN, "--people.kind=none", "--reward.function=m:f"], True),
        (["--task=household", "--people.kind=none", *SAMPLES], True),
        ([*OWN], True),
        (["--rl.environment=chain"], True),
    ],
)
def test_who_compares(flags: list[str], compares: bool) -> None:
    settings = load_settings([], flags)
    assert settings.compares is compares
    said = "\n".join(next_steps(settings, Path.cwd()))
    assert ("assent loop" in said) is compares and ("assent rl" in said or "assent dpo" in said) is not compares


def test_a_run_without_penalty_that_cannot_be_is_told(make_project: MakeProject) -> None:
    project = make_project({**OWN_REWARD, "loop.unpenalised-steps": 3})
    project.progress = heard = Heard()
    assert run_unpenalised(project, 1, Start("policy", "policy", None)) is None
    assert heard.lines == ["loop.unpenalised_steps: no run without the KL penalty, as there is no reward model"]
    quiet = make_project(OWN_REWARD)
    quiet.progress = unheard = Heard()
    assert run_unpenalised(quiet, 1, Start("policy", "policy", None)) is None and unheard.lines == []


def test_the_settings_of_a_run_without_penalty_are_held_against_the_rules() -> None:
    given = ["--task=household", "--loop.unpenalised-steps=6", "--algorithm.warmup-steps=5", "--algorithm.kl-target=3"]
    settings = load_settings([], given)
    found = without_penalty(settings)
    assert (found.rl.steps, found.algorithm.kl_coef, found.algorithm.kl_target) == (6, 0.0, None)
    back = {"algorithm": settings.algorithm, "rl": settings.rl}
    assert found.model_copy(update=back) == settings, "nothing else is changed"
    shorter = settings.model_copy(update={"loop": settings.loop.model_copy(update={"unpenalised_steps": 5})})
    with pytest.raises(SettingsError, match=r"warmup_steps is 5, and rl\.steps 5"):
        without_penalty(shorter)


@pytest.mark.parametrize(
    ("task", "meta", "said"),
    [
        ("household", {}, "a known item and intent"),
        ("household", {"item": "bleach", "intent": "paint"}, "a known item and intent"),
        ("summaries", {"name": "Otto"}, "missing: "),
        ("reviews", {}, None),
        ("moderation", {}, None),
    ],
)
def test_the_gold_judge_must_know_a_users_own_prompts(
    task: str, meta: dict[str, str], said: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "mine.jsonl"
    lines = [{"prompt": "What of it?", "split": "train", "meta": meta}, {"prompt": "And of that?", "meta": meta}]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    settings = load_settings([], ["--task", task, "--prompts.path", str(file)])
    if said is None:
        assert check_inputs(settings) == {"train": 1, "test": 1}
        return
    with pytest.raises(DataError, match=r"mine\.jsonl, line 1: the gold judge of task") as caught:
        check_inputs(settings)
    assert said in str(caught.value) and "people.marks" in str(caught.value)
    judged = load_settings(
        [], ["--task", task, "--prompts.path", str(file), "--people.marks", "tests.unit.stages.scoring:marks"]
    )
    assert check_inputs(judged) == {"train": 1, "test": 1}
