from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assent.data.callables import load_callable
from assent.types.errors import SettingsError

MODULE = """
LIMIT = 3


def brevity(prompts, completions):
    return [-len(text) for text in completions]


class Judge:
    @staticmethod
    def score(prompts, completions):
        return [1.0 for _ in completions]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    before = set(sys.modules)
    (tmp_path / "house_rewards.py").write_text(MODULE)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_function_of_the_current_folder_is_found(project: Path) -> None:
    assert load_callable("house_rewards:brevity", "reward.function")(["a"], ["abc", "d"]) == [-3, -1]
    assert load_callable("house_rewards:Judge.score", "reward.function")([], ["x"]) == [1.0]


def test_an_installed_function_is_found(project: Path) -> None:
    assert load_callable("os.path:join", "reward.function")("a", "b") == str(Path("a") / "b")


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("house_rewards", ["names no function", "module:function"]),
        ("house_rewards:", ["names no function"]),
        (":brevity", ["names no function"]),
        ("house-rewards:brevity", ["names no function"]),
        ("house_rewards:brevity()", ["names no function"]),
        ("house_reward:brevity", ["no module 'house_reward'", "did you mean 'house_rewards'"]),
        ("nowhere.rewards:brevity", ["no module 'nowhere'"]),
        ("house_rewards:brevty", ["has no 'brevty'", "did you mean 'brevity'"]),
        ("house_rewards:Judge.scores", ["has no 'scores'", "did you mean 'score'"]),
        ("house_rewards:LIMIT", ["is of type int, which cannot be called"]),
    ],
)
def test_a_bad_name_is_explained(project: Path, spec: str, parts: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_callable(spec, "reward.function")
    for part in ["reward.function", spec, *parts]:
        assert part in str(caught.value)


def test_a_module_that_fails_is_explained(project: Path) -> None:
    (project / "house_broken.py").write_text("raise RuntimeError('no key')")
    with pytest.raises(SettingsError, match="importing 'house_broken' failed: RuntimeError: no key"):
        load_callable("house_broken:score", "people.marks")
    (project / "house_needs.py").write_text("import a_package_nobody_has")
    with pytest.raises(SettingsError, match="needs the module 'a_package_nobody_has'"):
        load_callable("house_needs:score", "people.marks")
    (project / "house_syntax.py").write_text("def score(:")
    with pytest.raises(SettingsError, match="failed: SyntaxError"):
        load_callable("house_syntax:score", "people.marks")
