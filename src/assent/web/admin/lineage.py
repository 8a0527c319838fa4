"""Lineage, both ways: what shaped a model, what a judgement shaped, and the votes behind a reward model's errors."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from assent.store import (
    ancestors,
    descendants,
    find,
    get_completions,
    get_prompts,
    list_artifacts,
    list_runs,
)
from assent.store.listing import list_judgements
from assent.store.run_files import held_out_pairs
from assent.store.shown_tasks import show_task
from assent.types.errors import DataError
from assent.web.admin.entry import Asked, Reader, Served, workspace_of
from assent.web.fields import PathId
from assent.web.page import page
from assent.web.service import Service

router = APIRouter()
ERRORS = 30


@router.get("/lineage")
def lineage(request: Request, service: Served, entrance: Reader, of: Asked = "") -> Response:
    """What something came from, and what came of it."""
    values: dict[str, Any] = {"of": of, "up": None, "down": None, "error": None, "held": None}
    code = 200
    if of.strip():
        try:
            reference = find(service.store, f"judgement:{of.strip()}" if of.strip().isdecimal() else of)
            values |= {"up": ancestors(service.store, reference), "down": descendants(service.store, reference)}
            values["task"] = values["up"].facts.get("task_id") if reference.kind == "judgement" else None
        except DataError as error:
            values["error"], code = error, 404
    values["artifacts"] = list_artifacts(service.store)[::-1]
    return page(request, "admin/lineage.html", entrance, code, **{"task": None, **values})


@router.get("/lineage/task/{task_id}")
def task(request: Request, service: Served, entrance: Reader, task_id: PathId) -> Response:
    """A task with who wrote what in it, and every vote on it."""
    shown = show_task(service.store, task_id)
    votes = list_judgements(service.store, task_id=task_id, limit=1000)
    return page(request, "admin/task.html", entrance, task=shown, votes=votes)


@router.get("/lineage/errors")
def errors(request: Request, service: Served, entrance: Reader) -> Response:
    """Where the newest reward model is surest and people said the opposite."""
    checked = [run for run in list_runs(service.store, "health") if run.done]
    run = checked[-1] if checked else None
    found = [] if run is None else _errors(service, held_out_pairs(workspace_of(service), run.id))
    return page(request, "admin/errors.html", entrance, run=run, errors=found)


def _errors(service: Service, pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each wrongly ordered pair once, the surest first, with its texts and the tasks whose votes say otherwise."""
    wrong: dict[tuple[int, int], dict[str, Any]] = {}
    for each in pairs:
        margin = each["chosen_score"] - each["rejected_score"]
        if margin < 0:
            key = (each["chosen"], each["rejected"])
            held = wrong.setdefault(key, {**each, "margin": -margin, "judgements": []})
            held["judgements"].append(each["judgement"])
    found = sorted(wrong.values(), key=lambda each: -each["margin"])[:ERRORS]
    texts = get_completions(service.store, [number for each in found for number in (each["chosen"], each["rejected"])])
    by_id = {each.id: each for each in texts}
    prompts = get_prompts(service.store, [by_id[each["chosen"]].prompt_id for each in found])
    for each, prompt in zip(found, prompts, strict=True):
        each |= {"prompt": prompt.text, "better": by_id[each["chosen"]].text, "worse": by_id[each["rejected"]].text}
    return found
