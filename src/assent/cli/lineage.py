"""`assent lineage`: where an artifact came from, and what came of it; or of a judgement."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from assent.cli.opening import console_for
from assent.cli.options import HERE, AsJson, Where
from assent.store import Node, Store, Workspace, ancestors, descendants, find, list_artifacts, list_promotions
from assent.types.errors import SettingsError

COLOURS = {"artifact": "bold cyan", "run": "green", "judgements": "magenta", "judgement": "magenta", "person": "yellow"}


def lineage(
    wanted: Annotated[
        str | None,
        typer.Argument(
            metavar="[ARTIFACT]", help="its id, or the beginning of it, or judgement:12", show_default=False
        ),
    ] = None,
    up: Annotated[bool, typer.Option("--up", help="only what it came from")] = False,
    down: Annotated[bool, typer.Option("--down", help="only what came of it")] = False,
    workspace: Where = HERE,
    as_json: AsJson = False,
) -> None:
    """What an artifact was made from, down to the people, and what came of it; or what a judgement shaped.

    Without an argument, all artifacts are listed.
    """
    if up and down:
        raise SettingsError("--up and --down exclude each other", "leave both out to see both ways")
    console = console_for(as_json=False)
    with Workspace.open(workspace).open_store() as store:
        if wanted is None:
            _list(store, console, as_json)
            return
        reference = find(store, wanted)
        found: dict[str, Node] = {}
        if not down:
            found["came from"] = ancestors(store, reference)
        if not up:
            found["came of it"] = descendants(store, reference)
    if as_json:
        keys = {"came from": "up", "came of it": "down"}
        print(json.dumps({"id": str(reference), **{keys[way]: as_value(node) for way, node in found.items()}}))
        return
    for way, node in found.items():
        console.print(f"[dim]what {'it ' if way == 'came from' else ''}{way}[/]")
        console.print(tree(node))


def as_value(node: Node) -> dict[str, Any]:
    """A lineage tree as JSON values."""
    return {
        "kind": node.kind,
        "id": node.id,
        "title": node.title,
        "role": node.role,
        "facts": dict(node.facts),
        "repeated": node.repeated,
        "children": [as_value(child) for child in node.children],
    }


def tree(node: Node, into: Tree | None = None) -> Tree:
    """A lineage tree as rich draws it; the people of one body of judgements share a line."""
    text = _label(node)
    drawn = Tree(text) if into is None else into.add(text)
    for child in _gathered(node.children):
        if isinstance(child, str):
            drawn.add(child)
        else:
            tree(child, drawn)
    return drawn


def _gathered(children: tuple[Node, ...]) -> Iterator[Node | str]:
    people: dict[str, list[Node]] = {}
    for child in children:
        if child.kind == "person":
            people.setdefault(str(child.facts["kind"]), []).append(child)
    for kind, found in people.items():
        names = ", ".join(f"{escape(str(person.facts['name']))} ({person.facts['count']})" for person in found)
        yield f"[dim]judged by[/] [yellow]{len(found)} {kind} {'person' if len(found) == 1 else 'people'}[/]: {names}"
    yield from (child for child in children if child.kind != "person")


def _label(node: Node) -> str:
    role = f"[dim]{escape(node.role)}[/] " if node.role else ""
    colour = COLOURS.get(node.kind, "default")
    again = " [dim](unfolded above)[/]" if node.repeated else ""
    return f"{role}[{colour}]{escape(node.title)}[/]{again}"


def _list(store: Store, console: Console, as_json: bool) -> None:
    promoted = {promotion.artifact_id: promotion for promotion in list_promotions(store)}
    found = list_artifacts(store)
    if as_json:
        rows = [{"id": a.id, "kind": a.kind, "run": a.run_id, "path": a.path, "parents": a.parents} for a in found]
        print(json.dumps({"artifacts": rows}))
        return
    if not found:
        console.print("no artifacts yet: `assent loop` makes them", markup=False)
        return
    table = Table(box=None)
    for name in ("artifact", "kind", "made by", ""):
        table.add_column(name)
    for each in found:
        verdict = promoted.get(each.id)
        note = "" if verdict is None else "promoted" if verdict.promoted else "not promoted"
        table.add_row(each.id, each.kind, each.run_id or "given", note)
    console.print(table)
