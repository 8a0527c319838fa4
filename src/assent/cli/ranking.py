"""A ranking as people type it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum


class Command(Enum):
    """What may be typed in place of a ranking."""

    SKIP = "s"
    QUIT = "q"


def parse_ranking(text: str, order_shown: Sequence[int]) -> tuple[int, ...] | Command:
    """`2 1=3 4` as ranks, 1 best, in the task's own order of completions; numbers count what was shown, from 1.

    Args:
        text: numbers best to worst, `=` between equals; `s` or `q` instead.
        order_shown: [K] indices into the task's completions, first shown first.

    Raises:
        ValueError: it is none of these, or a number is missing, repeated or unknown; the message says which.
    """
    said = text.strip().lower()
    for command in Command:
        if said in (command.value, command.name.lower()):
            return command
    if not said:
        raise ValueError("nothing was typed")
    groups = [group.split("=") for group in re.sub(r"\s*=\s*", "=", said).split()]
    numbers = [_number(word, len(order_shown)) for group in groups for word in group]
    for number in numbers:
        if numbers.count(number) > 1:
            raise ValueError(f"{number} stands there twice")
    if missing := [number for number in range(1, len(order_shown) + 1) if number not in numbers]:
        raise ValueError(f"{', '.join(map(str, missing))} missing: every completion needs its place")
    ranks = [0] * len(order_shown)
    place = 1
    for group in groups:
        for word in group:
            ranks[order_shown[int(word) - 1]] = place
        place += len(group)
    return tuple(ranks)


def parse_marks(text: str, order_shown: Sequence[int]) -> tuple[float, ...]:
    """`7 10 0 3`, a mark from 0 to 10 for each completion as shown, as marks in [0, 1] in the task's own order.

    Raises:
        ValueError: another number of marks, or one that is not from 0 to 10; the message says which.
    """
    words = text.split()
    if len(words) != len(order_shown):
        raise ValueError(f"{len(words)} marks for {len(order_shown)} completions: give each its own, as shown")
    marks = [0.0] * len(order_shown)
    for place, word in zip(order_shown, words, strict=True):
        if not re.fullmatch(r"10|[0-9]", word):
            raise ValueError(f"'{word}' is no mark: a whole number from 0 (worst) to 10 (best)")
        marks[place] = int(word) / 10
    return tuple(marks)


def _number(word: str, count: int) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", word):
        raise ValueError(f"'{word}' is no number" if word else "a number is missing beside '='")
    if not 1 <= int(word) <= count:
        raise ValueError(f"there is no completion {int(word)}: they are numbered 1 to {count}")
    return int(word)
