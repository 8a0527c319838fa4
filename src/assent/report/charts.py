"""Charts as SVG: lines against numbers, and calibration.

Colours are classes (`c-1`, `c-base`, …) that the page's style resolves, so that light, dark and print each have theirs.
Every chart carries a title and a description for those who cannot see it, and a table of its numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from assent.report.axes import Axis, fit_axis
from assent.report.data import CalibrationBin
from assent.report.markup import Child, Markup, el, join, table
from assent.report.wording import known, number, percent_interval

WIDTH, HEIGHT = 460.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 16.0, 28.0, 46.0
TABLE_ROWS = 24
MOST_DOTS = 150  # of one line; a page of a long run stays small
SMOOTH_ABOVE = 24  # a line of more points than this is drawn as their running mean, over faint points


Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """A line: points in the order they are joined; those that are not known are gaps."""

    name: str
    hue: str
    points: Sequence[tuple[float | None, float | None]]  # (x, y)
    dashed: bool = False
    joined: bool = True

    def drawn(self) -> list[Point]:
        """The points that can be drawn."""
        return [(x, y) for a, b in self.points if (x := known(a)) is not None and (y := known(b)) is not None]


@dataclass(frozen=True)
class Rule:
    """A limit, drawn across the chart: at an x (upright) or at a y."""

    label: str
    value: float
    upright: bool = False


@dataclass(frozen=True)
class Frame:
    """A plotting area: axes and where they lie."""

    x: Axis
    y: Axis
    width: float = WIDTH
    height: float = HEIGHT

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a point in the drawing's units."""
        return (
            LEFT + self.x.place(x) * (self.width - LEFT - RIGHT),
            self.height - BOTTOM - self.y.place(y) * (self.height - TOP - BOTTOM),
        )

    def draw(self) -> Markup:
        """Grid, ticks and labels."""
        right, bottom = self.width - RIGHT, self.height - BOTTOM
        parts: list[Child] = []
        for tick in self.y.ticks:
            _, y = self.at(self.x.low, tick)
            parts.append(el("line", x1=LEFT, x2=right, y1=y, y2=y, class_="grid"))
            parts.append(el("text", self.y.tick_label(tick), x=LEFT - 8, y=y + 4, class_="tick end"))
        for tick in self.x.ticks:
            x, _ = self.at(tick, self.y.low)
            parts.append(el("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
            parts.append(el("text", self.x.tick_label(tick), x=x, y=bottom + 18, class_="tick middle"))
        parts.append(el("line", x1=LEFT, x2=right, y1=bottom, y2=bottom, class_="axis"))
        parts.append(el("text", self.y.label, x=2, y=14, class_="label"))
        parts.append(el("text", self.x.label, x=right, y=self.height - 6, class_="label end"))
        return join(parts)


def line_chart(
    key: str,
    title: str,
    description: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    root: bool = False,
    rules: Sequence[Rule] = (),
    shade: tuple[int, int] | None = None,
    y_axis: Axis | None = None,
    x_reach: Sequence[float] = (),
) -> Markup:
    """Lines with a common pair of axes, a legend and a table.

    Args:
        key: unique in the page; names the chart's parts.
        title: heading.
        description: what is to be seen, for the caption and for screen readers.
        series: at least one with a known point, else a sentence takes the chart's place.
        x_label: with unit.
        y_label: with unit.
        root: space x by the square root.
        rules: limits to draw.
        shade: two series between which the gap is shaded.
        y_axis: to share an axis between charts.
        x_reach: x values the axis must reach.
    """
    held = [each for each in series if each.drawn()]
    if not held:
        return _figure(title, description, el("p", "Nothing was measured here.", class_="missing"))
    parts = plot(series, x_label, y_label, root=root, rules=rules, shade=shade, y_axis=y_axis, x_reach=x_reach)
    keys = legend([(each.name, each.hue, each.dashed) for each in held]) if len(held) > 1 else None
    drawing = svg(key, title, description, WIDTH, HEIGHT, *parts)
    return _figure(title, description, keys, drawing, _numbers(held, x_label, y_label))


def plot(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    root: bool = False,
    rules: Sequence[Rule] = (),
    shade: tuple[int, int] | None = None,
    y_axis: Axis | None = None,
    x_reach: Sequence[float] = (),
) -> list[Child]:
    """The lines and their axes, WIDTH by HEIGHT, to be put into a drawing; see `line_chart`.

    Raises:
        ValueError: no series has a point that is known.
    """
    held = [each for each in series if each.drawn()]
    if not held:
        raise ValueError("there is nothing to draw: no series has a point that is known")
    xs = [x for each in held for x, _ in each.drawn()]
    ys = [y for each in held for _, y in each.drawn()]
    x_axis = fit_axis(xs, x_label, include=[*x_reach, *(r.value for r in rules if r.upright)], root=root)
    y_axis = y_axis or fit_axis(ys, y_label, include=[rule.value for rule in rules if not rule.upright])
    frame = Frame(x_axis, y_axis)
    parts: list[Child] = [frame.draw(), *(_rule(rule, frame) for rule in rules)]
    if shade:
        parts.append(_gap(series[shade[0]], series[shade[1]], frame))
    return parts + [_line(each, frame) for each in held]


def calibration_chart(key: str, bins: Sequence[CalibrationBin]) -> Markup:
    """How often people preferred a completion, against the chance the reward model gave it. The diagonal is perfect."""
    title, description = (
        "Calibration",
        "Chance the reward model gives, against how often people agreed; dashed: perfect.",
    )
    unit = fit_axis((0.0, 1.0), percent=True, target=4)
    frame = Frame(
        Axis("predicted", 0.0, 1.0, unit.ticks, percent=True), Axis("observed", 0.0, 1.0, unit.ticks, percent=True)
    )
    held = [
        (x, y, known(each.get("count", each.get("pairs"))) or 0.0)
        for each in bins
        if (x := known(each.get("predicted"))) is not None and (y := known(each.get("observed"))) is not None
    ]
    if not held:
        return _figure(title, description, el("p", "Nothing was measured here.", class_="missing"))
    most = max(count for _, _, count in held) or 1.0
    (x1, y1), (x2, y2) = frame.at(0, 0), frame.at(1, 1)
    parts: list[Child] = [frame.draw(), el("line", x1=x1, y1=y1, x2=x2, y2=y2, class_="rule")]
    path = " ".join(f"{px:.1f},{py:.1f}" for px, py in (frame.at(x, y) for x, y, _ in held))
    parts.append(el("polyline", points=path, class_="line c-1"))
    for x, y, count in held:
        px, py = frame.at(x, y)
        words = f"said {percent_interval({'value': x})}, was {percent_interval({'value': y})}, {number(count)} pairs"
        parts.append(el("circle", el("title", words), cx=px, cy=py, r=3 + 5 * (count / most) ** 0.5, class_="dot c-1"))
    rows = [[percent_interval({"value": x}), percent_interval({"value": y}), number(count)] for x, y, count in held]
    fallback = el("details", el("summary", "The numbers"), table(["predicted", "observed", "pairs"], rows))
    return _figure(title, description, svg(key, title, description, WIDTH, HEIGHT, *parts), fallback)


def svg(key: str, title: str, description: str, width: float, height: float, *parts: Child) -> Markup:
    """A drawing that scales with the page and says what it shows."""
    return el(
        "svg",
        el("title", title, id=f"{key}-t"),
        el("desc", description, id=f"{key}-d"),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        aria_labelledby=f"{key}-t {key}-d",
    )


def _figure(title: str, description: str, *parts: Child) -> Markup:
    caption = el("figcaption", el("h3", title), el("p", description))
    return el("figure", caption, *parts, class_="chart")


def legend(entries: Sequence[tuple[str, str, bool]]) -> Markup:
    """What the colours mean: (name, hue, dashed) each."""
    items = (
        el("li", el("span", class_=f"swatch {hue}{' dashed' if dashed else ''}"), el("bdi", name))
        for name, hue, dashed in entries
    )
    return el("ul", *items, class_="legend")


def _line(series: Series, frame: Frame) -> Markup:
    points = series.drawn()
    dense = len(points) > SMOOTH_ABOVE
    line = _thinned(running_mean(points), 2 * MOST_DOTS) if dense else points
    parts: list[Child] = []
    for x, y in _thinned(points, MOST_DOTS):
        px, py = frame.at(x, y)
        words = el("title", f"{series.name}: {number(x)}, {number(y)}")
        faint = "dot faint" if dense else "dot"
        parts.append(el("circle", words, cx=px, cy=py, r=2.2 if dense else 3.5, class_=f"{faint} {series.hue}"))
    if series.joined and len(line) > 1:
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in (frame.at(x, y) for x, y in line))
        style = f"line {series.hue}{' dashed' if series.dashed else ''}"
        parts.insert(len(parts) if dense else 0, el("polyline", points=path, class_=style))
    return join(parts)


def _thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Every n-th point and the last."""
    stride = -(-len(points) // most)
    return [point for i, point in enumerate(points) if i % stride == 0 or i == len(points) - 1]


def running_mean(points: Sequence[Point]) -> list[Point]:
    """Mean of x and y over a centred window of about a twelfth of the points, shorter at the ends."""
    half = max(1, len(points) // 24)
    sums = [list(accumulate((point[axis] for point in points), initial=0.0)) for axis in (0, 1)]
    means = []
    for i in range(len(points)):
        start, end = max(0, i - half), min(len(points), i + half + 1)
        x, y = ((along[end] - along[start]) / (end - start) for along in sums)
        means.append((x, y))
    return means


def _rule(rule: Rule, frame: Frame) -> Markup:
    if rule.upright:
        x, _ = frame.at(rule.value, frame.y.low)
        end = x > frame.width * 0.6
        line = el("line", x1=x, x2=x, y1=TOP, y2=frame.height - BOTTOM, class_="rule")
        side = "end" if end else ""
        return join([line, el("text", rule.label, x=x + (-5 if end else 5), y=TOP + 10, class_=f"label {side}")])
    _, y = frame.at(frame.x.low, rule.value)
    line = el("line", x1=LEFT, x2=frame.width - RIGHT, y1=y, y2=y, class_="rule")
    return join([line, el("text", rule.label, x=frame.width - RIGHT, y=y - 5, class_="label end")])


def _gap(upper: Series, lower: Series, frame: Frame) -> Markup | None:
    """The area in which the first line is above the second; the two share their x values."""
    pairs = [
        (x, a, b)
        for (p, q), (_, r) in zip(upper.points, lower.points, strict=True)
        if (x := known(p)) is not None and (a := known(q)) is not None and (b := known(r)) is not None
    ]
    whole: list[tuple[float, float, float]] = []
    for x, a, b in pairs:
        if whole and (whole[-1][1] - whole[-1][2]) * (a - b) < 0:
            x0, a0, b0 = whole[-1]
            share = (a0 - b0) / ((a0 - b0) - (a - b))
            meeting = a0 + share * (a - a0)
            whole.append((x0 + share * (x - x0), meeting, meeting))
        whole.append((x, a, b))
    if not any(a > b for _, a, b in whole):
        return None
    there = [frame.at(x, max(a, b)) for x, a, b in whole]
    back = [frame.at(x, b) for x, _, b in reversed(whole)]
    return el("polygon", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in [*there, *back]), class_="gap")


def _numbers(series: Sequence[Series], x_label: str, y_label: str) -> Markup:
    rows, thinned = [], False
    for each in series:
        points = each.drawn()
        stride = -(-len(points) // TABLE_ROWS)
        thinned |= stride > 1
        rows += [[each.name, number(x), number(y)] for x, y in points[::stride]]
    note = el("p", "Some points are left out here; all are in report.json.") if thinned else None
    return el("details", el("summary", "The numbers"), table(["", x_label, y_label], rows), note)
