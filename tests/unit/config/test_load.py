from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from assent.config import Settings, dump_settings, flatten, load_settings, parse_overrides
from assent.config.load import TYPES
from assent.types.errors import SettingsError

TASK = ["--task", "household"]


def write(folder: Path, text: str, name: str = "assent.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_later_files_go_over_earlier_and_flags_over_files(tmp_path: Path) -> None:
    first = write(tmp_path, "task = 'household'\nseed = 1\n[rl]\nsteps = 5\nrollouts_per_step = 8\n", "a.toml")
    second = write(tmp_path, "seed = 2\n[rl]\nsteps = 6\n", "b.toml")
    settings = load_settings([first, second], ["--rl.steps", "7", "--algorithm.kl-coef=0.02"])
    assert (settings.seed, settings.rl.steps, settings.rl.rollouts_per_step) == (2, 7, 8)
    assert settings.algorithm.kl_coef == 0.02


def test_overrides_are_read_as_toml_where_they_are_toml() -> None:
    assert parse_overrides(["--a.b-c", "1", "--d=x", "--flag", "--e", "[1, 2]", "--f", "-0.5", "--g=a=b"]) == [
        (("a", "b_c"), 1),
        (("d",), "x"),
        (("flag",), True),
        (("e",), [1, 2]),
        (("f",), -0.5),
        (("g",), "a=b"),
    ]


@pytest.mark.parametrize("argument", ["rl.steps", "-s", "--", "x"])
def test_what_is_no_flag_is_refused(argument: str) -> None:
    with pytest.raises(SettingsError, match="is not a setting"):
        parse_overrides([argument])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[algorithm]\nkl_coeff = 0.1\n", ["line 3", "'algorithm.kl_coeff'", "did you mean 'algorithm.kl_coef'"]),
        ("[algoritm]\nkl_coef = 0.1\n", ["line 2", "'algoritm'", "did you mean 'algorithm'"]),
        ("kl_coef = 0.1\n", ["line 2", "'kl_coef'", "did you mean 'algorithm.kl_coef'"]),
        ("[rl]\nsteps = 0\n", ["line 3", "rl.steps", "greater than or equal to 1", "given: 0"]),
        ("[rl]\nsteps = 'many'\n", ["line 3", "rl.steps", "integer", "given: 'many'"]),
        ("[rl]\nsteps = 1.5\n", ["line 3", "rl.steps", "integer", "1.5"]),
        ("[model]\ndtype = 'float16'\n", ["line 3", "model.dtype", "'float32' or 'bfloat16'"]),
        ("[model.lora]\nrank = -1\n", ["line 3", "model.lora.rank", "-1"]),
        ("[prompts]\ntemplate = 'Q:'\n", ["prompts", "must contain {prompt}"]),
        ("[model.shape]\nhidden_size = 100\nheads = 8\n", ["model.shape", "multiple of 2 * heads (16)"]),
        ("[algorithm]\nkl_coef = 0\nkl_target = 6\n", ["algorithm", "cannot leave 0"]),
        ("[rl]\nrollouts_per_step = 10\nsamples_per_prompt = 4\n", ["rl.rollouts_per_step must be a multiple"]),
        ("[algorithm]\nminibatches = 65\n", ["algorithm.minibatches must not exceed"]),
        ("[people]\nkind = 'none'\n", ["give reward.function"]),
        ("[people]\nbiased_share = 0.5\n", ["sum to 1.14"]),
        ("seed = \n", ["not valid TOML", "line 2"]),
    ],
)
def test_a_bad_file_is_explained(tmp_path: Path, text: str, parts: list[str]) -> None:
    file = write(tmp_path, "task = 'household'\n" + text)
    with pytest.raises(SettingsError) as caught:
        load_settings([file])
    for part in parts:
        assert part in str(caught.value)


def test_the_line_named_is_that_of_the_section(tmp_path: Path) -> None:
    file = write(tmp_path, "task = 'household'\n[sft]\nsteps = 5\n[ rl ]\nsteps = 0\n")
    with pytest.raises(SettingsError, match=r"line 5: rl\.steps"):
        load_settings([file])


def test_none_is_a_choice_where_it_is_one(tmp_path: Path) -> None:
    settings = load_settings([], [*TASK, "--people.kind", "none", "--reward.function", "rewards:brevity"])
    assert settings.people.kind == "none"
    assert load_settings([write(tmp_path, dump_settings(settings))]) == settings


@pytest.mark.parametrize("value", ["inf", "-inf", "nan"])
def test_numbers_are_finite(value: str) -> None:
    with pytest.raises(SettingsError, match=r"algorithm\.entropy_coef"):
        load_settings([], [*TASK, "--algorithm.entropy-coef", value])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.toml: no such settings file"):
        load_settings([tmp_path / "absent.toml"])
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings([tmp_path])
    (tmp_path / "latin.toml").write_bytes(b"task = 'caf\xe9'")
    with pytest.raises(SettingsError, match="not valid TOML"):
        load_settings([tmp_path / "latin.toml"])


def test_a_bad_flag_is_named_as_it_was_written() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings([], [*TASK, "--algorithm.kl-cof", "0.1"])
    assert "--algorithm.kl-cof: unknown setting" in str(caught.value)
    assert "did you mean 'algorithm.kl_coef'" in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "model.path"),
        (["--model.path", "x"], "prompts.path"),
        (["--model.path=x", "--prompts.path=y", "--people.kind=simulated"], "people.marks"),
    ],
)
def test_something_to_train_must_be_named(flags: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings([], flags)


def test_none_unsets_a_value(tmp_path: Path) -> None:
    file = write(tmp_path, "task = 'household'\n[algorithm]\nstop_epoch_kl = 'none'\n")
    assert load_settings([file]).algorithm.stop_epoch_kl is None
    assert load_settings([], [*TASK, "--algorithm.stop-epoch-kl", "none"]).algorithm.stop_epoch_kl is None


def test_what_is_dumped_is_read_back(tmp_path: Path) -> None:
    flags = ["--model.lora.targets", '["q_proj", "v_proj"]', "--algorithm.stop-epoch-kl", "none", "--seed", "7"]
    settings = load_settings([], [*TASK, *flags, "--prompts.template", 'Say "{prompt}"\n\t\\ ok'])
    assert load_settings([write(tmp_path, dump_settings(settings))]) == settings


@given(
    template=st.text(st.characters(codec="utf-8")).map(lambda text: text + "{prompt}"),
    rate=st.floats(1e-12, 1e6),
    target=st.none() | st.floats(1e-6, 1e6),
)
def test_any_value_is_dumped_and_read_back(
    tmp_path_factory: pytest.TempPathFactory, template: str, rate: float, target: float | None
) -> None:
    settings = Settings.model_validate(
        {
            "task": "household",
            "prompts": {"template": template},
            "algorithm": {"learning_rate": rate, "kl_target": target},
        }
    )
    file = write(tmp_path_factory.mktemp("any"), dump_settings(settings))
    assert load_settings([file]) == settings


def test_settings_cannot_be_changed() -> None:
    settings = load_settings([], TASK)
    with pytest.raises(ValueError, match="frozen"):
        settings.seed = 3


def test_flatten_names_every_leaf_as_a_flag_that_is_accepted() -> None:
    settings = load_settings([], TASK)
    leaves = list(flatten(settings))
    assert len({name for name, _, _ in leaves}) == len(leaves) == sum(1 for _ in _leaves(Settings))
    values = {name: value for name, value, _ in leaves}
    assert values["algorithm.kl_coef"] == settings.algorithm.kl_coef
    for name, value, _ in leaves:
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert load_settings([], [*TASK, f"--{name.replace('_', '-')}", str(value)]) == settings


def _leaves(model: type[BaseModel]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        section = type(info.default) if name in TYPES else info.annotation  # one of several sections
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from _leaves(section)
        else:
            yield name
