from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.report.axes import fit_axis
from assent.report.bars import Bar, bar_charts, interval_chart
from assent.report.charts import Frame, Rule, Series, calibration_chart, line_chart, running_mean
from assent.report.markup import Markup, bullets, el, join, table
from assent.report.wording import duration, hue, moment, number, percent, percent_interval

FINITE = st.floats(-1e12, 1e12, allow_nan=False)


def drawing(markup: str) -> ElementTree.Element:
    found = re.search(r"<svg.*?</svg>", markup, flags=re.S)
    assert found
    return ElementTree.fromstring(found.group())


def every(root: ElementTree.Element, name: str, class_: str) -> list[ElementTree.Element]:
    return [e for e in root.iter() if e.tag.endswith("}" + name) and class_ in (e.get("class") or "").split()]


def test_only_markup_goes_in_unescaped() -> None:
    assert el("p", "<b>", Markup("<i>x</i>"), None, title='"q"') == '<p title="&quot;q&quot;">&lt;b&gt;<i>x</i></p>'
    assert el("p", Markup("<i>") + "<b>") == "<p>&lt;i&gt;&lt;b&gt;</p>"  # added to a string it is a string again
    assert join(["a & b", Markup("&amp;")]) == "a &amp; b&amp;"
    assert bullets(["<li>"]) == '<ul><li dir="auto">&lt;li&gt;</li></ul>'
    assert bullets([]) is None
    assert "<td>&lt;x&gt;</td>" in table(["a", "b"], [["r", "<x>"]])


def test_attributes() -> None:
    assert el("path", d="M0 0", stroke_width=1.5, class_="a", hidden=None, open=True) == (
        '<path d="M0 0" stroke-width="1.5" class="a" open=""/>'
    )
    assert el("line", x1=10.0, y1=-0.0001, x2=0.1 + 0.2) == '<line x1="10" y1="0" x2="0.3"/>'
    assert el("td") == "<td></td>"


@given(st.lists(FINITE, max_size=8), st.booleans(), st.booleans())
def test_an_axis_holds_its_values(values: list[float], root: bool, percent: bool) -> None:
    axis = fit_axis([abs(v) for v in values] if root else values, root=root, percent=percent)
    assert axis.low < axis.high
    assert list(axis.ticks) == sorted(set(axis.ticks))
    assert 2 <= len(axis.ticks) <= 9
    slack = 1e-6 * (axis.high - axis.low)
    assert all(axis.low - slack <= (abs(v) if root else v) <= axis.high + slack for v in values)
    places = [axis.place(tick) for tick in axis.ticks]
    assert places == sorted(places) and places[-1] == pytest.approx(1.0)
    assert len({axis.tick_label(tick) for tick in axis.ticks}) == len(axis.ticks)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.0, 1.0], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([0, 1.2], ["0.00", "0.25", "0.50", "0.75", "1.00", "1.25"]),
        ([-3, 11], ["−5", "0", "5", "10", "15"]),
        ([1.0e9, 1.2e9], ["1.00e9", "1.05e9", "1.10e9", "1.15e9", "1.20e9"]),
        ([0, 4e-6], ["0", "1e−6", "2e−6", "3e−6", "4e−6"]),
        ([7.0], ["6.0", "6.5", "7.0", "7.5", "8.0"]),
    ],
)
def test_ticks_are_round_and_told_apart(values: list[float], labels: list[str]) -> None:
    axis = fit_axis(values)
    assert [axis.tick_label(tick) for tick in axis.ticks] == labels


def test_shares_are_written_as_percentages() -> None:
    axis = fit_axis([0.713, 0.722], percent=True, target=4)
    assert [axis.tick_label(t) for t in axis.ticks] == ["71.25%", "71.50%", "71.75%", "72.00%", "72.25%"]


def test_root_axis_starts_at_zero_and_spaces_by_the_root() -> None:
    axis = fit_axis([1.0, 98.0], root=True)
    assert (axis.low, axis.high) == (0.0, 100.0)
    assert axis.place(25.0) == pytest.approx(0.5)


def test_points_lie_where_the_axes_say() -> None:
    series = Series("a", "c-1", [(0.0, 0.0), (5.0, 10.0), (10.0, 5.0)])
    root = drawing(line_chart("k", "t", "d", [series], "x", "y"))
    frame = Frame(fit_axis([0, 10]), fit_axis([0, 10]))
    dots = [(float(e.get("cx", "")), float(e.get("cy", ""))) for e in every(root, "circle", "dot")]
    expected = [frame.at(x, y) for x, y in ((0, 0), (5, 10), (10, 5))]
    assert dots == [pytest.approx(place, abs=0.01) for place in expected]
    (line,) = every(root, "polyline", "line")
    assert len((line.get("points") or "").split()) == 3


def test_one_point_is_a_dot_without_a_line_and_none_is_a_sentence() -> None:
    root = drawing(line_chart("k", "t", "d", [Series("a", "c-1", [(3.0, 4.0)])], "x", "y"))
    assert len(every(root, "circle", "dot")) == 1 and every(root, "polyline", "line") == []
    empty = line_chart("k", "t", "d", [Series("a", "c-1", [(1.0, None), (float("nan"), 2.0)])], "x", "y")
    assert "<svg" not in empty and "Nothing was measured here." in empty


def test_limits_are_within_the_chart() -> None:
    rules = [Rule("budget", 15.0, upright=True), Rule("top", 9.0)]
    root = drawing(line_chart("k", "t", "d", [Series("a", "c-1", [(0.0, 0.0), (3.0, 2.0)])], "x", "y", rules=rules))
    upright, level = every(root, "line", "rule")
    assert upright.get("x1") == upright.get("x2") and 54 < float(upright.get("x1", "")) <= 444
    assert level.get("y1") == level.get("y2") and 28 <= float(level.get("y1", "")) < 234


def test_gap_is_shaded_only_where_the_first_line_is_above() -> None:
    upper = Series("proxy", "c-1", [(0.0, 0.0), (10.0, 10.0)])
    lower = Series("gold", "c-2", [(0.0, 10.0), (10.0, 0.0)])
    root = drawing(line_chart("k", "t", "d", [upper, lower], "x", "y", shade=(0, 1)))
    (gap,) = every(root, "polygon", "gap")
    xs = {float(pair.split(",")[0]) for pair in (gap.get("points") or "").split()}
    assert xs == {54.0, 249.0, 444.0}  # they meet at x = 5, the middle of 54 to 444
    heights = [tuple(map(float, pair.split(","))) for pair in (gap.get("points") or "").split()]
    assert heights[0][1] == heights[-1][1]  # left of it the area has no height
    none = drawing(
        line_chart("k", "t", "d", [lower, Series("b", "c-1", [(0.0, 11.0), (10.0, 12.0)])], "x", "y", shade=(0, 1))
    )
    assert every(none, "polygon", "gap") == []


def test_running_mean_of_a_line_is_the_line() -> None:
    line = [(float(i), 2.0 * i + 1) for i in range(100)]
    for x, y in running_mean(line):
        assert y == pytest.approx(2 * x + 1)
    assert running_mean([(0.0, 0.0), (1.0, 3.0), (2.0, 6.0), (3.0, 9.0)])[1] == (1.0, 3.0)


def test_bars_are_as_high_as_their_marks_with_whiskers_at_the_interval() -> None:
    bars = [Bar("sft", "c-sft", {"value": 0.5, "low": 0.4, "high": 0.6}), Bar("r", "c-1", {"value": 1.0})]
    root = drawing(bar_charts("k", [("helpful", "", bars)]))
    half, full = every(root, "rect", "bar")
    assert (float(half.get("height", "")), float(full.get("height", ""))) == (85.0, 170.0)
    (error,) = every(root, "path", "error")
    assert (error.get("d") or "").split("m")[0].endswith("116.0V82.0")  # 184 - 170 * (0.4, 0.6)


def test_a_mark_that_is_not_known_is_a_dash_not_a_bar() -> None:
    root = drawing(bar_charts("k", [("honest", "", [Bar("a", "c-1", {"value": None})])]))
    assert every(root, "rect", "bar") == []
    assert "–" in [e.text for e in root.iter() if e.tag.endswith("text")]


def test_intervals_lie_on_a_common_line() -> None:
    rows: Any = [("a", "c-1", {"value": 0.6, "low": 0.5, "high": 0.7}), ("b", "c-2", {"value": 0.7})]
    root = drawing(interval_chart("k", "t", rows, reference=0.5))
    first, second = every(root, "circle", "dot")
    (whisker,) = every(root, "line", "whisker")
    assert whisker.get("x2") == second.get("cx")  # both at 0.7
    (rule,) = every(root, "line", "rule")
    assert rule.get("x1") == whisker.get("x1")  # both at 0.5
    assert first.get("cx") == "230"  # 0.6 is the middle of 0.5 to 0.7


@pytest.mark.parametrize("word", ["count", "pairs"])
def test_calibration_dots_grow_with_their_pairs(word: str) -> None:
    bins: Any = [{"predicted": 0.2, "observed": 0.2, word: 10}, {"predicted": 0.8, "observed": 0.7, word: 90}]
    small, large = every(drawing(calibration_chart("k", bins)), "circle", "dot")
    assert float(small.get("r", "")) < float(large.get("r", "")) == 8.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.0, "0"),
        (8.7012345678, "8.70"),
        (0.123456, "0.123"),
        (-0.5, "−0.500"),
        (3.1e-7, "3.1e−7"),
        (12345.6, "12\N{THIN SPACE}346"),
        (1200, "1\N{THIN SPACE}200"),
        (1e300, "1e300"),
    ],
)
def test_numbers_are_short(value: float | None, text: str) -> None:
    assert number(value) == text


def test_shares_and_intervals() -> None:
    assert percent(0.7264) == "72.6\N{NO-BREAK SPACE}%"
    assert percent_interval({"value": 0.863, "low": 0.81, "high": 0.902}) == "86.3\N{NO-BREAK SPACE}% (81.0 to 90.2)"
    assert percent_interval({"value": 0.5, "low": None, "high": 0.6}) == "50.0\N{NO-BREAK SPACE}%"
    assert percent_interval(None) == "–"


def test_times() -> None:
    assert [duration(s) for s in (4.2, 283.4, 7500, None, -1)] == ["4.2 s", "4 min 43 s", "2 h 5 min", "–", "–"]
    assert moment("2026-11-21T06:42:10+00:00") == "21 November 2026, 06:42 UTC"
    assert moment("yesterday") == "yesterday"


def test_a_policy_has_one_colour_wherever_it_is_shown() -> None:
    assert [hue(who) for who in ("base", "SFT", "round 1", "Round 2", "round 7")] == [
        "c-base",
        "c-sft",
        "c-1",
        "c-2",
        "c-1",
    ]
    assert hue("my own", 2) == "c-3"
