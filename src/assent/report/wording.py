"""Numbers and names as people read them."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import cast

from assent.report.data import Interval, Number

DASH = "–"
MONTHS = tuple(
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
WORDS = {
    "base": "pretrained base",
    "sft": "SFT (traditional fine-tuning)",
    "unpenalised": "without penalty",
    "rlhf": "RLHF",
}


def number(value: Number, digits: int = 3) -> str:
    """Significant digits without needless zeros; a dash for None and NaN."""
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.1e}".split("e")
        return _minus(f"{mantissa.removesuffix('.0')}e{int(exponent)}")
    if abs(value) >= 10**digits or value == int(value):
        return _minus(f"{value:,.0f}".replace(",", "\N{THIN SPACE}"))
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return _minus(f"{value:.{decimals}f}")


def percent(value: Number) -> str:
    """A share as a percentage, one decimal: `72.6 %`."""
    if value is None or not math.isfinite(value):
        return DASH
    return _minus(f"{100 * value:.1f}\N{NO-BREAK SPACE}%")


def mark(value: Number) -> str:
    """A mark in [0, 1], two decimals."""
    return DASH if value is None or not math.isfinite(value) else _minus(f"{value:.2f}")


def percent_interval(interval: Interval | None) -> str:
    """`86.3 % (81.0 to 90.2)`, with what is known of it."""
    if interval is None:
        return DASH
    low, high = interval.get("low"), interval.get("high")
    if low is None or high is None:
        return percent(interval.get("value"))
    return f"{percent(interval.get('value'))} ({100 * low:.1f} to {100 * high:.1f})"


def mark_interval(interval: Interval | None) -> str:
    """`0.82 (0.79 to 0.85)`, with what is known of it."""
    if interval is None:
        return DASH
    low, high = interval.get("low"), interval.get("high")
    if low is None or high is None:
        return mark(interval.get("value"))
    return f"{mark(interval.get('value'))} ({mark(low)} to {mark(high)})"


def duration(seconds: Number) -> str:
    """`4 min 12 s`, `2 h 5 min`; a dash for None."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return DASH
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def moment(iso: str) -> str:
    """`21 November 2026, 06:42 UTC`; the text as it is if it is no ISO 8601 time."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    zone = f" {when.tzname()}" if when.tzinfo else ""
    return f"{when.day} {MONTHS[when.month - 1]} {when.year}, {when:%H:%M}{zone}"


def long_name(who: str) -> str:
    """A policy's name in full: SFT is what the reader may know as traditional fine-tuning."""
    return WORDS.get(who.lower(), who)


def short_name(who: str) -> str:
    """A policy's name where room is short."""
    return {"base": "base", "sft": "SFT", "rlhf": "RLHF"}.get(who.lower(), who)


def hue(who: str, position: int = 0) -> str:
    """The class that colours a policy or a round, the same all over the report."""
    if who.lower() in ("base", "sft"):
        return f"c-{who.lower()}"
    match = re.fullmatch(r"round (\d{1,9})", who.lower())
    index = int(match.group(1)) - 1 if match else position
    return f"c-{index % 6 + 1}"


def known(value: object) -> float | None:
    """A number that can be drawn, else None: neither missing, nor infinite, nor beyond all axes."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    real = cast(float, value)
    return float(real) if math.isfinite(real) and abs(real) <= 1e12 else None


def _minus(text: str) -> str:
    return text.replace("-", "−")
