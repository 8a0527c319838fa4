"""The loop on one page: six stages, what each holds, what comes next, and what blocks it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from assent.store.loop_state import LoopState, loop_state
from assent.types.errors import SettingsError
from assent.web.admin.data import Number
from assent.web.admin.entry import Reader, Served, settings_of
from assent.web.page import page

router = APIRouter()


@router.get("/loop")
def loop(request: Request, service: Served, entrance: Reader, round: Number = None) -> Response:
    """Where the loop stands."""
    state: LoopState | None = None
    error = ""
    try:
        state = loop_state(service.store, settings_of(service), round)
    except SettingsError as wrong:
        error = str(wrong)
    return page(
        request, "admin/loop.html", entrance, state=state, error=error, folder=service.folder.name, wanted=round
    )


@router.get("/loop/stages")
def stages(request: Request, service: Served, entrance: Reader, round: Number = None) -> Response:
    """The stages alone, for a page that is open while the loop goes on."""
    state = loop_state(service.store, settings_of(service), round)
    return page(request, "admin/loop_stages.html", entrance, state=state, wanted=round)
