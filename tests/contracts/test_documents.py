"""What the documents tell a reader to type, and to look at, is there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from assent.config import Settings, flatten
from assent.config.load import TYPES

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"(?:\]\(|(?:src|srcset|href)=\")([^)\"#\s]+)")

HELP_OF_ALL = """
import contextlib, io, json, sys
from assent.cli import main
found = {}
for command in json.loads(sys.argv[1]):
    sys.argv = ["assent", command, "--help"]
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        try:
            code = main() or 0
        except SystemExit as stop:
            code = stop.code or 0
    found[command] = text.getvalue() if code == 0 else None
print(json.dumps(found))
"""


def snippets(program: str) -> list[list[str]]:
    """Every call of `program` in the documents' code, as words: what follows the program's name."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        code = [line for block in FENCE.findall(text) for line in block.replace("\\\n", " ").splitlines()]
        prose = FENCE.sub("", text).replace("\\\n", " ")
        code += INDENTED.findall(prose) + INLINE.findall(prose)
        for line in code:
            name, _, arguments = line.strip().removeprefix("$ ").partition(" ")
            if Path(name).name == program and arguments:
                found.append(shlex.split(arguments, comments=True))
    return found


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {word for words in snippets("make") for word in words if re.fullmatch(r"[a-z-]+", word)}
    assert {"demo", "test", "check"} <= named
    assert named - targets == set()


@pytest.fixture(scope="module")
def help_texts() -> dict[str, str | None]:
    commands = sorted({words[0] for words in snippets("assent") if re.fullmatch(r"[a-z-]+", words[0])})
    result = subprocess.run(
        [sys.executable, "-c", HELP_OF_ALL, json.dumps(commands)],
        capture_output=True,
        text=True,
        env={"PATH": "", "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def test_commands_exist(help_texts: dict[str, str | None]) -> None:
    assert {"demo", "init", "loop"} <= help_texts.keys()
    assert [command for command, text in help_texts.items() if text is None] == []


def test_flags_exist(help_texts: dict[str, str | None]) -> None:
    settings = {name for name, _, _ in flatten(Settings.model_validate({"task": "household"}))}
    for section, (known, _) in TYPES.items():  # a page may be about any type of a section
        settings |= {f"{section}.{name}" for model in known.values() for name in model.model_fields}
    unknown = []
    for words in snippets("assent"):
        for flag in (word.partition("=")[0] for word in words if word.startswith("--")):
            known = flag[2:].replace("-", "_") in settings | of_any_algorithm()
            if not known and flag not in (help_texts.get(words[0]) or ""):
                unknown.append((words[0], flag))
    assert unknown == []


def of_any_algorithm() -> set[str]:
    """Settings of all algorithms: a page is about one of them, and the default is but one too."""
    from assent.config.algorithm import ALGORITHMS

    return {f"algorithm.{name}" for settings in ALGORITHMS.values() for name in settings.model_fields}


def test_links_lead_somewhere() -> None:
    missing = []
    for document in DOCUMENTS:
        for link in LINK.findall(document.read_text(encoding="utf-8")):
            if "://" not in link and not (document.parent / link).exists():
                missing.append(f"{document.name}: {link}")
    assert missing == []


def test_the_file_tree_is_true() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = [
        block for block in re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL) if "src/" in block
    ]
    parents: list[tuple[int, Path]] = []
    named = set()
    for line in block.splitlines():
        indent, name = len(line) - len(line.lstrip()), line.split()[0]
        parents = [(depth, path) for depth, path in parents if depth < indent]
        path = (parents[-1][1] if parents else ROOT) / name
        named.add(path)
        parents.append((indent, path))
    assert [str(path) for path in named if not path.exists()] == []
    rooms = {child for child in (ROOT / "src" / "assent").iterdir() if (child / "__init__.py").exists()}
    assert rooms - named == set()
