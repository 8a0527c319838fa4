"""The report as one page that needs nothing but itself: no script, no network, no other file."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from assent.report import evidence, learning, overview, provenance
from assent.report.data import ReportData, cleaned
from assent.report.markup import Markup, bullets, el
from assent.store.atomic import write_atomic

Section = Callable[[ReportData], Markup | str]

SECTIONS: tuple[tuple[str, str, str, Section], ...] = (  # key, word in the navigation, title, what it holds
    ("criteria", "Criteria", "Better at what?", overview.criteria),
    ("samples", "Before and after", "Before and after", provenance.samples),
    ("verdicts", "Verdict", "Did people prefer it?", learning.verdicts),
    ("learning", "Learning", "How it learned", learning.learning),
    ("over-optimisation", "Over-optimisation", "Over-optimisation", evidence.over_optimisation),
    ("health", "Reward model", "Can the reward model be trusted?", evidence.health),
    ("people", "People", "The people", evidence.people),
    ("lineage", "Lineage", "What came of what", provenance.lineage),
    ("made", "Settings", "How it was made", provenance.made),
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"  # even a flaw in the escaping could run nothing


def render_report(data: ReportData) -> str:
    """The report as HTML. The same data gives the same text; what is missing is said at the end, not drawn empty.

    Args:
        data: see `ReportData`; all text in it may be hostile.

    Raises:
        ValueError: the data holds something that is no JSON value.
    """
    data = cleaned(data)
    tiles = overview.headline(data)
    present: list[tuple[str, str, str, Markup]] = []
    missing: list[str] = [] if isinstance(tiles, Markup) else [tiles]
    for key, word, title, section in SECTIONS:
        body = section(data)
        if isinstance(body, Markup):
            present.append((key, word, title, body))
        else:
            missing.append(body)
    links = (el("a", word, href=f"#{key}") for key, word, _, _ in present)
    main = el(
        "main",
        tiles if isinstance(tiles, Markup) else None,
        *(el("section", el("h2", title), body, id=key, class_="part") for key, _, title, body in present),
        _absent(missing) if missing else None,
    )
    body = el(
        "body",
        overview.header(data),
        el("nav", *links, aria_label="Parts of the report") if present else None,
        main,
        el("footer", el("p", "Made by assent. All figures are in report.json, beside this page.")),
    )
    return f"<!doctype html>\n{el('html', _head(data['title']), body, lang='en')}\n"


def write_report(data: ReportData, folder: Path) -> Path:
    """Write `report.html` and `report.json` into a folder, each whole or not at all.

    Returns:
        The page's path.

    Raises:
        ValueError: the data holds something that is no JSON value.
        WorkspaceError: full disk, read-only file system, no permission.
    """
    page = render_report(data)
    figures = json.dumps(
        cleaned(data), ensure_ascii=False, allow_nan=False, indent=1
    )  # unsorted: the order has a meaning
    write_atomic(folder / "report.json", figures + "\n")
    path = folder / "report.html"
    write_atomic(path, page)
    return path


def _head(title: str) -> Markup:
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="color-scheme", content="light dark"),
        el("link", rel="icon", href="data:,"),
        el("title", title),
        el("style", Markup(files("assent.report").joinpath("style.css").read_text("utf-8"))),
    )


def _absent(missing: list[str]) -> Markup:
    return el("section", el("h2", "Not in this report"), bullets(missing), id="missing", class_="part quiet")
