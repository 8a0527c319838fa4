"""Axes: which numbers to write along them, and where a value lies between their ends."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Axis:
    """A range with ticks at round numbers. `root` spaces it by the square root, for values from 0 up."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    root: bool = False
    percent: bool = False

    def place(self, value: float) -> float:
        """Where the value lies: 0 at the low end, 1 at the high end, never outside."""
        low, high, value = (math.sqrt(max(0.0, v)) if self.root else v for v in (self.low, self.high, value))
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def tick_label(self, tick: float) -> str:
        """The tick as it is written, with as many digits as it takes to tell it from its neighbours."""
        scale = 100 if self.percent else 1
        step = scale * min((b - a for a, b in pairwise(self.ticks)), default=1.0)
        decimals = -math.floor(math.log10(step) + 1e-9)  # below 0 for steps of ten and more
        if round(step * 10.0**decimals, 6) % 1:  # a step of 0.25 needs a decimal more than one of 0.2
            decimals += 1
        tick, largest = scale * tick, scale * max(abs(self.low), abs(self.high))
        if tick == 0 or 1e-3 <= largest < 1e6:
            text = f"{tick:.{0 if tick == 0 and largest < 1e-3 else max(0, decimals)}f}"
        else:
            digits = max(0, math.floor(math.log10(abs(tick)) + 1e-9) + decimals)
            mantissa, exponent = f"{tick:.{digits}e}".split("e")
            text = f"{mantissa}e{int(exponent)}"
        return text.replace("-", "−") + ("%" if self.percent else "")


def fit_axis(
    values: Iterable[float],
    label: str = "",
    *,
    include: Iterable[float] = (),
    root: bool = False,
    percent: bool = False,
    target: int = 5,
) -> Axis:
    """The shortest axis with round ends that holds all values.

    Args:
        values: finite, at most 1e12 in size.
        label: what it measures, with its unit.
        include: values it must reach even if no point does, such as a limit.
        root: space it by the square root; it then starts at 0.
        percent: write shares as percentages.
        target: about how many ticks.
    """
    held = [*values, *include]
    low, high = (min(held), max(held)) if held else (0.0, 1.0)
    if root:
        low, high = 0.0, max(high, 1e-6)
    if high - low <= 1e-9 * max(1.0, abs(high)):
        margin = abs(high) * 0.1 or 0.5
        low, high = (low if root else low - margin), high + margin
    step = _round_step((high - low) / target)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [i * step for i in range(first, last + 1)]
    if root:  # round numbers crowd near the end of a square-root axis and leave its beginning bare
        ticks = sorted({0.0, ticks[-1], *(_round_step(ticks[-1] * share) for share in (0.02, 0.12, 0.35))})
        ticks = [tick for tick in ticks if tick <= last * step]
    return Axis(label, first * step, last * step, tuple(ticks), root, percent)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    share = rough / power
    return next(nice for nice in (1, 2, 2.5, 5, 10) if share <= nice * (1 + 1e-9)) * power
