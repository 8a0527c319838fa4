"""Algorithms in the settings: a section whose names depend on its type, and combinations that make no sense."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assent.config import GRPOSettings, PPOSettings, dump_settings, flatten, load_settings
from assent.config.algorithm import ALGORITHMS
from assent.types.errors import SettingsError

SOURCE = re.compile(r"\b(19|20)\d\d\b|DeepSeek|TRL|ours")
TASK = ["--task", "household", "--rl.samples-per-prompt", "4"]


def refused(*flags: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings([], [*TASK, *flags])
    return str(caught.value)


def test_ppo_unless_told() -> None:
    assert load_settings([], TASK).algorithm == PPOSettings()
    assert load_settings([], [*TASK, "--algorithm.clip", "0.1"]).algorithm == PPOSettings(clip=0.1)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_type_is_read_and_dumped_and_read(name: str, tmp_path: Path) -> None:
    settings = load_settings([], [*TASK, "--algorithm.type", name, "--algorithm.kl-coef", "0.07"])
    assert settings.algorithm == ALGORITHMS[name](kl_coef=0.07)
    file = tmp_path / "assent.toml"
    file.write_text(dump_settings(settings), encoding="utf-8")
    assert load_settings([file]) == settings


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_bundled_recipe_goes_with_every_type(name: str) -> None:
    flags = ["--algorithm.type", name, "--algorithm.minibatches", "1", "--rl.samples-per-prompt", "4"]
    recipe = Path(__file__).parents[3] / "recipes" / "household.toml"
    assert load_settings([recipe], flags).algorithm.type == name


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_setting_is_a_flag_and_says_where_its_default_is_from(name: str) -> None:
    start = [*TASK, "--algorithm.type", name]
    settings = load_settings([], start)
    for path, value, description in flatten(settings.algorithm, "algorithm."):
        if isinstance(value, bool | int | float):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            assert load_settings([], [*start, f"--{path.replace('_', '-')}", text]) == settings
        assert path == "algorithm.type" or SOURCE.search(description), path


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_wrong_name_gets_the_nearest_of_its_type(name: str) -> None:
    own = [field for field in ALGORITHMS[name].model_fields if field != "type"]
    for field in (own[0], own[-1]):
        said = refused("--algorithm.type", name, f"--algorithm.{field}x", "1")
        assert f"unknown setting 'algorithm.{field}x' of {name}" in said
        assert f"did you mean 'algorithm.{field}'" in said


def test_a_setting_of_another_type_says_whose_it_is() -> None:
    said = refused("--algorithm.type", "rloo", "--algorithm.value-coef", "0.1")
    assert "--algorithm.value-coef: unknown setting 'algorithm.value_coef' of rloo" in said
    assert "one that has it: ppo, a2c" in said


def test_the_line_of_a_file_is_named_in_a_section_of_any_type(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("task = 'household'\n[algorithm]\ntype = 'grpo'\nclip_hi = 0.28\n[rl]\nsamples_per_prompt = 2\n")
    with pytest.raises(SettingsError, match=r"a\.toml, line 4: unknown setting 'algorithm\.clip_hi' of grpo"):
        load_settings([file])
    file.write_text("task = 'household'\n[algorithm]\ntype = 'gprooo'\n")
    with pytest.raises(SettingsError, match=r"a\.toml, line 3: algorithm\.type must be one of ppo, a2c, .*'gprooo'"):
        load_settings([file])


@pytest.mark.parametrize("given", ["grp", "PPO", "3", "none"])
def test_a_type_that_is_none_is_told_with_all_that_are(given: str) -> None:
    said = refused("--algorithm.type", given)
    assert f"must be one of {', '.join(ALGORITHMS)}" in said
    assert ("did you mean 'grpo'?" in said) == (given == "grp")


@pytest.mark.parametrize(
    "flags",
    [["rloo"], ["grpo"], ["reinforce++", "--algorithm.baseline", "group-mean"], ["expert-iteration"], ["online-dpo"]],
    ids=["rloo", "grpo", "reinforce++-baseline", "expert-iteration", "online-dpo"],
)
def test_groups_need_several_samples_of_a_prompt(flags: list[str]) -> None:
    said = refused("--rl.samples-per-prompt", "1", "--algorithm.type", *flags)
    assert "set rl.samples_per_prompt to 2 or more" in said
    assert flags[0] in said
    assert load_settings([], [*TASK, "--algorithm.type", *flags]).algorithm.needs_groups


@pytest.mark.parametrize("name", ["ppo", "a2c", "reinforce", "reinforce++"])
def test_others_need_one(name: str) -> None:
    load_settings([], ["--task", "household", "--algorithm.type", name])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--algorithm.kl-penalty", "k3-loss"], "KL(π_ref ‖ π), not of KL(π ‖ π_ref)"),
        (["--algorithm.kl-penalty", "k1-loss"], "zero in expectation"),
        (["--algorithm.kl-penalty", "k4-loss"], "k1-reward"),
        (["--algorithm.type", "a2c", "--algorithm.epochs", "2"], "algorithm.epochs"),
        (["--algorithm.type", "grpo", "--algorithm.mask-truncated"], "one of the two"),
        (["--algorithm.type", "grpo", "--algorithm.overlong-buffer", "8"], "missing_eos_penalty"),
        (
            ["--algorithm.type=grpo", "--algorithm.overlong-buffer=99", "--algorithm.missing-eos-penalty=0"],
            "must not exceed sampling.max_new_tokens",
        ),
        (["--algorithm.type", "rloo", "--algorithm.kl-coef=0", "--algorithm.kl-target=6"], "cannot leave 0"),
        (["--algorithm.type", "rloo", "--algorithm.minibatches=65"], "must not exceed rl.rollouts_per_step"),
        (["--algorithm.rollout-weight-max", "0.9"], "algorithm.rollout_weight_max"),
        (["--algorithm.type=expert-iteration", "--algorithm.keep=4"], "set algorithm.keep below rl.samples_per_prompt"),
        (["--algorithm.type=online-dpo", "--algorithm.kl-penalty=k1-reward"], "algorithm.kl_penalty"),
        (["--algorithm.type=online-dpo", "--algorithm.epochs=2"], "algorithm.epochs"),
        (["--algorithm.kl-penalty", "implicit"], "algorithm.kl_penalty"),
        (["--algorithm.kl-budget=1", "--algorithm.kl-budget-action=raise", "--algorithm.kl-coef=0"], "cannot leave 0"),
        (["--algorithm.kl-budget=5", "--algorithm.kl-target=6"], "set kl_target below kl_budget"),
        (["--algorithm.cost-limit=1"], "give reward.cost_function"),
        (["--algorithm.cost-multiplier=9"], "must not exceed cost_multiplier_max"),
        (["--prompts.path=mine.jsonl", "--algorithm.sft-coef=1"], "give sft.demonstrations"),
    ],
)
def test_what_makes_no_sense_is_refused(flags: list[str], said: str) -> None:
    assert said in refused(*flags)


def test_texts_that_are_mixed_in_or_measured_must_be_there() -> None:
    own = ["--model.path", "mine", "--prompts.path", "mine.jsonl"]
    for wanted in ("--algorithm.ptx-coef=1", "--rl.evaluate-texts"):
        with pytest.raises(SettingsError, match=r"give pretrain\.texts"):
            load_settings([], [*own, wanted])
        load_settings([], [*own, wanted, "--pretrain.texts", "mine.txt"])


def test_truncated_completions_are_masked_where_nothing_else_is_asked_of_them() -> None:
    flags = ["--algorithm.type=grpo", "--algorithm.mask-truncated", "--algorithm.missing-eos-penalty=0"]
    assert load_settings([], [*TASK, *flags]).algorithm == GRPOSettings(mask_truncated=True, missing_eos_penalty=0.0)


def test_a_warm_up_longer_than_the_run_is_refused() -> None:
    said = refused("--rl.steps", "5", "--algorithm.warmup-steps", "5")
    assert "algorithm.warmup_steps is 5, and rl.steps 5" in said
    assert load_settings([], [*TASK, "--rl.steps", "6", "--algorithm.warmup-steps", "5"]).algorithm.warmup_steps == 5
