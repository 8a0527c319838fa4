"""The order that a person types, as the page's own script keeps it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Arrive, Serve

TYPE = """
async ([count, keys, best]) => {
  const { Ranking } = await import('/static/ranking.js');
  const ranking = new Ranking(count, { best });
  for (const key of keys) {
    if (key === '=') ranking.join();
    else if (key === '<') ranking.back();
    else ranking.place(Number(key) - 1);
  }
  return [ranking.ranks(), ranking.asShown];
}
"""
RESTORE = """
async ([ranks, best]) => {
  const { Ranking } = await import('/static/ranking.js');
  return Ranking.fromRanks(ranks, { best }).ranks();
}
"""
DAMAGED = """
async (groups) => {
  const { Ranking } = await import('/static/ranking.js');
  return Ranking.from(3, {}, groups).groups;
}
"""


@pytest.fixture
def page(serve: Serve, person: Arrive) -> Page:
    _, server = serve(sizes=(2,), checks=False)
    found = person(server).page
    found.goto(f"{server.url}/sign-in")
    return found


def test_what_is_typed_becomes_ranks(page: Page) -> None:
    cases: list[tuple[int, str, bool, Any]] = [
        (4, "3142", False, [[2, 4, 1, 3], False]),
        (4, "3=142", False, [[1, 4, 1, 3], False]),
        (4, "3=1=24", False, [[1, 1, 1, 4], False]),
        (4, "3==142", False, [[2, 4, 1, 3], False]),  # the second = takes the first back
        (4, "3=<142", False, [[2, 4, 1, 3], False]),
        (4, "31<142", False, [[2, 4, 1, 3], False]),
        (4, "3=1<142", False, [[2, 4, 1, 3], False]),
        (4, "33142", False, [[2, 4, 1, 3], False]),  # placed once
        (4, "=3142", False, [[2, 4, 1, 3], False]),  # nothing to be alike with
        (4, "9031427", False, [[2, 4, 1, 3], False]),
        (4, "314", False, [None, False]),
        (4, "", False, [None, False]),
        (3, "123", False, [[1, 2, 3], True]),
        (3, "12=3", False, [[1, 2, 2], False]),
        (2, "12", False, [[1, 2], False]),
        (4, "2", True, [[2, 1, 2, 2], False]),
        (4, "24", True, [[2, 2, 2, 1], False]),  # another choice replaces the first
    ]
    for count, keys, best, expected in cases:
        assert page.evaluate(TYPE, [count, keys, best]) == expected, keys


def test_ranks_come_back_as_they_were(page: Page) -> None:
    for ranks in ([1, 2], [2, 1], [1, 1], [2, 4, 1, 3], [1, 1, 1, 4], [3, 1, 1], [1, 1, 1, 1, 1, 1]):
        assert page.evaluate(RESTORE, [ranks, False]) == ranks
    assert page.evaluate(RESTORE, [[2, 1, 2], True]) == [2, 1, 2]


def test_a_damaged_draft_places_nothing(page: Page) -> None:
    for groups in ([[0], [0]], [[3]], [[-1]], [["0"]], [[0.5]], None):
        assert page.evaluate(DAMAGED, groups) == []
