from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from assent.report import ReportData, render_report, write_report
from assent.report.page import SECTIONS
from tests.unit.report.conftest import Page

Read = Callable[[str], Page]
KEYS = {key for key, _, _, _ in SECTIONS}
EVIL = "</title></style></script><script>alert(1)</script><img src=x onerror='alert(2)'>\"'&amp;]]><!--"


def test_whole_report_has_every_part_and_well_formed_drawings(example: ReportData, read: Read) -> None:
    page = read(render_report(example))
    assert page.parts() == KEYS
    # criteria 5 · verdicts 2 · learning 4 + 5 · over-optimisation 2 + 2 · health 2 x 2 · people 1 · lineage 1
    assert len(page.drawings) == 26
    for drawing in page.drawings:
        title, description, *_ = drawing
        assert title.text and description.text
        assert drawing.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_headings_never_skip_a_level(example: ReportData, read: Read) -> None:
    levels = [int(tag[1]) for tag in read(render_report(example)).tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_page_needs_no_network_and_runs_no_script(example: ReportData, read: Read) -> None:
    source = render_report(example)
    assert set(re.findall(r"\w+://[^\"'\s<)]*", source)) == {"http://www.w3.org/2000/svg"}
    page = read(source)
    assert not {"script", "iframe", "img", "object", "embed", "form", "base"} & set(page.tags)
    assert "url(" not in source and "@import" not in source
    assert {value for name, value in page.attributes if name in ("href", "src") and value[:1] != "#"} == {"data:,"}
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:") in page.attributes


def test_same_data_gives_same_page(example: ReportData) -> None:
    before = copy.deepcopy(example)
    assert render_report(example) == render_report(copy.deepcopy(example))
    assert example == before


def test_title_alone_says_what_is_missing(read: Read) -> None:
    page = read(render_report({"title": "Only pretrained"}))
    assert page.parts() == {"missing"}
    assert page.drawings == []
    assert "no gold judge in this project" in page.text
    assert "simulated" not in page.text
    assert page.tags.count("li") == len(KEYS) + 1  # every part and the headline


@pytest.mark.parametrize(
    "part",
    ["headline", "criteria", "rounds", "over_optimisation", "samples", "lineage", "notes", "settings_toml", "finished"],
)
@pytest.mark.parametrize("empty", ["absent", "none", "empty"])
def test_any_part_may_be_missing(example: ReportData, read: Read, part: str, empty: str) -> None:
    data: Any = example
    if empty == "absent":
        del data[part]
    else:
        data[part] = None if empty == "none" else type(data[part])()
    read(render_report(data))


def test_project_without_gold_judge_says_so(example: ReportData, read: Read) -> None:
    data: Any = example
    del data["criteria"]
    for each in data["rounds"]:
        each["verdict"]["gold"] = None
        each["verdict"]["criteria"] = {}
    for run in ("penalised", "unpenalised"):
        for step in data["over_optimisation"][run]:
            step["gold"] = None
    page = read(render_report(data))
    assert page.text.count("no gold judge in this project") == 4  # criteria, two verdicts, over-optimisation
    assert "gap-penalised-t" not in page.source
    assert "raw-proxy-t" in page.source and "raw-gold-t" not in page.source


@pytest.mark.parametrize("simulated", [True, False])
def test_banner_says_whether_people_are_simulated(example: ReportData, read: Read, simulated: bool) -> None:
    example["simulated"] = simulated
    text = read(render_report(example)).text
    assert ("The people in this report are simulated." in text) is simulated
    assert (f"2\N{THIN SPACE}400 judgements by {'simulated ' if simulated else ''}people") in text


def hostile(value: Any, string: str, number: Any) -> Any:
    """The same tree with every text and every number replaced, except what names the numbers' places."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return string
    if isinstance(value, int | float):
        return number
    if isinstance(value, dict):
        fixed = ("round", "id")
        return {k: v if k in fixed else hostile(v, string, number) for k, v in value.items()}
    return [hostile(each, string, number) for each in value]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 0, -1.5, 1e300, -1e300, 1e-300, 5, None])
def test_hostile_texts_stay_texts_and_any_number_is_shown(example: ReportData, read: Read, number: Any) -> None:
    calm = read(render_report(example))
    page = read(render_report(hostile(example, EVIL, number)))
    assert "script" not in page.tags and "img" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert EVIL in page.text
    assert set(page.tags) <= set(calm.tags)
    assert not re.search(r"\b(nan|inf|infinity|None)\b", page.text)
    assert not re.search(r"=\"[^\"]*\b(nan|inf)\b", page.source)
    assert len(page.drawings) <= len(calm.drawings)


@pytest.mark.parametrize(
    "text",
    [
        "\x00\x07\x1b[31m",
        "\ud800 lone",
        "\u202eright to left",
        "مرحبا",
        "👩🏽‍🔬🧪",
        "\ufffe\uffff",
        "a" * 3000,
        "",
        " \n\t",
    ],
)
def test_any_text_can_be_shown_and_written(example: ReportData, read: Read, text: str, tmp_path: Path) -> None:
    path = write_report(hostile(example, text, 0.5), tmp_path)
    page = read(path.read_text("utf-8"))
    assert "\x00" not in page.source and "\ud800" not in page.source
    for kept in ("مرحبا", "👩🏽‍🔬🧪"):
        assert text != kept or kept in page.text


def test_samples_keep_their_line_breaks_direction_and_order(example: ReportData, read: Read) -> None:
    source = render_report(example)
    assert "fumes are toxic.\n\nIf it leaks" in read(source).text
    assert '<p class="text" dir="auto">' in source
    first = source.index('id="samples"')
    order = [source.index(f"<bdi>{who}</bdi></h4>", first) for who in ("base", "SFT", "round 1", "round 2")]
    assert order == sorted(order)


def test_criteria_keep_the_order_of_policies(example: ReportData, read: Read) -> None:
    names = ["pretrained base", "SFT (traditional fine-tuning)", "round 1", "round 2"]
    text = read(render_report(example)).text
    assert "".join(names) in text


def test_refused_policy_and_forced_reward_model_are_shown_as_such(example: ReportData, read: Read) -> None:
    example["rounds"][0]["verdict"] = {
        "promoted": False,
        "reasons": ["too far: KL 31 above 15"],
        "kl": 31.0,
        "kl_budget": 15.0,
    }
    example["rounds"][0]["health"] = {"healthy": False, "forced": True, "reasons": ["accuracy 51 %"]}
    page = read(render_report(example))
    for words in ("not promoted", "too far: KL 31 above 15", "31 of 15 nats", "unhealthy, forced", "accuracy 51 %"):
        assert words in page.text
    assert 'class="fill over" style="width:100%"' in page.source


def test_long_runs_stay_small(example: ReportData) -> None:
    usual = len(render_report(example))
    row = example["rounds"][0]["training"][0]
    example["rounds"][0]["training"] = [
        {**row, "step": i, "kl": i / 1000, "score": math.sqrt(i)} for i in range(20_000)
    ]
    assert len(render_report(example)) < 3 * usual


def test_write_report_writes_page_and_figures(example: ReportData, tmp_path: Path) -> None:
    example["headline"][0]["good"] = None
    example["rounds"][0]["training"][0]["score"] = math.nan
    path = write_report(example, tmp_path / "runs" / "r1")
    assert path == tmp_path / "runs" / "r1" / "report.html"
    assert path.read_text("utf-8") == render_report(example)
    figures = json.loads((path.parent / "report.json").read_text("utf-8"))
    assert list(figures["criteria"]) == ["base", "sft", "round 1", "round 2"]
    assert figures["rounds"][0]["training"][0]["score"] is None
    example["rounds"][0]["training"][0]["score"] = None
    assert figures == example
    assert sorted(each.name for each in path.parent.iterdir()) == ["report.html", "report.json"]


def test_what_is_no_json_value_is_refused_with_its_place() -> None:
    data: Any = {"title": "t", "rounds": [{"round": 1, "judgements": object()}]}
    with pytest.raises(ValueError, match=r"data\.rounds\[0\]\.judgements is a object"):
        render_report(data)
