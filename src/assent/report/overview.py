"""The top of the report: what it is about, the figures that matter, the marks by criterion."""

from __future__ import annotations

from assent.report.bars import Bar, bar_charts
from assent.report.data import Headline, ReportData
from assent.report.markup import Markup, el
from assent.report.wording import duration, hue, long_name, moment

CRITERIA = {
    "helpful": "is it of use?",
    "honest": "is it true?",
    "harmless": "is it safe?",
    "sentiment": "is it warm?",
    "coverage": "does it say what matters?",
    "faithfulness": "does it say only what was said?",
    "brevity": "is it short?",
    "civil": "is it free of insult?",
    "fluency": "is it language?",
    "overall": "all in all",
}


def header(data: ReportData) -> Markup:
    """Title, when and where, and whether the people are simulated."""
    facts = []
    if data.get("workspace"):
        facts.append(("Workspace", el("bdi", data["workspace"])))
    if data.get("finished"):
        facts.append(("Finished", el("bdi", moment(data["finished"]))))
    if data.get("seconds") is not None:
        facts.append(("Took", el("span", duration(data["seconds"]))))
    entries = (el("div", el("dt", name), el("dd", value)) for name, value in facts)
    return el(
        "header",
        el("p", "assent · report", class_="brand"),
        el("h1", data["title"], dir="auto"),
        el("p", data["subtitle"], class_="subtitle", dir="auto") if data.get("subtitle") else None,
        el("dl", *entries, class_="facts") if facts else None,
        _simulated() if data.get("simulated") else None,
    )


def headline(data: ReportData) -> Markup | str:
    """The tiles."""
    tiles = data.get("headline") or []
    if not tiles:
        return "No headline figures: nothing was evaluated yet."
    return el("div", *(_tile(tile) for tile in tiles), class_="tiles")


def criteria(data: ReportData) -> Markup | str:
    """For each criterion, how the gold judge marks every policy's answers to held-out prompts."""
    by_policy = data.get("criteria") or {}
    names = list(dict.fromkeys(name for marks in by_policy.values() for name in marks))
    if not names:
        return "No marks by criterion: there is no gold judge in this project, or nothing was evaluated yet."
    names.sort(key=lambda name: list(CRITERIA).index(name) if name in CRITERIA else len(CRITERIA))
    groups = [
        (
            name,
            CRITERIA.get(name, ""),
            [
                Bar(long_name(who), hue(who, i), marks[name])
                for i, (who, marks) in enumerate(by_policy.items())
                if marks.get(name)
            ],
        )
        for name in names
    ]
    lead = "Mean mark of the gold judge on held-out prompts, from 0 to 1, with its 95 % interval."
    sft = " SFT is traditional fine-tuning on demonstrations." if any(w.lower() == "sft" for w in by_policy) else ""
    return el(
        "div",
        el("p", lead + sft, class_="lead"),
        bar_charts("criteria", groups),
    )


def _simulated() -> Markup:
    return el(
        "p",
        el("strong", "The people in this report are simulated."),
        " Every judgement was made by a program that plays a person: no win rate here says what humans would prefer.",
        class_="banner",
        role="note",
    )


def _tile(tile: Headline) -> Markup:
    good = tile.get("good")
    verdict = None
    if good is not None:
        words = "meets its aim" if good else "misses its aim"
        verdict = el(
            "span", "✓" if good else "✗", class_="good" if good else "bad", title=words, aria_label=words, role="img"
        )
    return el(
        "div",
        el("p", el("bdi", tile["label"]), verdict, class_="tile-label"),
        el("p", tile["value"], class_="tile-value", dir="auto"),
        el("p", tile["detail"], class_="small", dir="auto") if tile.get("detail") else None,
        class_="tile",
    )
