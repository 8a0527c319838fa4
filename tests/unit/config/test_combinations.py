"""What would fail only after people have judged, or would quietly mean something else, is refused when it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from assent.config import Settings, load_settings
from assent.config.settings import PromptSettings
from assent.config.worlds import TEMPLATES, WORLD_CRITERIA
from assent.tasks import WORLDS, load_world
from assent.types.errors import SettingsError

TASK = ["--task", "household"]
OWN = ["--model.path", "m", "--prompts.path", "p.jsonl"]
MARKED = ["--people.criteria-marks", "--reward-model.criteria", "['helpful', 'harmless']"]
SIMULATED = ["--people.kind", "simulated"]
RECIPES = Path(__file__).parents[3] / "recipes"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([*TASK, *MARKED[1:]], "set people.criteria_marks to true"),
        ([*TASK, *SIMULATED, "--people.criteria-marks", "--reward-model.criteria", "['kind']"], "task household is"),
        (
            ["--task=reviews", *SIMULATED, "--people.marks=m:f", *MARKED[:2], "['sentiment']"],
            "marked by people.marks is helpful, honest, harmless",
        ),
        (["--task=summaries", *MARKED], "marked by task summaries is coverage, faithfulness, brevity"),
        ([*TASK, "--reward.pessimism", "worst-case"], "set reward_model.ensemble to 2 or more"),
        ([*TASK, "--reward.weights.helpful", "2"], "has a head for overall only"),
        ([*TASK, *MARKED, "--reward.weights.honest", "2"], "has a head for helpful, harmless only"),
        ([*TASK, *MARKED, "--reward.weights.helpful", "0"], "reward.weights are all 0"),
        ([*TASK, *MARKED, "--reward.cost-criterion", "honest"], "in reward.cost_model the reward model"),
        ([*TASK, *SIMULATED, "--people.overlap", "17"], "raise people.count"),
        ([*TASK, *SIMULATED, "--evaluation.judges-per-pair", "17"], "raise people.evaluators"),
        ([*TASK, "--algorithm.kl-budget=5", "--rl.temperature-from=1.2"], "rl.temperature_from moves away"),
        ([*TASK, "--algorithm.kl-budget=5", "--rl.temperature-to=0.9"], "rl.temperature_to moves away"),
        (
            [*TASK, "--algorithm.warmup-steps=5", "--loop.unpenalised-steps=5"],
            "set algorithm.warmup_steps below loop.unpenalised_steps",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(flags: list[str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings([], flags)
    assert said in str(caught.value)
    assert str(caught.value).startswith("--"), "the flag that brought it in is named"


@pytest.mark.parametrize(
    "flags",
    [
        [*TASK, *MARKED, "--reward.weights.helpful", "2"],
        [*OWN, *MARKED[:2], "['kind', 'brief']"],  # people can be asked about anything
        [*TASK, "--reward.pessimism=worst-case", "--reward-model.ensemble=2"],
        [*TASK, "--reward.pessimism=worst-case", "--reward.model=reward-1"],  # its files tell
        [*TASK, "--reward.weights.kind=1", "--reward.model=reward-1"],
        [*TASK, "--algorithm.kl-budget=5", "--rl.temperature-from=1.0"],
        [*TASK, "--rl.temperature-from=1.2"],
        [*TASK, "--algorithm.warmup-steps=5", "--loop.unpenalised-steps=6"],
        [
            *OWN,
            "--people.kind=none",
            "--reward-model.samples=s.jsonl",
            "--reward-model.loss=regression",
            *MARKED[1:],
        ],
    ],
)
def test_what_does_is_not(flags: list[str]) -> None:
    load_settings([], flags)


def test_the_line_that_brought_it_in_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("task = 'household'\n[reward]\npessimism = 'mean-std'\n")
    with pytest.raises(SettingsError, match=r"a\.toml, line 3: reward\.pessimism is mean-std"):
        load_settings([file])


@pytest.mark.parametrize("name", WORLDS)
def test_the_settings_know_the_worlds(name: str) -> None:
    world = load_world(name)
    assert tuple(world.marks(world.prompts("train")[0], "").criteria()) == WORLD_CRITERIA[name]
    assert getattr(world, "template", None) == TEMPLATES.get(name)


@pytest.mark.parametrize("name", WORLDS)
def test_a_worlds_prompts_are_put_as_its_texts_put_them(name: str) -> None:
    expected = TEMPLATES.get(name, "Question: {prompt}\nAnswer:")
    assert load_settings([], ["--task", name]).prompts.template == expected
    for recipe in WORLDS:  # whatever recipe it comes with
        with_recipe = ["--task", name, "--people.label", "ranking", "--algorithm.warmup-steps", "0"]
        assert load_settings([RECIPES / f"{recipe}.toml"], with_recipe).prompts.template == expected
    given = load_settings([], ["--task", name, "--prompts.template", "Say {prompt}"])
    assert given.prompts.template == "Say {prompt}"
    assert Settings(task=name, prompts=PromptSettings(test_share=0.3)).prompts.template == expected
    assert Settings(task=name, prompts=PromptSettings(template="{prompt}!")).prompts.template == "{prompt}!"
