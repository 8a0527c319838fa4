"""How the judging goes: labels against target, overlap, what is in people's hands, ties, skips, and how long yet."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BeforeValidator

from assent.store import list_runs
from assent.store.campaign_tasks import KIND
from assent.store.campaigns import JUDGED_KINDS, Campaign, get_campaign, list_campaigns
from assent.store.judging_figures import judging_figures
from assent.store.sessions import Entrance
from assent.web.admin.drawing import columns
from assent.web.admin.entry import Reader, Served
from assent.web.fields import LARGEST
from assent.web.page import page
from assent.web.service import Service

router = APIRouter()
# A form that chooses none of them sends an empty word.
Number = Annotated[int | None, Query(ge=1, le=LARGEST), BeforeValidator(lambda given: given or None)]


@router.get("/data")
def data(request: Request, service: Served, entrance: Reader, campaign: Number = None) -> Response:
    """The judging of a campaign, or of all of them."""
    return _page(request, service, entrance, campaign, "admin/data.html")


@router.get("/data/figures")
def figures(request: Request, service: Served, entrance: Reader, campaign: Number = None) -> Response:
    """The figures alone, for a page that is open while people judge."""
    return _page(request, service, entrance, campaign, "admin/data_figures.html")


def runs_of(service: Service, campaign: Campaign | None) -> list[str]:
    """The runs whose tasks a campaign serves; every run with tasks if none is named."""
    if campaign is not None:
        return list(campaign.run_ids)
    return [run.id for run in list_runs(service.store) if run.kind in (*JUDGED_KINDS, KIND)]


def _page(request: Request, service: Service, entrance: Entrance, campaign_id: int | None, template: str) -> Response:
    campaign = None if campaign_id is None else get_campaign(service.store, campaign_id)
    found = judging_figures(service.store, runs_of(service, campaign))
    bars = [(f"{votes}", tasks) for votes, tasks in found.histogram[:12]]
    drawn = columns("overlap", "Tasks by the number of people who judged them", bars)
    values = {"campaign": campaign, "campaigns": list_campaigns(service.store), "figures": found, "overlap": drawn}
    return page(request, template, entrance, **values)
