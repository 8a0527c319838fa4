"""Every setting is documented where it stands, and every recipe is valid."""

from __future__ import annotations

from pathlib import Path

from assent.config import Settings, dump_settings, flatten, load_settings
from assent.config.algorithm import ALGORITHMS
from assent.config.preference import PREFERENCES

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))

# Their names are the field's own and need no second sentence.
SELF_EXPLANATORY = {
    "adversarial_share",
    "alpha",
    "careless_share",
    "device",
    "dtype",
    "heads",
    "hidden_size",
    "intermediate_size",
    "kind",
    "layers",
    "learning_rate",
    "max_grad_norm",
    "max_new_tokens",
    "rollouts_per_step",
    "rounds",
    "samples_per_prompt",
    "evaluate_prompts",
    "seed",
    "steps",
    "temperature",
    "warmup_steps",
    "weight_decay",
}


def leaves() -> dict[str, str]:
    """Of all settings, with each of the algorithms and each of the preference losses."""
    found = {}
    chosen = [("algorithm", name) for name in ALGORITHMS] + [("preference", name) for name in PREFERENCES]
    for section, kind in chosen:
        given = {"task": "household", section: {"type": kind}, "rl": {"samples_per_prompt": 2}}
        for name, _, description in flatten(Settings.model_validate(given)):
            found[f"{kind}.{name}"] = description
    return found


def test_every_setting_is_documented() -> None:
    bare = [name for name, description in leaves().items() if not description.strip()]
    assert [name for name in bare if name.rsplit(".", 1)[-1] not in SELF_EXPLANATORY] == []


def test_no_name_is_excused_without_need() -> None:
    bare = {name.rsplit(".", 1)[-1] for name, description in leaves().items() if not description.strip()}
    assert SELF_EXPLANATORY - bare == set()


def test_every_section_is_documented() -> None:
    sections = [info.annotation for info in Settings.model_fields.values() if hasattr(info.annotation, "model_fields")]
    assert len(sections) >= 10
    sections += [*ALGORITHMS.values(), *PREFERENCES.values()]
    assert [section for section in sections if not (section.__doc__ or "").strip()] == []


def test_every_recipe_is_valid(tmp_path: Path) -> None:
    assert RECIPES
    for recipe in RECIPES:
        settings = load_settings([recipe])
        resolved = tmp_path / recipe.name
        resolved.write_text(dump_settings(settings), encoding="utf-8")
        assert load_settings([resolved]) == settings, recipe.name
