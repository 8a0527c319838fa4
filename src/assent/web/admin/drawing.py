"""The report's charts on pages: what is safe there by construction is so here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from assent.feedback import Interval
from assent.report.bars import interval_chart
from assent.report.charts import Rule, Series, calibration_chart, line_chart
from assent.report.data import Interval as Shown

__all__ = ["Rule", "Series", "calibration", "columns", "intervals", "lines"]


def lines(
    key: str,
    title: str,
    words: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    rules: Sequence[Rule] = (),
) -> Markup:
    """Lines against a number; see `line_chart`."""
    return Markup(line_chart(key, title, words, series, x_label, y_label, rules=rules))


def intervals(
    key: str, title: str, rows: Sequence[tuple[str, str, Interval]], reference: float | None = None
) -> Markup:
    """Shares with their intervals on a common line: (name, hue, interval) each."""
    shown: list[tuple[str, str, Shown]] = [
        (name, hue, {"value": each.value, "low": each.low, "high": each.high}) for name, hue, each in rows
    ]
    return Markup(interval_chart(key, title, shown, reference=reference))


def calibration(key: str, bins: Sequence[Mapping[str, float]]) -> Markup:
    """A reward model's chances against what people said."""
    kept = [{"predicted": b["predicted"], "observed": b["observed"], "pairs": b["pairs"]} for b in bins]
    return Markup(calibration_chart(key, kept))  # type: ignore[arg-type]


def columns(key: str, title: str, bars: Sequence[tuple[str, int]], hue: str = "c-1") -> Markup:
    """Counts as columns with their numbers above: (name, count) each."""
    from assent.report.charts import svg
    from assent.report.markup import Child, el

    width, height, top, bottom = 460.0, 200.0, 24.0, 168.0
    most = max((count for _, count in bars), default=0) or 1
    room = width / max(1, len(bars))
    parts: list[Child] = [el("line", x1=0, x2=width, y1=bottom, y2=bottom, class_="axis")]
    for place, (name, count) in enumerate(bars):
        middle, tall = room * (place + 0.5), (bottom - top) * count / most
        thick = min(56.0, room * 0.66)
        parts.append(
            el("rect", x=middle - thick / 2, y=bottom - tall, width=thick, height=tall, rx=3, class_=f"bar {hue}")
        )
        parts.append(
            el(
                "text",
                f"{count:,}".replace(",", "\N{THIN SPACE}"),
                x=middle,
                y=bottom - tall - 6,
                class_="strong middle",
            )
        )
        parts.append(el("text", name, x=middle, y=bottom + 18, class_="middle"))
    words = "; ".join(f"{name}: {count}" for name, count in bars)
    return Markup(svg(key, title, words, width, height, *parts))
