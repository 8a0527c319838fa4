from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from assent.report.data import ReportData
from tests.unit.report.report_example import whole

VOID = {"br", "link", "meta"}


class Page(HTMLParser):
    """What a reader of the page gets: elements, attributes, text; every element must be closed where it was opened."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = source
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    @property
    def drawings(self) -> list[ElementTree.Element]:
        return [ElementTree.fromstring(each) for each in re.findall(r"<svg.*?</svg>", self.source, flags=re.S)]

    def parts(self) -> set[str]:
        return {value for name, value in self.attributes if name == "id" and value and value[-2:] not in ("-t", "-d")}


@pytest.fixture
def example() -> ReportData:
    return whole()


@pytest.fixture
def read() -> Callable[[str], Page]:
    return Page
