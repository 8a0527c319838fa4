"""Formulas in LaTeX, as models write them, turned to MathML. What cannot be turned is shown as it was written."""

from __future__ import annotations

import html
import re
from xml.etree import ElementTree

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

from assent.web.sanitiser import MATH_TAGS

LONGEST = 2000  # characters; a longer formula is shown as source
DEEPEST = 40  # nested braces and environments; the converter is recursive
_NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
_CLOSES = {r"\(": r"\)", r"\[": r"\]"}
# The converter knows align*, and these lay out alike.
_ENVIRONMENTS = re.compile(r"\\(begin|end)\{(?:aligned|split|gathered|alignedat|eqnarray\*?)\}")


def formula(source: str, display: bool) -> str:
    """MathML of a formula, or its source in a code element where it is not understood.

    Args:
        source: LaTeX without its delimiters.
        display: on a line of its own.
    """
    source = source.strip()
    written = _mathml(source, display)
    if written is not None:
        return f'<span class="display">{written}</span>' if display else written
    return f"<code>{html.escape(source)}</code>"


def bracket_formulas(parser: MarkdownIt) -> None:
    r"""A Markdown plugin: `\( … \)` within a line and `\[ … \]` on its own, as chat models write formulas."""
    parser.inline.ruler.before("escape", "bracket_formula", _bracket_rule)


def _mathml(source: str, display: bool) -> str | None:
    depth = source.count("{") + source.count(r"\begin") + source.count(r"\left")
    if not source or len(source) > LONGEST or depth > 4 * DEEPEST or _depth(source) > DEEPEST:
        return None
    try:
        written = convert(_ENVIRONMENTS.sub(r"\\\1{align*}", source), display="block" if display else "inline")
        root = ElementTree.fromstring(written)  # the converter lets markup through in \text{…}: then it is no XML
    except (Exception, RecursionError):  # its errors have no common base
        return None
    if any(part.tag.removeprefix(_NAMESPACE) not in MATH_TAGS for part in root.iter()):
        return None
    return written


def _depth(source: str) -> int:
    deepest = depth = 0
    for character in source:
        depth += (character == "{") - (character == "}")
        deepest = max(deepest, depth)
    return deepest


def _bracket_rule(state: StateInline, silent: bool) -> bool:
    opening = state.src[state.pos : state.pos + 2]
    closing = _CLOSES.get(opening)
    if closing is None or state.env.get(closing) == state.src:
        return False
    end = state.src.find(closing, state.pos + 2, state.posMax)
    if end < 0:
        state.env[closing] = state.src  # nor will there be one later in this paragraph: no second search
        return False
    if not silent:
        token = state.push("math_inline_double" if opening == r"\[" else "math_inline", "math", 0)
        token.content = state.src[state.pos + 2 : end]
        token.markup = opening
    state.pos = end + 2
    return True
