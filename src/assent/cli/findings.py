"""What `assent doctor` found, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail"]
GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    status: Status  # fail: assent does not work here; warn: it works, but slower or with less room than it could
    detail: str
    advice: str = ""


def examined(name: str, check: Callable[[], Finding]) -> Finding:
    """The finding of a check; a check that breaks is a finding too, so the other checks are still made."""
    try:
        return check()
    except Exception as error:
        return Finding(name, "fail", f"{type(error).__name__}: {error}", "this check itself failed: report it")
