"""What the checks of this room found: rows and lines that they add, and the page with figures made of them.

A test module describes a `Section` and its tests add to it through the `findings` fixture, which prints each row. With
`--draw docs` (`make science`) the run, if every test passed, writes `docs/science.md` and the figures beside it. The
sections of tests that did not run stay as they are. What a test module without a section prints is shown as it is,
under the first line of the module's docstring.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from assent.report.charts import Rule, Series
from assent.report.picture import picture

HUES = ("c-1", "c-4", "c-2", "c-3", "c-sft", "c-5", "c-6", "c-gold")
MOST_POINTS = 24  # of a line: one of more would be drawn as its running mean
_SECTION = re.compile(r"^<!-- section (\S+) -->\n(.*?)(?=^<!-- section |\Z)", re.MULTILINE | re.DOTALL)
_HEAD = """# What is checked against known answers

Each check below compares the library with a result that is known beforehand: an optimum in closed form, a bound, a
published number. This page and its figures are written by `make science`, which runs all of them in full; the same
checks, the longer ones in a shorter form, are part of `make test`, and every one of them can fail.

"""


@dataclass(frozen=True)
class Figure:
    """A chart of a section: its file's name, what it shows, and its axes."""

    key: str
    title: str
    x_label: str
    y_label: str
    root: bool = False  # space x by the square root
    rules: tuple[Rule, ...] = ()
    shown: bool = True  # on this page; if not, some other page shows it


@dataclass(frozen=True)
class Section:
    """A part of the page. `order` says where it stands; `columns` head its table."""

    key: str
    order: int
    title: str
    text: str
    source: str  # the test module, from the repository's root
    columns: tuple[str, ...]
    figures: tuple[Figure, ...] = ()


class Findings:
    """What was measured in this run."""

    def __init__(self) -> None:
        self.rows: dict[Section, list[tuple[str, ...]]] = defaultdict(list)
        self.lines: dict[str, list[Series]] = defaultdict(list)
        self.printed: dict[str, list[str]] = defaultdict(list)  # by the test module, from the repository's root
        self.titles: dict[str, str] = {}

    def row(self, section: Section, *cells: str | float) -> None:
        """A row of the section's table. Numbers are rounded to four digits."""
        written = tuple(cell if isinstance(cell, str) else f"{cell:.4g}" for cell in cells)
        if len(written) != len(section.columns):
            raise ValueError(f"section {section.key} has the columns {section.columns}, got {written}")
        self.rows[section].append(written)
        print(f"{section.key}:", *(f"{name} {cell}," for name, cell in zip(section.columns, written, strict=True)))

    def line(
        self,
        figure: str,
        name: str,
        points: Sequence[tuple[float, float]],
        hue: str | None = None,
        dashed: bool = False,
        joined: bool = True,
    ) -> None:
        """A line (or dots) of the figure of this key, thinned to what can be drawn as it is."""
        hue = hue or HUES[sum(each.hue in HUES for each in self.lines[figure]) % len(HUES)]
        stride = max(1, -(-len(points) // (MOST_POINTS - 1)))
        kept = [point for i, point in enumerate(points) if i % stride == 0 or i == len(points) - 1]
        self.lines[figure].append(Series(name, hue, kept, dashed=dashed, joined=joined))

    def heard(self, module: ModuleType, text: str) -> None:
        """What a test of this module printed."""
        if lines := [line for line in text.splitlines() if line.strip()]:
            source = "/".join(Path(module.__file__ or "").parts[-3:])
            self.printed[source] += lines
            self.titles[source] = (module.__doc__ or source).strip().splitlines()[0].rstrip(".")

    def write(self, folder: Path) -> None:
        """The page, with the sections that were measured now in place of those of before, and their figures."""
        page = folder / "science.md"
        parts = {name: text for name, text in _SECTION.findall(page.read_text("utf-8"))} if page.exists() else {}
        for section in self.rows:
            parts[f"{section.order:02}-{section.key}"] = self._section(section, folder)
        for source, lines in self.printed.items():
            if source not in {section.source for section in self.rows}:
                key = Path(source).stem.removeprefix("test_").replace("_", "-")
                told = "\n".join(["```text", *lines, "```"])
                parts[f"50-{key}"] = f"## {self.titles[source]}\n\n{_command(source)}\n{told}"
        text = _HEAD + "\n".join(f"<!-- section {name} -->\n{parts[name].strip()}\n" for name in sorted(parts))
        page.write_text(text, encoding="utf-8")

    def _section(self, section: Section, folder: Path) -> str:
        shown = []
        for figure in section.figures:
            file = folder / "science" / f"{figure.key}.svg"
            file.parent.mkdir(parents=True, exist_ok=True)
            drawn = picture(
                figure.key,
                figure.title,
                section.title,
                self.lines[figure.key],
                figure.x_label,
                figure.y_label,
                root=figure.root,
                rules=figure.rules,
            )
            file.write_text(drawn + "\n", encoding="utf-8")
            if figure.shown:
                shown.append(f'<img src="science/{file.name}" alt="{figure.title}" width="560">\n\n*{figure.title}*\n')
        rows = [section.columns, ("---",) * len(section.columns), *self.rows[section]]
        lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
        head = [f"## {section.title}\n", section.text.strip() + "\n", _command(section.source)]
        return "\n".join([*head, *shown, *lines])


def _command(source: str) -> str:
    return f"    .venv/bin/pytest {source} -m 'not gpu' -rP\n"
