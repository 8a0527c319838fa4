"""Runs: what was trained, evaluated and frozen, with its curves as they are by now and samples of what was written."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from assent.store import Run, get_run, list_artifacts, list_runs
from assent.store.run_files import courses_of, steps_wanted
from assent.store.written import samples_of
from assent.types.errors import NotFoundError
from assent.web.admin.curves import Curves, curves_of, levels_of
from assent.web.admin.entry import Name, Reader, Served, workspace_of
from assent.web.page import page
from assent.web.service import Service

router = APIRouter()
SAMPLES = 6


@router.get("/runs")
def runs(request: Request, service: Served, entrance: Reader) -> Response:
    """All runs, the newest first."""
    found = list_runs(service.store)[::-1]
    made = {run.id: [each.id for each in list_artifacts(service.store, run_id=run.id)] for run in found}
    return page(request, "admin/runs.html", entrance, runs=found, made=made)


@router.get("/runs/{run_id}")
def run(request: Request, service: Served, entrance: Reader, run_id: Name) -> Response:
    """One run: its settings and inputs, its curves, and samples from before and after."""
    found = _run(service, run_id)
    samples = samples_of(service.store, found, SAMPLES)
    made = list_artifacts(service.store, run_id=run_id)
    curves = _curves(service, found)
    return page(request, "admin/run.html", entrance, run=found, made=made, samples=samples, curves=curves)


@router.get("/runs/{run_id}/curves")
def live(request: Request, service: Served, entrance: Reader, run_id: Name) -> Response:
    """The curves alone, for a page that is open while the run goes on."""
    found = _run(service, run_id)
    return page(request, "admin/run_curves.html", entrance, run=found, curves=_curves(service, found))


def _run(service: Service, run_id: str) -> Run:
    found = get_run(service.store, run_id)
    if found is None:
        raise NotFoundError(f"no run {run_id!r}", "See which there are under Runs.")
    return found


def _curves(service: Service, run: Run) -> Curves:
    courses = courses_of(workspace_of(service), run.id)
    return curves_of(run.kind, courses, levels_of(service.store, run), steps_wanted(run.kind, run.settings))
