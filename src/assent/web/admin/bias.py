"""Bias: what is shown first, what is longer; for everybody, per criterion, and per group of people who said theirs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup

from assent.feedback import first_wins, longer_wins
from assent.feedback.agreement import rankings_by_criterion
from assent.store.accounts import list_accounts
from assent.store.campaigns import get_campaign, list_campaigns
from assent.types.feedback import JudgedTask
from assent.web.admin.crowd import MEASUREMENTS, SEED, Measured
from assent.web.admin.data import Number, runs_of
from assent.web.admin.drawing import intervals
from assent.web.admin.entry import Reader, Served
from assent.web.page import page
from assent.web.service import Service

router = APIRouter()
RESAMPLES = 500
SMALLEST_GROUP = 3  # people; of fewer, a group's figures would be somebody's


@router.get("/bias")
def bias(request: Request, service: Served, entrance: Reader, campaign: Number = None) -> Response:
    """What judgements depend on but should not."""
    chosen = None if campaign is None else get_campaign(service.store, campaign)
    measured = MEASUREMENTS.of(service.store, runs_of(service, chosen))
    parts = _parts(service, measured)
    values = {
        "campaign": chosen,
        "campaigns": list_campaigns(service.store),
        "measured": measured,
        "first": _chart("first", "What is shown first wins", parts, first=True),
        "longer": _chart("longer", "What is longer wins", parts, first=False),
        "smallest": SMALLEST_GROUP,
    }
    return page(request, "admin/bias.html", entrance, **values)


def _parts(service: Service, measured: Measured) -> list[tuple[str, str, Sequence[JudgedTask]]]:
    """(name, colour, judgements): all, those of each criterion's marks, and each group's."""
    judged = measured.judged
    parts: list[tuple[str, str, Sequence[JudgedTask]]] = [("Everybody, by rank", "c-1", judged)] if judged else []
    by_id = {each.ranking.judgement_id: each for each in judged}
    for name, found in rankings_by_criterion([each.ranking for each in judged]).items():
        marked = [replace(by_id[ranking.judgement_id], ranking=ranking) for ranking in found]
        parts.append((f"By the marks for {name}", "c-2", marked))
    members: dict[str, set[int]] = defaultdict(set)
    for account in list_accounts(service.store):
        for group in account.groups:
            members[group].add(account.person_id)
    for group, people in sorted(members.items()):
        own = [each for each in judged if each.ranking.person_id in people]
        if len({each.ranking.person_id for each in own}) >= SMALLEST_GROUP:
            parts.append((f"Group {group}", "c-3", own))
    return parts


def _chart(key: str, title: str, parts: Sequence[tuple[str, str, Sequence[JudgedTask]]], first: bool) -> Markup | None:
    measure = first_wins if first else longer_wins
    rows = [(name, hue, found) for name, hue, own in parts if (found := measure(own, SEED, RESAMPLES)) is not None]
    return intervals(key, title, rows, 0.5) if rows else None
