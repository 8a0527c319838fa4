"""The tables of settings in the algorithms' pages, made from the settings themselves.

    .venv/bin/python -m tests.contracts.algorithm_pages

writes them anew; `test_algorithm_pages.py` fails where one is not what it would be.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from assent.config import OnPolicySettings
from assent.config.algorithm import ALGORITHMS

PAGES = Path(__file__).parents[2] / "docs" / "algorithms"
OVERVIEW = PAGES / "README.md"
_TABLE = re.compile(r"<!-- settings -->\n.*?<!-- end -->", re.DOTALL)


def page_of(name: str) -> Path:
    """Where the algorithm of this type is documented."""
    return PAGES / f"{name.replace('++', '-plus-plus')}.md"


def own_settings(settings: type[OnPolicySettings]) -> list[str]:
    """Names that stand on the algorithm's own page: those the others do not have, or with another default."""
    common = OnPolicySettings.model_fields
    return [
        name
        for name, field in settings.model_fields.items()
        if name != "type"
        and (
            name not in common or (field.default, field.description) != (common[name].default, common[name].description)
        )
    ]


def table_of(settings: type[OnPolicySettings], names: list[str]) -> str:
    """A row for each of these settings: its name, its default, and what it is with the source of the default."""
    rows = ["| setting | default | what it is, and where the default is from |", "|---|---|---|"]
    for name in names:
        field = settings.model_fields[name]
        rows.append(f"| `{name}` | {_written(field.default)} | {(field.description or '').replace('|', '&#124;')} |")
    return "<!-- settings -->\n" + "\n".join(rows) + "\n<!-- end -->"


def with_tables(page: Path, table: str) -> str:
    """The page's text with this table in its place.

    Raises:
        ValueError: the page has not one place for it.
    """
    text = page.read_text(encoding="utf-8")
    if len(_TABLE.findall(text)) != 1:
        raise ValueError(
            f"{page} needs one place for its settings: <!-- settings --> and <!-- end --> on their own lines"
        )
    return _TABLE.sub(lambda _: table, text)


def pages_with_tables() -> dict[Path, str]:
    """Each page that has a place for a table, with the table that belongs there."""
    common = [name for name in OnPolicySettings.model_fields if name != "type"]
    pages = {OVERVIEW: table_of(OnPolicySettings, common)}
    for name, settings in ALGORITHMS.items():
        page = page_of(name)
        if page.exists() and _TABLE.search(page.read_text(encoding="utf-8")):
            pages[page] = table_of(settings, own_settings(settings))
    return pages


def _written(value: Any) -> str:
    if value is None:
        return "not given"
    return f"`{json.dumps(value) if isinstance(value, bool | str) else f'{value:g}'}`"


if __name__ == "__main__":
    for file, table in pages_with_tables().items():
        file.write_text(with_tables(file, table), encoding="utf-8")
