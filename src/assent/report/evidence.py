"""Whether the reward model can be trusted: its health, the people behind it, and what RL made of its flaws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from assent.report.axes import Axis, fit_axis
from assent.report.bars import interval_chart
from assent.report.charts import Series, calibration_chart, line_chart
from assent.report.data import Health, Interval, OverOptimisation, ProxyGoldStep, ReportData, Round
from assent.report.markup import Markup, bullets, el, table
from assent.report.wording import hue, known, mark, number, percent

PROXY, GOLD = "c-1", "c-gold"
_RUNS: tuple[tuple[Literal["penalised", "unpenalised"], str, str, bool], ...] = (
    ("penalised", "with the KL penalty", "c-1", False),
    ("unpenalised", "without it", "c-4", True),
)


def health(data: ReportData) -> Markup | str:
    """For each round, what the reward model showed on held-out pairs before any RL."""
    held = [(each, found) for each in data.get("rounds") or [] if (found := each.get("health"))]
    if not held:
        return "No reward-model health: no reward model was trained on judgements."
    return el("div", *(_health(each["round"], found) for each, found in held), class_="pair")


def people(data: ReportData) -> Markup | str:
    """Who judged, how much, and how often two of them agree."""
    rounds = [each for each in data.get("rounds") or [] if each.get("agreement") or each.get("judgements") is not None]
    if not rounds:
        return "No judgements: no one was asked in what this report covers."
    total = sum(each.get("judgements") or 0 for each in rounds)
    kind = "simulated people" if data.get("simulated") else "people"
    rows: list[tuple[str, str, Interval]] = [
        (f"{_round(each)}: {number(each.get('judgements'))} judgements", hue(_round(each)), agreement)
        for each in rounds
        if (agreement := each.get("agreement"))
    ]
    lead = f"{number(total)} judgements by {kind}, blind: no one saw which policy wrote what."
    chart = el(
        "figure",
        el("figcaption", el("h3", "Agreement"), el("p", "How often two people order the same pair the same way.")),
        interval_chart("agreement", "Agreement of two people on the same pair", rows) if rows else None,
        None if rows else el("p", "No pair was judged by two people.", class_="missing"),
        class_="chart narrow",
    )
    return el("div", el("p", lead, class_="lead"), chart)


def over_optimisation(data: ReportData) -> Markup | str:
    """What the reward model says and what the gold judge says, as KL grows, with the KL penalty and without it."""
    found = data.get("over_optimisation")
    if not found or not (found.get("penalised") or found.get("unpenalised")):
        return "No over-optimisation panel: no run was measured for it."
    summary = el("p", found["summary"], class_="lead", dir="auto") if found.get("summary") else None
    if not any(known(step.get("gold")) is not None for step in _all(found)):
        words = "There is no gold judge in this project, so this shows the reward model's opinion alone."
        return el("div", summary, el("p", words, class_="missing"), _raw(found, "proxy", "Reward model", "score"))
    raw = el(
        "div",
        _raw(found, "proxy", "Reward model", "score"),
        _raw(found, "gold", "Gold judge", "mark, 0 to 1"),
        class_="pair",
    )
    method = (
        "Both lines start at 0 and are measured alike in the two charts: 1 is the most that the reward model, or the "
        "gold judge, moved in either run. Where the shaded gap opens, the policy learns what the reward model "
        "gets wrong (Gao, Schulman and Hilton 2022)."
    )
    return el(
        "div",
        summary,
        el("div", *_gaps(found), class_="pair"),
        el("p", method, class_="small"),
        _ends(found),
        el("details", el("summary", "In their own units"), raw, class_="more"),
    )


def _round(each: Round) -> str:
    return f"round {each['round']}"


def _health(number_of_round: int, found: Health) -> Markup:
    healthy, key = found.get("healthy", False), f"health-{number_of_round}"
    badge = "healthy" if healthy else ("unhealthy, forced" if found.get("forced") else "unhealthy")
    rows: list[tuple[str, str, Interval]] = []
    if accuracy := found.get("accuracy"):
        rows.append(("Reward model agrees with a person", "c-1", accuracy))
    if ceiling := found.get("ceiling"):
        rows.append(("Another person agrees: the ceiling", "c-base", ceiling))
    figures = [
        ["held-out pairs", number(found.get("pairs"))],
        ["calibration error", percent(found.get("calibration_error"))],
        ["rank correlation of score and length", mark(found.get("length_correlation"))],
    ]
    if (before := found.get("length_correlation_before")) is not None:
        figures.append(["the same before length was taken out", mark(before)])
    checks = [
        [name.replace("_", " "), number(value, 2)] for name, value in (found.get("score_differences") or {}).items()
    ]
    return el(
        "article",
        el("h3", f"Round {number_of_round} ", el("span", badge, class_=f"badge {'yes' if healthy else 'no'}")),
        bullets(found.get("reasons") or [], "reasons"),
        interval_chart(key, "Accuracy on held-out pairs beside the human ceiling", rows) if rows else None,
        None if rows else el("p", "Its accuracy could not be measured.", class_="missing"),
        None if ceiling else el("p", "No human ceiling: no pair was judged by two people.", class_="missing"),
        calibration_chart(f"{key}-calibration", found.get("calibration") or []),
        table(["figure", "value"], figures),
        table(["the same text scores the same", "largest difference"], checks) if checks else None,
        bullets(found.get("notes") or [], "small"),
        class_="card",
    )


def _all(found: OverOptimisation) -> list[ProxyGoldStep]:
    return [*(found.get("penalised") or []), *(found.get("unpenalised") or [])]


def _raw(found: OverOptimisation, which: Literal["proxy", "gold"], title: str, unit: str) -> Markup:
    series = [
        Series(name, colour, [(step.get("kl"), step.get(which)) for step in found.get(run) or []], dashed=dashed)
        for run, name, colour, dashed in _RUNS
    ]
    words = f"{title}: {unit} as the policy leaves its reference."
    return line_chart(f"raw-{which}", title, words, series, "KL (nats per sequence, root scale)", unit, root=True)


def _gaps(found: OverOptimisation) -> list[Markup]:
    """A chart for each run: the gains of proxy and gold on one scale, and the gap between them."""
    most = {which: _largest_gain(found, which) for which in ("proxy", "gold")}
    lines = {
        run: [
            Series("reward model (proxy)", PROXY, _gains(found.get(run) or [], "proxy", most["proxy"]), dashed=True),
            Series("gold judge", GOLD, _gains(found.get(run) or [], "gold", most["gold"])),
        ]
        for run, _, _, _ in _RUNS
    }
    heights = [y for pair in lines.values() for series in pair for _, y in series.drawn()]
    reach = [x for pair in lines.values() for series in pair for x, _ in series.drawn()]
    axis: Axis = fit_axis(heights, "gain since the start", include=(0.0, 1.0))
    titles = {"penalised": "With the KL penalty", "unpenalised": "Without it"}
    return [
        line_chart(
            f"gap-{run}",
            titles[run],
            "What the reward model says, and what the gold judge says." if found.get(run) else "This run was not made.",
            series,
            "KL (nats per sequence, root scale)",
            axis.label,
            root=True,
            shade=(0, 1),
            y_axis=axis,
            x_reach=reach,
        )
        for run, series in lines.items()
    ]


def _largest_gain(found: OverOptimisation, which: Literal["proxy", "gold"]) -> float:
    gains = [abs(y) for run, _, _, _ in _RUNS for _, y in _gains(found.get(run) or [], which, 1.0) if y is not None]
    return max(gains, default=0.0) or 1.0


def _gains(
    steps: Sequence[ProxyGoldStep], which: Literal["proxy", "gold"], unit: float
) -> list[tuple[float | None, float | None]]:
    values = [(known(step.get("kl")), known(step.get(which))) for step in steps]
    start = next((y for _, y in values if y is not None), 0.0)
    return [(x, None if y is None else (y - start) / unit) for x, y in values]


def _ends(found: OverOptimisation) -> Markup:
    rows = []
    for run, name, _, _ in _RUNS:
        steps = found.get(run) or []
        if not steps:
            continue
        golds = [gold for step in steps if (gold := known(step.get("gold"))) is not None]
        last = steps[-1]
        best = mark(max(golds)) if golds else mark(None)
        rows.append([name, number(last.get("kl")), number(last.get("proxy")), mark(last.get("gold")), best])
    return table(["run", "KL at the end", "reward model", "gold judge", "gold at its best"], rows)
