"""What models and people wrote, as safe HTML: Markdown, tables, coloured code, formulas, any direction of writing."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from assent.web.formulas import bracket_formulas, formula
from assent.web.sanitiser import TOKEN_PREFIX, readable, sanitised

LONGEST = 100_000  # characters that are read as Markdown; what is longer is shown as plain text
MOST_BRACKETS = 4000  # the parser's time grows with the square of opened links and pictures
LONGEST_CODE = 20_000  # characters of a code block that are coloured
_AUTO = {
    "paragraph_open",
    "heading_open",
    "blockquote_open",
    "bullet_list_open",
    "ordered_list_open",
    "list_item_open",
    "th_open",
    "td_open",
}
_FORMATTER = HtmlFormatter(nowrap=True, classprefix=TOKEN_PREFIX)


def render(text: str) -> str:
    """Safe HTML of a text in Markdown.

    Raw HTML is shown as it was written, pictures become links (nothing is fetched from elsewhere), headings begin
    below the page's own, every block finds its own direction of writing.

    Args:
        text: from a model or a person; may be hostile.
    """
    text = readable(text)
    if len(text) > LONGEST or text.count("[") > MOST_BRACKETS:
        return plain(text)
    try:
        return sanitised(_MARKDOWN.render(text))
    except (RecursionError, IndexError):  # nested beyond measure
        return plain(text)


def plain(text: str) -> str:
    """Safe HTML of a text exactly as it was written, line by line."""
    return sanitised(f'<div class="plain" dir="auto">{html.escape(readable(text))}</div>')


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "langPrefix": ""})
    parser.enable(["table", "strikethrough"]).disable("code")  # models indent; few mean code by it
    parser.use(dollarmath_plugin, allow_labels=False, allow_space=False, allow_digits=False, double_inline=True)
    parser.use(bracket_formulas)
    parser.core.ruler.push("page", _fit_the_page)
    for kind, rule in _RULES.items():
        parser.add_render_rule(kind, rule)
    return parser


def _fit_the_page(state: StateCore) -> None:
    """Directions of writing block by block; a text's headings rank below the page's."""
    for token in state.tokens:
        if token.type in _AUTO:
            token.attrSet("dir", "auto")
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"


def _fence(_self: RendererProtocol, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    token = tokens[index]
    language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
    if language == "math":
        return formula(token.content, display=True)
    return f'<pre class="code" dir="ltr"><code>{_coloured(token.content, language)}</code></pre>'


def _coloured(code: str, language: str) -> str:
    if language and len(code) <= LONGEST_CODE:
        try:
            return str(highlight(code, get_lexer_by_name(language, stripnl=False), _FORMATTER))
        except ClassNotFound:
            pass
    return html.escape(code)


def _picture(_self: RendererProtocol, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    address, words = str(tokens[index].attrs.get("src", "")), html.escape(tokens[index].content or "picture")
    return f'<span class="picture">[<a href="{html.escape(address)}">{words}</a>]</span>'


def _formula(_self: RendererProtocol, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    return formula(tokens[index].content, display=tokens[index].type != "math_inline")


def _table_open(*_: Any) -> str:
    return '<div class="scroll"><table>'


def _table_close(*_: Any) -> str:
    return "</table></div>"


_RULES = {
    "fence": _fence,
    "image": _picture,
    "math_inline": _formula,
    "math_inline_double": _formula,
    "math_block": _formula,
    "table_open": _table_open,
    "table_close": _table_close,
}
_MARKDOWN = _parser()
