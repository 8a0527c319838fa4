"""Texts become safe HTML that says what was written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.web.differences import render_difference
from assent.web.rendering import LONGEST, plain, render
from assent.web.sanitiser import SCHEMES, TAGS
from tests.web.xss_corpus import CORPUS

HARMLESS = {"href", "title", "target", "rel", "dir", "class", "tabindex", "start", "display"}


class Reader(HTMLParser):
    """What elements a markup has, and its visible text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def dangers(markup: str) -> Iterator[str]:
    """Elements outside the list, and attributes that could run or fetch something."""
    for tag, attributes in Reader(markup).elements:
        if tag not in TAGS:
            yield f"<{tag}>"
        for name, value in attributes.items():
            if name.startswith(("on", "hx-", "data-", "xlink")) or name in ("style", "src", "srcset", "id", "name"):
                yield f"<{tag} {name}>"
            if tag in ("a", "p", "div", "span", "pre", "code", "td") and name not in HARMLESS:
                yield f"<{tag} {name}>"
            if name == "href" and (value or "").split(":")[0].lower() not in SCHEMES:
                yield f"<{tag} href={value}>"


def test_the_corpus_is_large_and_without_repeats() -> None:
    assert len(CORPUS) >= 100
    assert len(set(CORPUS)) == len(CORPUS)


@pytest.mark.parametrize("markup", ["<p onclick=x>", "<script>", "<a href=javascript:x>", "<div hx-get=/>", "<p id=a>"])
def test_the_search_for_dangers_finds_them(markup: str) -> None:
    assert list(dangers(markup)) != []


@pytest.mark.parametrize("payload", CORPUS)
def test_nothing_dangerous_is_left(payload: str) -> None:
    for markup in (render(payload), plain(payload), *render_difference(payload, f"{payload} {payload}")):
        assert list(dangers(markup)) == []


@pytest.mark.parametrize("payload", CORPUS)
def test_nothing_dangerous_comes_of_two_texts_together(payload: str) -> None:
    assert list(dangers(render(f"$x$ **a** {payload}\n\n```js\n{payload}\n```\n\n| {payload} |\n|---|\n"))) == []


@given(st.text(alphabet="<>&\"'`*_[]()!$\\{}|#- \nabn=:/אה", max_size=80))
def test_any_signs_make_safe_markup(text: str) -> None:
    assert list(dangers(render(text))) == []


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_difference_loses_no_sign(left: str, right: str) -> None:
    shown = [Reader(markup).text for markup in render_difference(left, right)]
    assert shown == [_as_html_reads(left), _as_html_reads(right)]


def _as_html_reads(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def test_raw_html_is_shown_as_it_was_written() -> None:
    assert Reader(render("a <b>bold</b> <!-- x --> word")).text.strip() == "a <b>bold</b> <!-- x --> word"


def test_markdown_of_chat_models() -> None:
    found = [tag for tag, _ in Reader(render("# A\n1. x\n   - y\n\n| a |\n|---|\n| b |\n\n~~c~~ **d** `e`")).elements]
    assert {"h3", "ol", "ul", "table", "th", "td", "s", "strong", "code"} <= set(found)
    assert not {"h1", "h2"} & set(found)  # these are the page's


def test_a_single_line_break_is_kept() -> None:
    assert "<br>" in render("one\ntwo")


def test_code_is_coloured_and_kept_to_the_letter() -> None:
    code = "def f(x):\n    return x < 1 and 'a'\n"
    markup = render(f"```python\n{code}```")
    assert 'class="tok-k"' in markup
    assert Reader(markup).text.strip() == code.strip()


def test_code_in_an_unknown_language_is_shown() -> None:
    assert Reader(render("```klingon\nqo' <x>\n```")).text.strip() == "qo' <x>"


@pytest.mark.parametrize("source", ["$x^2$", r"\(x^2\)", "$$x^2$$", r"\[x^2\]", "```math\nx^2\n```", "$$\nx^2\n$$"])
def test_formulas_become_mathml(source: str) -> None:
    tags = [tag for tag, _ in Reader(render(source)).elements]
    assert "math" in tags and "msup" in tags


def test_an_aligned_formula_is_a_table() -> None:
    assert "<mtable" in render("\\[ \\begin{aligned} a &= b \\\\ c &= d \\end{aligned} \\]")


@pytest.mark.parametrize("source", [r"$\foo{$", "$" + "{" * 500 + "}" * 500 + "$", r"$\text{<b>x</b>}$"])
def test_what_is_no_formula_is_shown_as_its_source(source: str) -> None:
    markup = render(source)
    assert "<math" not in markup
    assert source.strip("$") in Reader(markup).text


def test_prices_are_no_formulas() -> None:
    assert "<math" not in render("It costs $5 here and $6 there.")


def test_every_block_finds_its_own_direction() -> None:
    blocks = [a.get("dir") for tag, a in Reader(render("שלום\n\nhello\n\n- أهلا")).elements if tag in ("p", "ul", "li")]
    assert blocks == ["auto"] * len(blocks) and len(blocks) >= 4


def test_links_say_nothing_of_where_they_come_from_and_pictures_are_not_fetched() -> None:
    elements = Reader(render("[a](https://a.invalid) ![b](https://b.invalid/p.png)")).elements
    links = [attributes for tag, attributes in elements if tag == "a"]
    assert [link["href"] for link in links] == ["https://a.invalid", "https://b.invalid/p.png"]
    assert all(link["rel"] == "noopener noreferrer nofollow" and link["target"] == "_blank" for link in links)
    assert "img" not in [tag for tag, _ in elements]


@pytest.mark.parametrize("unit", ["[", "![", "\\(", "$a ", "*a_ ", "> ", "`", "<a ", "&#", "[a](", "{", "|a", "- "])
def test_no_text_takes_long(unit: str) -> None:
    started = time.perf_counter()
    render(unit * (LONGEST // len(unit)))
    assert time.perf_counter() - started < 10.0  # a second or so on a quiet machine; quadratic would be minutes


def test_a_long_text_is_shown_whole() -> None:
    text = "word " * (LONGEST // 5 + 10)
    assert Reader(render(text)).text == text


def test_a_difference_marks_the_words_that_differ() -> None:
    left, right = render_difference("the cat sat on the mat", "the dog sat on a mat")
    assert left == '<div class="plain" dir="auto">the <del>cat</del> sat on <del>the</del> mat</div>'
    assert right == '<div class="plain" dir="auto">the <ins>dog</ins> sat on <ins>a</ins> mat</div>'


def test_blanks_between_two_changes_do_not_tear_a_difference_apart() -> None:
    left, right = render_difference("go red blue home", "go green yellow home")
    assert "<del>red blue</del>" in left and "<ins>green yellow</ins>" in right


def test_equal_texts_have_no_difference() -> None:
    assert render_difference("same", "same") == ('<div class="plain" dir="auto">same</div>',) * 2


def test_what_no_page_can_show_is_replaced() -> None:
    assert Reader(render("a\x00b\ud800c")).text.strip() == "a\ufffdb\ufffdc"
