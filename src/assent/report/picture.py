"""A chart as an SVG file of its own, for pages that bring no style: colours, light and dark, and legend are inside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files

from assent.report.charts import HEIGHT, WIDTH, Rule, Series, plot, svg
from assent.report.markup import Child, Markup, el, join

COLUMN, ROW = 222.0, 20.0  # of the legend
MARGIN = 12.0
# What a drawing needs of the page's style: the colours, in light and in dark, and how lines, dots and text look.
_COLOURS = re.compile(r"^(?:@media screen[^{]*\{\n  )?:root \{.*?\}(?:\n\})?", re.MULTILINE | re.DOTALL)
_DRAWN = re.compile(r"^(?:svg (?:text|\.)|\.(?:grid|axis|rule|c-|line|dot|gap)\b)[^\n]*", re.MULTILINE)


def picture(
    key: str,
    title: str,
    description: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    root: bool = False,
    rules: Sequence[Rule] = (),
) -> Markup:
    """Lines with axes and a legend, as `line_chart` draws them, in one SVG that stands alone.

    Args:
        key: names the drawing's parts.
        title: what it is; for screen readers.
        description: what is to be seen; for screen readers.
        series: at least one with a known point.
        x_label: with unit.
        y_label: with unit.
        root: space x by the square root.
        rules: limits to draw.

    Raises:
        ValueError: there is nothing to draw.
    """
    parts = plot(series, x_label, y_label, root=root, rules=rules)
    names = [each for each in series if each.drawn()]
    height = HEIGHT + (ROW * -(-len(names) // 2) if len(names) > 1 else 0.0)
    paper = el("rect", x=-MARGIN, y=-MARGIN, width=WIDTH + 2 * MARGIN, height=height + 2 * MARGIN, class_="paper")
    entries = join(_entry(each, i) for i, each in enumerate(names)) if len(names) > 1 else None
    drawing = svg(key, title, description, WIDTH, height, el("style", _style()), paper, *parts, entries)
    box = f"{-MARGIN:.0f} {-MARGIN:.0f} {WIDTH + 2 * MARGIN:.0f} {height + 2 * MARGIN:.0f}"
    return Markup(re.sub(r'viewBox="[^"]*"', f'viewBox="{box}"', drawing, count=1))


def _entry(series: Series, place: int) -> Markup:
    x, y = 2.0 + COLUMN * (place % 2), HEIGHT + 14.0 + ROW * (place // 2)
    swatch: Child
    if series.joined:
        style = f"line {series.hue}{' dashed' if series.dashed else ''}"
        swatch = el("line", x1=x, x2=x + 20, y1=y - 4, y2=y - 4, class_=style)
    else:
        swatch = el("circle", cx=x + 10, cy=y - 4, r=3.5, class_=f"dot {series.hue}")
    return join([swatch, el("text", series.name, x=x + 27, y=y, class_="label")])


def _style() -> Markup:
    """The part of the page's style that drawings use, so that colours stand in one place."""
    style = files("assent.report").joinpath("style.css").read_text(encoding="utf-8")
    rules = [match.group() for match in (*_COLOURS.finditer(style), *_DRAWN.finditer(style))]
    return Markup("\n".join([*rules, ".paper { fill: var(--card); }"]))
