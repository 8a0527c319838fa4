"""The text of a new workspace's `assent.toml`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import BaseModel

from assent.config import Settings, dump_settings

HEADER = """\
# The settings of this project. What does not stand here has its default; `assent settings` lists them all.
# A stage that has run keeps the settings it was run with: to change those, begin a new workspace.
"""


def given_settings(settings: Settings) -> str:
    """Only what was given, not what is a default, as TOML that reads back to the same settings."""
    given = set(_given(settings))
    table, out = "", [HEADER.rstrip("\n")]
    waiting: str | None = None
    for line in dump_settings(settings).splitlines():
        if header := re.fullmatch(r"\[([\w.]+)\]", line):
            table, waiting = header[1] + ".", line
        elif (entry := re.match(r"(\w+) = ", line)) and table + entry[1] in given:
            if waiting is not None:
                out += ["", waiting]
                waiting = None
            out.append(line)
    return "\n".join(out) + "\n"


def _given(section: BaseModel, prefix: str = "") -> Iterator[str]:
    for name in section.model_fields_set:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _given(value, f"{prefix}{name}.")
        else:
            yield prefix + name
