"""What was written, where everything came from, and with which settings."""

from __future__ import annotations

from assent.report.data import Answer, ReportData, Sample
from assent.report.lineage import lineage_picture
from assent.report.markup import Markup, bullets, el
from assent.report.wording import hue, known, mark, short_name

SHOWN = 6  # samples in the open; the others unfold


def samples(data: ReportData) -> Markup | str:
    """The same prompts answered before and after, side by side, with a judge's marks."""
    held = [each for each in data.get("samples") or [] if each.get("answers")]
    if not held:
        return "No samples: no prompt was answered by the policies of this report."
    first, rest = held[:SHOWN], held[SHOWN:]
    more = el("details", el("summary", f"{len(rest)} more"), *(map(_sample, rest)), class_="more") if rest else None
    lead = "The same prompts, answered before and after."
    return el("div", el("p", lead, class_="lead"), *map(_sample, first), more)


def lineage(data: ReportData) -> Markup | str:
    """The picture of what came of what."""
    found = data.get("lineage")
    if not found or not found.get("nodes"):
        return "No lineage: nothing in this report has recorded parents."
    lead = "From the top, what came first, to the bottom, what came of it: whose judgements shaped which weights."
    return el("div", el("p", lead, class_="lead"), lineage_picture(found))


def made(data: ReportData) -> Markup | str:
    """Settings, to be unfolded, and notes."""
    settings, notes = data.get("settings_toml"), bullets(data.get("notes") or [])
    if not settings and not notes:
        return "The settings of this run were not recorded."
    unfolded = el("details", el("summary", "All settings"), el("pre", el("code", settings or ""), tabindex="0"))
    return el("div", notes, unfolded if settings else None)


def _sample(sample: Sample) -> Markup:
    answers = (_answer(each, i) for i, each in enumerate(sample.get("answers") or []))
    return el(
        "article",
        el("h3", sample["prompt"], dir="auto", class_="prompt"),
        el("div", *answers, class_="answers"),
        class_="sample",
    )


def _answer(answer: Answer, position: int) -> Markup:
    who, marks = answer["who"], answer.get("marks")
    bars = [_mark_bar(name, value, hue(who, position)) for name, value in (marks or {}).items()]
    text = answer["text"]
    return el(
        "section",
        el("h4", el("span", class_=f"swatch {hue(who, position)}"), el("bdi", short_name(who))),
        el("p", text, class_="text", dir="auto") if text.strip() else el("p", "(an empty answer)", class_="missing"),
        el("div", *bars, class_="marks") if bars else None,
        class_="answer",
    )


def _mark_bar(name: str, value: float | None, colour: str) -> Markup:
    share = 100 * min(1.0, max(0.0, known(value) or 0.0))
    track = el("span", el("span", class_=f"fill {colour}", style=f"width:{share:.0f}%"), class_="track")
    return el("p", el("bdi", name), track, el("span", mark(value)), class_="meter")
