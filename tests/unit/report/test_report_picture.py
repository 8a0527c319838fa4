"""A figure that stands alone: well-formed, readable in light and dark, with its legend inside."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from assent.report.charts import Rule, Series
from assent.report.picture import picture

SVG = "{http://www.w3.org/2000/svg}"
LINES = [Series("a < b", "c-1", [(0.0, 1.0), (1.0, 2.0)]), Series("dots", "c-2", [(0.5, 1.0)], joined=False)]


def test_it_brings_its_own_style_and_legend() -> None:
    root = ElementTree.fromstring(picture("k", "Title", "What is seen", LINES, "x", "y", rules=[Rule("most", 2.5)]))
    style = root.findtext(f"{SVG}style") or ""
    assert style.count(":root") == 2 and "prefers-color-scheme:dark" in style
    used = {name for each in root.iter() for name in each.get("class", "").split()}
    assert {"c-1", "c-2", "line", "dot", "grid", "paper"} <= used
    assert [name for name in used - {"tick", "label"} if f".{name}" not in style] == []
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert {"a < b", "dots", "most", "x", "y"} <= set(words)
    assert root.findtext(f"{SVG}title") == "Title"


def test_the_legend_has_room() -> None:
    alone, many = (picture("k", "T", "D", lines, "x", "y") for lines in (LINES[:1], LINES * 3))
    heights = [float(ElementTree.fromstring(drawn).get("viewBox", "").split()[3]) for drawn in (alone, many)]
    assert heights[1] == heights[0] + 3 * 20


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        picture("k", "T", "D", [Series("gap", "c-1", [(None, 1.0)])], "x", "y")
