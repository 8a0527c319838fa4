"""What may stand in a page of what a model or a person wrote: a short list, applied last, after all other rendering."""

from __future__ import annotations

import re

import nh3
from pygments.token import STANDARD_TYPES

TOKEN_PREFIX = "tok-"
TOKEN_CLASSES = frozenset(TOKEN_PREFIX + short for short in STANDARD_TYPES.values() if short)

_TEXT = ("p", "br", "hr", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "li", "pre", "code", "div", "span", "a")
_MARKS = ("em", "strong", "s", "del", "ins", "mark")
_TABLE = ("table", "thead", "tbody", "tr", "th", "td")
# Without mglyph, malignmark, annotation-xml and semantics: through these a parser falls from MathML back into HTML.
_MATH_LEAVES = ("mi", "mn", "mo", "mtext", "mspace", "mprescripts", "none")
_MATH_SCRIPTS = ("msub", "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts")
_MATH_BOXES = ("math", "mrow", "mfrac", "msqrt", "mroot", "mtable", "mtr", "mtd", "mstyle", "mpadded", "mphantom")
MATH_TAGS = frozenset({*_MATH_LEAVES, *_MATH_SCRIPTS, *_MATH_BOXES, "menclose"})
TAGS = frozenset({*_TEXT, *_MARKS, *_TABLE, *MATH_TAGS})

DIRECTED = frozenset({"p", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "li", "pre", "div", "th", "td"})
DIRECTIONS = frozenset({"auto", "ltr", "rtl"})
_MATH_ATTRIBUTES: dict[str, set[str]] = {
    "math": {"display"},
    "mi": {"mathvariant"},
    "mo": {"stretchy", "fence", "form", "separator", "accent", "movablelimits", "minsize", "maxsize", "largeop"},
    "mspace": {"width", "height", "depth", "linebreak"},
    "mfrac": {"linethickness", "bevelled"},
    "mover": {"accent"},
    "munder": {"accentunder"},
    "munderover": {"accent", "accentunder"},
    "mtable": {"rowspacing", "columnspacing", "columnalign", "rowlines", "columnlines", "frame", "displaystyle"},
    "mtd": {"columnalign", "columnspan"},
    "mstyle": {"displaystyle", "scriptlevel", "mathcolor"},
    "mpadded": {"width", "lspace", "voffset", "height", "depth"},
    "menclose": {"notation"},
}
ATTRIBUTES: dict[str, set[str]] = {
    **_MATH_ATTRIBUTES,
    "a": {"href", "title"},
    "ol": {"start"},
}
_CLASSES = {
    "span": TOKEN_CLASSES | {"picture", "display"},
    "div": {"scroll", "plain"},
    "pre": {"code"},
}
SCHEMES = frozenset({"http", "https", "mailto"})

_UNSHOWABLE = re.compile("[\x00\ud800-\udfff]")

_CLEANER = nh3.Cleaner(
    tags=set(TAGS),
    clean_content_tags={"script", "style", "title", "template", "noscript", "iframe", "svg"},
    attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
    tag_attribute_values={tag: {"dir": set(DIRECTIONS)} for tag in DIRECTED},
    set_tag_attribute_values={"a": {"target": "_blank"}, "pre": {"tabindex": "0"}},  # what scrolls takes the keyboard
    allowed_classes={tag: set(names) for tag, names in _CLASSES.items()},
    link_rel="noopener noreferrer nofollow",
    url_schemes=set(SCHEMES),
    url_relative="deny",
)


def sanitised(markup: str) -> str:
    """Markup with nothing in it but the tags, attributes, classes and link schemes listed here.

    Args:
        markup: HTML from anywhere, well-formed or not.
    """
    return _CLEANER.clean(markup)


def readable(text: str) -> str:
    """A text with the signs that no page can show (NUL, lone surrogates) replaced by U+FFFD, one by one."""
    return _UNSHOWABLE.sub("\ufffd", text)
