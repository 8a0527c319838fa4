"""Small rooms with names that say what is in them, and nothing that could run what a stranger wrote."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "assent"
FILES = sorted(SOURCE.rglob("*.py"))
MAX_LINES = 400
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "manager", "handler", "handlers", "misc", "common"}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def by_path(file: Path) -> str:
    return file.relative_to(SOURCE).as_posix()


def test_files_are_short() -> None:
    lengths = {by_path(file): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_names_say_what_is_in_the_room() -> None:
    assert [by_path(file) for file in FILES if EMPTY_NAMES & {*file.stem.split("_"), *file.parent.parts}] == []


def unsafe(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names if name.name.split(".")[0] in UNSAFE_MODULES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in UNSAFE_MODULES:
                yield module
            case ast.Call(func=ast.Name(id="eval" | "exec" as name)):
                yield f"{name}(...)"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr="system" | "popen" as name)):
                yield f"os.{name}(...)"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="load"), keywords=keywords):
                if not any(word.arg == "weights_only" and _is(word.value, True) for word in keywords):
                    yield "torch.load(...) without weights_only=True"
            case ast.keyword(arg="trust_remote_code" | "shell" as name, value=value) if not _is(value, False):
                yield f"{name}="
            case ast.keyword(arg="weights_only", value=value) if not _is(value, True):
                yield "weights_only="


def _is(node: ast.expr, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize("file", FILES, ids=by_path)
def test_nothing_untrusted_is_run(file: Path) -> None:
    assert list(unsafe(ast.parse(file.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from dill import loads",
        "eval(text)",
        "os.system(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "load(path, trust_remote_code=True)",
        "load(path, trust_remote_code=flag)",
        "subprocess.run(text, shell=True)",
    ],
)
def test_the_search_for_unsafe_code_finds_it(code: str) -> None:
    assert list(unsafe(ast.parse(code))) != []


@pytest.mark.parametrize("code", ["model.eval()", "torch.load(path, weights_only=True)", "run(x, shell=False)"])
def test_the_search_for_unsafe_code_lets_the_rest_pass(code: str) -> None:
    assert list(unsafe(ast.parse(code))) == []
