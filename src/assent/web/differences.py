"""Where two completions differ, word by word, as safe HTML for each side."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from assent.web.sanitiser import readable, sanitised

LONGEST = 3000  # words and signs of a side that are compared one by one; beyond that, lines are
_PIECES = re.compile(r"\w+|\s+|[^\w\s]")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")


def render_difference(left: str, right: str) -> tuple[str, str]:
    """Both texts as they were written, with what only the left has in `del` and what only the right has in `ins`.

    Args:
        left: a completion; may be hostile.
        right: another one.

    Returns:
        Safe HTML of the left and of the right.
    """
    left, right = readable(left), readable(right)
    first, second = _PIECES.findall(left), _PIECES.findall(right)
    if max(len(first), len(second)) > LONGEST:
        first, second = _LINES.findall(left), _LINES.findall(right)
    blocks = _blocks(first, second)
    return _side(first, [(a, b) for a, b, _, _ in blocks], "del"), _side(second, [(c, d) for *_, c, d in blocks], "ins")


def _blocks(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """What both share: ranges of the first and of the second. Blanks alone between two changes are no common ground."""
    found = []
    for block in SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks():
        shared = first[block.a : block.a + block.size]
        edge = block.a == 0 or block.a + block.size == len(first)
        if shared and (edge or not all(piece.isspace() for piece in shared)):
            found.append((block.a, block.a + block.size, block.b, block.b + block.size))
    return found


def _side(pieces: Sequence[str], shared: Sequence[tuple[int, int]], tag: str) -> str:
    written, at = [], 0
    for start, end in [*shared, (len(pieces), len(pieces))]:
        own = html.escape("".join(pieces[at:start]))
        written.append(f"<{tag}>{own}</{tag}>" if own else "")
        written.append(html.escape("".join(pieces[start:end])))
        at = end
    return sanitised(f'<div class="plain" dir="auto">{"".join(written)}</div>')
