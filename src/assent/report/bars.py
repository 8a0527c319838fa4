"""Estimates with their intervals, as SVG: bars with error bars, and points with whiskers on a common line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assent.report.axes import fit_axis
from assent.report.charts import legend, svg
from assent.report.data import Interval
from assent.report.markup import Child, Markup, el, table
from assent.report.wording import known, mark, mark_interval, percent_interval

WRITTEN_BARS = 5  # with more bars than this, their values are in the table only


@dataclass(frozen=True)
class Bar:
    """A bar with its interval."""

    name: str
    hue: str
    interval: Interval


def bar_charts(key: str, groups: Sequence[tuple[str, str, Sequence[Bar]]]) -> Markup:
    """Small multiples: for each group (name, caption, bars) bars from 0 to 1 with error bars; one legend, one table.

    Groups stand beside one another on a wide page and below one another on a phone; all share one scale.
    """
    names = list(dict.fromkeys((bar.name, bar.hue, False) for _, _, bars in groups for bar in bars))
    charts = [_bars(f"{key}-{i}", name, caption, bars) for i, (name, caption, bars) in enumerate(groups)]
    columns = [name for name, _, _ in names]
    rows = []
    for group, _, bars in groups:
        by_name = {bar.name: mark_interval(bar.interval) for bar in bars}
        rows.append([group, *(by_name.get(name, mark(None)) for name in columns)])
    fallback = el("details", el("summary", "The numbers"), table(["mark (95 % interval)", *columns], rows))
    return el("figure", legend(names), el("div", *charts, class_="multiples"), fallback, class_="chart")


def interval_chart(
    key: str, title: str, rows: Sequence[tuple[str, str, Interval]], *, reference: float | None = None
) -> Markup:
    """Shares with their intervals on a common line: (name, hue, interval) a row. `reference` is drawn across."""
    values = [known(each.get(part)) for _, _, each in rows for part in ("value", "low", "high")]
    include = [] if reference is None else [reference]
    axis = fit_axis([v for v in values if v is not None], include=include, percent=True, target=4)
    left, right, row_height, width = 12.0, 448.0, 44.0, 460.0
    bottom = row_height * len(rows) + 6

    def across(value: float) -> float:
        return left + axis.place(value) * (right - left)

    parts: list[Child] = []
    for tick in axis.ticks:
        x = across(tick)
        parts.append(el("line", x1=x, x2=x, y1=4, y2=bottom, class_="grid"))
        parts.append(el("text", axis.tick_label(tick), x=x, y=bottom + 17, class_="tick middle"))
    if reference is not None:
        parts.append(el("line", x1=across(reference), x2=across(reference), y1=4, y2=bottom, class_="rule"))
    for i, (name, hue, interval) in enumerate(rows):
        base = row_height * i + 32
        parts.append(el("text", name, x=left, y=base - 13, class_="label strong"))
        parts.append(el("text", percent_interval(interval), x=right, y=base - 13, class_="label end"))
        low, value, high = (known(interval.get(part)) for part in ("low", "value", "high"))
        if low is not None and high is not None:
            parts.append(el("line", x1=across(low), x2=across(high), y1=base, y2=base, class_=f"whisker {hue}"))
        if value is not None:
            parts.append(el("circle", cx=across(value), cy=base, r=5.5, class_=f"dot {hue}"))
    words = "; ".join(f"{name}: {percent_interval(interval)}" for name, _, interval in rows)
    return svg(key, title, words, width, bottom + 24, *parts)


def _bars(key: str, title: str, caption: str, bars: Sequence[Bar]) -> Markup:
    width, height, left, top, bottom = 220.0, 210.0, 30.0, 14.0, 184.0
    room = (width - left - 4) / max(1, len(bars))
    thick = min(40.0, room * 0.7)

    def up(value: float) -> float:
        return bottom - min(1.0, max(0.0, value)) * (bottom - top)

    parts: list[Child] = []
    for tick, text in ((0.0, "0"), (0.5, "0.5"), (1.0, "1")):
        parts.append(el("line", x1=left, x2=width, y1=up(tick), y2=up(tick), class_="grid" if tick else "axis"))
        parts.append(el("text", text, x=left - 6, y=up(tick) + 4, class_="tick end"))
    for i, bar in enumerate(bars):
        middle = left + 2 + room * (i + 0.5)
        low, value, high = (known(bar.interval.get(part)) for part in ("low", "value", "high"))
        if value is None:
            parts.append(el("text", mark(None), x=middle, y=bottom - 6, class_="tick middle"))
            continue
        words = el("title", f"{bar.name}, {title}: {mark_interval(bar.interval)}")
        shape = {"x": middle - thick / 2, "y": up(value), "width": thick, "height": bottom - up(value)}
        parts.append(el("rect", words, **shape, rx=3, class_=f"bar {bar.hue}"))
        if low is not None and high is not None:
            path = f"M{middle:.1f} {up(low):.1f}V{up(high):.1f}m-4 0h8M{middle - 4:.1f} {up(low):.1f}h8"
            parts.append(el("path", d=path, class_="error"))
        if len(bars) <= WRITTEN_BARS:
            parts.append(el("text", mark(value), x=middle, y=bottom + 16, class_="tick middle"))
    words_all = "; ".join(f"{bar.name}: {mark_interval(bar.interval)}" for bar in bars)
    drawing = svg(key, title, words_all, width, height, *parts)
    return el("div", el("h3", el("bdi", title)), el("p", caption, class_="small"), drawing)
