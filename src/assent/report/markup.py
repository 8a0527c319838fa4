"""Markup that is safe by construction: whatever is not Markup already is escaped when it is put into an element."""

from __future__ import annotations

import html
from collections.abc import Iterable

_LEAVES = {"br", "circle", "line", "link", "meta", "path", "polygon", "polyline", "rect"}


class Markup(str):
    """Text that is markup. Joining or formatting it with other strings gives a plain string, which is escaped again."""

    __slots__ = ()


Child = str | None


def el(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """An element, well-formed as HTML and as XML.

    Args:
        name: of the element.
        children: Markup as it is, other text escaped, None left out.
        attributes: `class_` is class, other underscores are hyphens; None and False are left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _LEAVES and not children:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(parts: Iterable[Child]) -> Markup:
    """Parts one after the other; what is not Markup is escaped."""
    return Markup("".join(part if isinstance(part, Markup) else html.escape(part) for part in parts if part))


def bullets(items: Iterable[str], class_: str | None = None) -> Markup | None:
    """An unordered list, or None without items."""
    entries = [el("li", item, dir="auto") for item in items]
    return el("ul", *entries, class_=class_) if entries else None


def table(head: Iterable[str], rows: Iterable[Iterable[str]], class_: str | None = None) -> Markup:
    """A table that scrolls sideways where the page is narrow; the first cell of a row is its heading."""
    body = []
    for row in rows:
        first, *rest = row
        body.append(el("tr", el("th", first, scope="row"), *(el("td", cell) for cell in rest)))
    top = el("tr", *(el("th", cell, scope="col") for cell in head))
    return el("div", el("table", el("thead", top), el("tbody", *body), class_=class_), class_="scroll", tabindex="0")


def _attribute(value: str | float) -> str:
    if isinstance(value, bool):
        return ""
    if isinstance(value, str):
        return html.escape(value)
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
