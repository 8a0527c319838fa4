"""Every algorithm has a page, its settings stand there with the defaults they have, and its commands are valid."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from assent.cli.overrides import divide, read_settings
from assent.cli.single import rl
from assent.config.algorithm import ALGORITHMS
from tests.contracts.algorithm_pages import PAGES, own_settings, page_of, pages_with_tables, with_tables

COMMAND_FLAGS = {"--round", "--run", "--reward", "--force", "--workspace", "-w", "--recipe", "--json"}
COMMAND = re.compile(r"^(?: {4})?(?:\$ )?(assent rl .*)$", re.MULTILINE)


def commands_of(page: Path) -> list[str]:
    return COMMAND.findall(re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_has_a_page_that_the_overview_links(name: str) -> None:
    page = page_of(name)
    assert page.exists(), f"{name} has no page: write {page}"
    overview = (PAGES / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"\({page.name}\)|^\[.*\]: {page.name}$", overview, re.MULTILINE)
    assert f'`algorithm.type = "{name}"`' in overview


@pytest.mark.parametrize("name", ALGORITHMS)
def test_its_page_names_each_setting_of_its_own(name: str) -> None:
    text = page_of(name).read_text(encoding="utf-8").replace("-", "_")
    assert [setting for setting in own_settings(ALGORITHMS[name]) if setting not in text] == []


@pytest.mark.parametrize("page", pages_with_tables(), ids=lambda page: page.name)
def test_tables_are_those_of_the_settings(page: Path) -> None:
    expected = with_tables(page, pages_with_tables()[page])
    assert page.read_text(encoding="utf-8") == expected, "run `.venv/bin/python -m tests.contracts.algorithm_pages`"


def test_the_first_six_have_tables() -> None:
    assert {page.stem for page in pages_with_tables()} >= {"README", "ppo", "grpo", "reinforce-plus-plus", "rloo"}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_its_commands_are_valid_settings_of_it(name: str) -> None:
    commands = commands_of(page_of(name))
    assert commands
    for command in commands:
        flags, rest = divide(shlex.split(command)[2:], COMMAND_FLAGS)
        reward = rest[rest.index("--reward") + 1] if "--reward" in rest else None
        settings = read_settings([], ["--task=household", *flags], reward)
        assert settings.algorithm.type == name, command
        assert {word for word in rest if word.startswith("-")} <= COMMAND_FLAGS


@pytest.mark.parametrize("name", ALGORITHMS)
def test_help_says_when_to_choose_it(name: str) -> None:
    assert re.search(rf"\[bold\]{re.escape(name)}\[/\].*: \w+", rl.__doc__ or "")
