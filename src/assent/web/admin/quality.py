"""Quality: how far people agree, the reward model under that ceiling, and disagreements to rule on."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from assent.store import list_people, list_runs
from assent.store.campaigns import get_campaign, list_campaigns
from assent.store.disputes import list_disputes, open_ruling
from assent.store.run_files import courses_of
from assent.web.admin.crowd import MEASUREMENTS
from assent.web.admin.curves import Curves, curves_of, levels_of
from assent.web.admin.data import Number, runs_of
from assent.web.admin.drawing import calibration
from assent.web.admin.entry import Adjudicator, People, Reader, Served, workspace_of
from assent.web.fields import PathId
from assent.web.page import page
from assent.web.service import Service

router = APIRouter()


@router.get("/quality")
def quality(
    request: Request,
    service: Served,
    entrance: Reader,
    campaign: Number = None,
    without: People = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """How far people agree, with everybody or without some."""
    chosen = None if campaign is None else get_campaign(service.store, campaign)
    runs = runs_of(service, chosen)
    names = {each.id: each.name for each in list_people(service.store)}
    values = {
        "campaign": chosen,
        "campaigns": list_campaigns(service.store),
        "measured": MEASUREMENTS.of(service.store, runs, without),
        "without": [(number, names[number]) for number in without if number in names],
        "rounds": _reward_curves(service),
        "arms": _arms(service),
        "disputes": list_disputes(service.store, runs, entrance.account.person_id),
        "address": str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
    }
    return page(request, "admin/quality.html", entrance, **values)


@router.post("/quality/adjudicate/{task_id}")
def adjudicate(service: Served, entrance: Adjudicator, task_id: PathId) -> Response:
    """Rule on a task that people disagreed on, as blind as they were."""
    campaign, _ = open_ruling(service.store, task_id, entrance.account, service.seed)
    return RedirectResponse(f"/annotate?campaign={campaign}", 303)


def _reward_curves(service: Service) -> list[tuple[str, Curves, Markup | None]]:
    """Of the newest reward model: its run, its learning curve under people's agreement, and its calibration."""
    found = [run for run in list_runs(service.store, "reward")][-1:]
    drawn = []
    for run in found:
        courses = courses_of(workspace_of(service), run.id)
        health = [each for each in list_runs(service.store, "health") if each.done and _checks(each.inputs, run.result)]
        bins = health[-1].result.get("calibration") if health else None
        picture = calibration("calibration", bins) if bins else None
        drawn.append((run.id, curves_of("reward", courses, levels_of(service.store, run)), picture))
    return drawn


def _arms(service: Service) -> tuple[str, dict[str, Any]] | None:
    """Of the newest reward model whose people were asked what a model chose: its run, and what that saved."""
    found = [(run.id, run.result["arms"]) for run in list_runs(service.store, "reward") if "arms" in run.result]
    return found[-1] if found else None


def _checks(inputs: tuple[tuple[str, str], ...], result: object) -> bool:
    return isinstance(result, dict) and ("reward", str(result.get("reward"))) in inputs
