"""Bias: what is shown first, what is longer; for everybody, per criterion, and per group of people who said theirs."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup

from assent.store.campaigns import get_campaign, list_campaigns
from assent.web.admin.crowd import MEASUREMENTS
from assent.web.admin.data import Number, runs_of
from assent.web.admin.drawing import intervals
from assent.web.admin.entry import Reader, Served
from assent.web.admin.measuring import SMALLEST_GROUP, Leaning
from assent.web.page import page

router = APIRouter()


@router.get("/bias")
def bias(request: Request, service: Served, entrance: Reader, campaign: Number = None) -> Response:
    """What judgements depend on but should not."""
    chosen = None if campaign is None else get_campaign(service.store, campaign)
    measured = MEASUREMENTS.of(service.store, runs_of(service, chosen))
    values = {
        "campaign": chosen,
        "campaigns": list_campaigns(service.store),
        "measured": measured,
        "first": _chart("first", "What is shown first wins", measured.leanings, first=True),
        "longer": _chart("longer", "What is longer wins", measured.leanings, first=False),
        "smallest": SMALLEST_GROUP,
    }
    return page(request, "admin/bias.html", entrance, **values)


def _chart(key: str, title: str, leanings: Sequence[Leaning], first: bool) -> Markup | None:
    found = [(each.name, each.hue, each.first if first else each.longer) for each in leanings]
    rows = [(name, hue, interval) for name, hue, interval in found if interval is not None]
    return intervals(key, title, rows, 0.5) if rows else None
