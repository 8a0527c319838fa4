"""What a person answers, by the slots that they see, and the same by the task's own order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import Field

from assent.store.campaigns import CampaignSettings
from assent.types.errors import DataError
from assent.types.feedback import Judgement, LabelKind, Span
from assent.web.fields import LARGEST, LongText, Seconds, Sent, Share, ShortText

Value = TypeVar("Value")


class SpanBySlot(Sent):
    """A place in the text of a slot, in Unicode code points, `end` exclusive."""

    slot: int = Field(ge=0, le=5)
    start: int = Field(ge=0, le=LARGEST)
    end: int = Field(ge=1, le=LARGEST)
    tag: ShortText


class Answer(Sent):
    """An answer to an assignment. Everything that is per completion follows the slots: the first shown is 0."""

    ranks: list[int] = Field(
        default_factory=list, max_length=6, description="1 is best, equal numbers tie; may be left out with all_bad"
    )
    strength: str = Field("", description="of a pair's preference: slight or strong", pattern="^(slight|strong)?$")
    all_bad: bool = False
    flags: list[ShortText] = Field(default_factory=list, max_length=20)
    reasons: list[ShortText] = Field(default_factory=list, max_length=50)
    note: LongText = ""
    spans: list[SpanBySlot] = Field(default_factory=list, max_length=200)
    rewrite: LongText = ""
    marks: list[dict[ShortText, Share]] = Field(
        default_factory=list, max_length=6, description="for each slot, a mark in [0, 1] by criterion"
    )
    seconds: Seconds = 0.0


def to_judgement(answer: Answer, order: Sequence[int], label: LabelKind, asked: CampaignSettings) -> Judgement:
    """An answer by slots as a judgement by the task's own order.

    Raises:
        DataError: it does not fit what was asked; the field is named.
    """
    count = len(order)
    ranks = answer.ranks or ([1] * count if answer.all_bad and label is LabelKind.RANKING else [])
    if len(ranks) != count:
        raise DataError(f"ranks: {count} are wanted, one for each completion, got {len(ranks)}")
    if answer.marks and len(answer.marks) != count:
        raise DataError(f"marks: {count} are wanted, one for each completion, got {len(answer.marks)}")
    _require_known("flags", answer.flags, asked.flags)
    _require_known("reasons", answer.reasons, asked.reasons)
    for marks in answer.marks:
        _require_known("marks", list(marks), [criterion.name for criterion in asked.criteria])
    for span in answer.spans:
        _require_known("spans", [span.tag] if span.tag else [], [*asked.reasons, *asked.flags])
        if span.slot >= count:
            raise DataError(f"spans: there is no slot {span.slot}")
    try:
        return Judgement(
            ranks=_by_task(ranks, order),
            order_shown=tuple(order),
            label=label,
            marks=_by_task([dict(marks) for marks in answer.marks], order) if answer.marks else (),
            flags=tuple(dict.fromkeys(answer.flags)),
            note=answer.note,
            seconds=answer.seconds,
            strength=answer.strength,
            all_bad=answer.all_bad,
            reasons=tuple(dict.fromkeys(answer.reasons)),
            spans=tuple(Span(order[span.slot], span.start, span.end, span.tag) for span in answer.spans),
            rewrite=answer.rewrite,
        )
    except ValueError as error:
        raise DataError(str(error)) from error


def to_answer(judgement: Judgement) -> Answer:
    """A judgement as its person saw it."""
    order = judgement.order_shown
    slot = {place: number for number, place in enumerate(order)}
    return Answer(
        ranks=[judgement.ranks[place] for place in order],
        strength=judgement.strength,
        all_bad=judgement.all_bad,
        flags=list(judgement.flags),
        reasons=list(judgement.reasons),
        note=judgement.note,
        spans=[
            SpanBySlot(slot=slot[span.completion], start=span.start, end=span.end, tag=span.tag)
            for span in judgement.spans
        ],
        rewrite=judgement.rewrite,
        marks=[dict(judgement.marks[place]) for place in order] if judgement.marks else [],
        seconds=judgement.seconds,
    )


def _by_task(by_slot: Sequence[Value], order: Sequence[int]) -> tuple[Value, ...]:
    found = dict(zip(order, by_slot, strict=True))
    return tuple(found[place] for place in range(len(order)))


def _require_known(field: str, given: Sequence[str], known: Sequence[str]) -> None:
    if unknown := [each for each in given if each not in known]:
        allowed = ", ".join(known) or "none are asked for"
        raise DataError(f"{field}: {unknown[0]!r} is not one of: {allowed}")
