"""Tasks with a known answer, made of tasks that people judged alike or on which somebody ruled."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from assent.store.campaigns import get_campaign
from assent.store.checks import STAGES, remove_gold
from assent.store.gold_sources import gold_of_task, gold_sources
from assent.web.admin.entry import Manager, Served, Whole, Word, Words, back_to
from assent.web.fields import PathId
from assent.web.page import page

router = APIRouter()


@router.get("/campaigns/{campaign_id}/gold")
def sources(request: Request, service: Served, entrance: Manager, campaign_id: PathId) -> Response:
    """Judged tasks to choose from."""
    found = get_campaign(service.store, campaign_id)
    held = gold_sources(service.store, campaign_id)
    return page(request, "admin/gold.html", entrance, campaign=found, sources=held, stages=STAGES)


@router.post("/campaigns/{campaign_id}/gold")
def make(
    service: Served,
    entrance: Manager,
    campaign_id: PathId,
    task: Whole,
    stage: Word,
    explanation: Words = "",
    ruling: Whole = 0,
) -> Response:
    """Ask a judged task as one whose answer is known."""
    gold_of_task(service.store, campaign_id, task, stage, explanation, entrance.account.id, ruling or None)
    return back_to(f"/campaigns/{campaign_id}", "gold")


@router.post("/campaigns/{campaign_id}/gold/{task_id}/remove")
def remove(service: Served, entrance: Manager, campaign_id: PathId, task_id: PathId) -> Response:
    """Ask it no more."""
    remove_gold(service.store, campaign_id, task_id, entrance.account.id)
    return back_to(f"/campaigns/{campaign_id}", "ungold")
