"""Preference losses in the settings: one section, names by its type, and combinations that make no sense."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assent.config import DPOSettings, KTOSettings, dump_settings, flatten, load_settings
from assent.config.preference import PREFERENCES
from assent.types.errors import SettingsError

SOURCE = re.compile(r"\b(19|20)\d\d\b|TRL|ours")
TASK = ["--task", "household"]
OWN = ["--model.path", "m", "--prompts.path", "p.jsonl", "--people.kind", "none"]


def refused(*flags: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings([], [*flags])
    return str(caught.value)


def test_dpo_unless_told() -> None:
    assert load_settings([], TASK).preference == DPOSettings()
    assert load_settings([], [*TASK, "--preference.kl-coef", "0.3"]).preference == DPOSettings(kl_coef=0.3)


@pytest.mark.parametrize("name", PREFERENCES)
def test_every_type_is_read_and_dumped_and_read(name: str, tmp_path: Path) -> None:
    settings = load_settings([], [*TASK, "--preference.type", name, "--preference.epochs", "2.5"])
    assert settings.preference == PREFERENCES[name](epochs=2.5)
    file = tmp_path / "assent.toml"
    file.write_text(dump_settings(settings), encoding="utf-8")
    assert load_settings([file]) == settings


@pytest.mark.parametrize("name", PREFERENCES)
def test_every_setting_is_a_flag_and_says_where_its_default_is_from(name: str) -> None:
    start = [*TASK, "--preference.type", name]
    settings = load_settings([], start)
    for path, value, description in flatten(settings.preference, "preference."):
        if isinstance(value, bool | int | float):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            assert load_settings([], [*start, f"--{path.replace('_', '-')}", text]) == settings
        assert path == "preference.type" or SOURCE.search(description), path


@pytest.mark.parametrize("name", PREFERENCES)
def test_a_wrong_name_gets_the_nearest_of_its_type(name: str) -> None:
    own = [field for field in PREFERENCES[name].model_fields if field != "type"]
    for field in (own[0], own[-1]):
        said = refused(*TASK, "--preference.type", name, f"--preference.{field}x", "1")
        assert f"unknown setting 'preference.{field}x' of {name}" in said
        assert f"did you mean 'preference.{field}'" in said


def test_what_other_losses_have_is_said_to_be_theirs() -> None:
    said = refused(*TASK, "--preference.type", "ipo", "--preference.ties", "learn")
    assert "unknown setting 'preference.ties' of ipo" in said and "one that has it: dpo" in said
    said = refused(*TASK, "--preference.type", "kot")
    assert "preference.type must be one of dpo, ipo, kto, orpo, simpo (given: 'kot')" in said
    assert "did you mean 'kto'?" in said


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"label-smoothing": "0.1", "flip-rate": "0.1"}, "two answers to the same noise"),
        ({"ties": "learn", "flip-rate": "0.1"}, "no notion of a tie"),
        ({"type": "kto", "desirable-weight": "0", "undesirable-weight": "0"}, "no completion counts"),
        ({"type": "kto", "batch-size": "1"}, "preference.batch_size"),
        ({"label-smoothing": "0.6"}, "preference.label_smoothing"),
        ({"flip-rate": "0.5"}, "preference.flip_rate"),
        ({"kl-coef": "0"}, "preference.kl_coef"),
        ({"warmup-share": "1"}, "preference.warmup_share"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(flags: dict[str, str], reason: str) -> None:
    words = [word for name, value in flags.items() for word in (f"--preference.{name}", value)]
    assert reason in refused(*TASK, *words)


def test_only_dpo_learns_ties_and_only_if_asked() -> None:
    assert DPOSettings(ties="learn", label_smoothing=0.1).learns_ties
    assert not any(model().learns_ties for model in PREFERENCES.values())
    assert [name for name, model in PREFERENCES.items() if model().needs_reference] == ["dpo", "ipo", "kto"]
    assert KTOSettings(desirable_weight=0.0).undesirable_weight == 1.0


def test_the_loop_must_have_what_it_learns_from() -> None:
    given = ["--preference.comparisons", "c.jsonl"]
    assert "nothing to learn from" in refused(*OWN)
    assert "with loop.improve = 'preference'" in refused(*OWN, *given)
    assert load_settings([], [*OWN, *given, "--loop.improve", "preference"]).preference.comparisons == "c.jsonl"
    scored = [*OWN, "--reward.function", "a:b", "--loop.improve", "preference"]
    assert "so nobody ranks" in refused(*scored)
    assert load_settings([], [*scored, *given]).reward.function == "a:b"
