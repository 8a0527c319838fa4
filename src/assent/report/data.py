"""What a report is made of, as plain values that go through JSON.

Every part but the title may be missing: a single stage, or a project without a gold judge, has a report too. A number
may be None or NaN; it is shown as a dash.
"""

from __future__ import annotations

import math
from typing import Any, Required, TypedDict, cast

Number = float | None


class Interval(TypedDict, total=False):
    """An estimate and its 95 % interval, as a share or a mark in [0, 1]."""

    value: Required[Number]
    low: Number
    high: Number


class Headline(TypedDict, total=False):
    """A tile: a figure in words ready to be shown. `good` says whether it meets its aim, if it has one."""

    label: Required[str]
    value: Required[str]
    detail: str
    good: bool | None


class CalibrationBin(TypedDict, total=False):
    """Held-out pairs given about the same chance: that chance, how often people agreed, and how many pairs."""

    predicted: Required[Number]
    observed: Required[Number]
    count: Number
    pairs: Number  # what evaluation calls `count`


class Health(TypedDict, total=False):
    """What the reward model showed on held-out pairs. `length_correlation` is a rank correlation in [-1, 1]."""

    healthy: bool
    reasons: list[str]
    notes: list[str]
    forced: bool
    accuracy: Interval | None
    ceiling: Interval | None
    calibration: list[CalibrationBin]
    calibration_error: Number
    length_correlation: Number
    length_correlation_before: Number  # with what length explained of the labels; None where nothing was left out
    score_differences: dict[str, Number]
    pairs: int


class TrainingStep(TypedDict, total=False):
    """One step of RL, or of learning from rankings. KL and entropy in nats, length in tokens.

    `heldout_*` and `gold` are there where they were measured; `accuracy`, `margin` (of the implicit rewards) and
    `log_ratio` (nats) only where rankings were learnt.
    """

    step: Required[int]
    accuracy: Number
    margin: Number
    log_ratio: Number
    kl: Number
    score: Number
    reward: Number
    entropy: Number
    kl_coef: Number
    length: Number
    clip_fraction: Number
    gold: Number
    heldout_proxy: Number
    heldout_kl: Number


class Change(TypedDict, total=False):
    """A mark under the old policy and the new one."""

    old: Number
    new: Number


class Verdict(TypedDict, total=False):
    """Whether the new policy replaced the old: win rates in [0, 1], KL and its budget in nats per sequence."""

    promoted: bool
    reasons: list[str]
    people: Interval | None
    gold: Interval | None
    kl: Number
    kl_budget: Number
    criteria: dict[str, Change]


class Round(TypedDict, total=False):
    """One turn of the loop."""

    round: Required[int]
    judgements: int
    agreement: Interval | None
    health: Health | None
    training: list[TrainingStep]
    verdict: Verdict | None


class ProxyGoldStep(TypedDict, total=False):
    """A policy measured during RL: KL in nats, the reward model's score, the gold judge's mark."""

    step: int
    kl: Number
    proxy: Number
    gold: Number


class OverOptimisation(TypedDict, total=False):
    """The same RL with the KL penalty and without it, and what the two say, in a sentence or two."""

    penalised: list[ProxyGoldStep]
    unpenalised: list[ProxyGoldStep]
    summary: str


class Answer(TypedDict, total=False):
    """What one policy answered, with a judge's marks in [0, 1] by name."""

    who: Required[str]
    text: Required[str]
    marks: dict[str, Number] | None


class Sample(TypedDict, total=False):
    """One prompt and the answers of several policies."""

    prompt: Required[str]
    answers: list[Answer]


class LineageNode(TypedDict, total=False):
    """An artifact, a run or a body of judgements. The kind picks its colour."""

    id: Required[str]
    kind: str
    label: str
    detail: str


class Lineage(TypedDict, total=False):
    """What came of what: edges are [from, to, role], in the direction of the data."""

    nodes: list[LineageNode]
    edges: list[list[str]]


class ReportData(TypedDict, total=False):
    """Everything a report can show. `finished` is an ISO 8601 time, `criteria` is in order: base, sft, round 1, …"""

    title: Required[str]
    subtitle: str
    workspace: str
    finished: str
    seconds: Number
    simulated: bool
    settings_toml: str
    headline: list[Headline]
    criteria: dict[str, dict[str, Interval]]
    rounds: list[Round]
    over_optimisation: OverOptimisation | None
    samples: list[Sample]
    lineage: Lineage | None
    notes: list[str]


def cleaned(data: ReportData) -> ReportData:
    """A copy that any reader can take: non-finite numbers become None, characters no page may hold become U+FFFD.

    Raises:
        ValueError: something in it is no JSON value.
    """
    return cast(ReportData, _clean(data, "data"))


def _clean(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return "".join(map(_printable, value))
    if isinstance(value, dict):
        return {_clean(str(key), where): _clean(each, f"{where}.{key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(each, f"{where}[{i}]") for i, each in enumerate(value)]
    raise ValueError(f"{where} is a {type(value).__name__}, which JSON cannot hold")


def _printable(character: str) -> str:
    code = ord(character)
    control = code < 32 and character not in "\t\n\r"
    return "�" if control or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or code & 0xFFFE == 0xFFFE else character
