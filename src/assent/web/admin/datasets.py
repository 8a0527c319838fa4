"""Dataset versions: what a reward model learns from, frozen by rules, with hash, card, preview and download."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from assent.store import list_artifacts, list_people, list_runs
from assent.store.campaign_tasks import KIND
from assent.store.datasets import SPLITS, FreezeRules, chosen, file_of, freeze, preview
from assent.store.sessions import Entrance
from assent.types.errors import AssentError, NotFoundError
from assent.web.admin.entry import (
    Asked,
    Manager,
    Name,
    People,
    Reader,
    Served,
    Several,
    Share,
    Whole,
    Word,
    workspace_of,
)
from assent.web.page import page
from assent.web.problems import status_of
from assent.web.service import Service

router = APIRouter()
KINDS = ("sample", KIND)  # an evaluation's votes decide on promotion and never train
LINES = 20


@router.get("/datasets")
def datasets(
    request: Request,
    service: Served,
    entrance: Reader,
    without: People = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """All versions, and the form that freezes one."""
    return _page(request, service, entrance, {"without": without})


@router.post("/datasets")
def make(
    request: Request,
    service: Served,
    entrance: Manager,
    run_ids: Several = [],  # noqa: B006 - FastAPI copies it
    minimum_votes: Whole = 1,
    ties: Word = "keep",
    disagreements: Word = "votes",
    holdout_share: Share = 0.0,
    without: Several = [],  # noqa: B006
    act: Word = "preview",
) -> Response:
    """Say what these rules let in, or freeze it."""
    people = tuple(sorted({int(each) for each in without if each.isdecimal()}))
    typed = {
        "runs": run_ids,
        "minimum_votes": minimum_votes,
        "ties": ties,
        "disagreements": disagreements,
        "share": holdout_share,
        "without": people,
    }
    try:
        rules = FreezeRules(tuple(run_ids), minimum_votes, ties, people, holdout_share / 100, disagreements)
        if act == "freeze":
            frozen = freeze(workspace_of(service), service.store, rules, entrance.account.id)
            return _one(request, service, entrance, frozen.id, done="frozen")
        split = chosen(service.store, rules)
    except AssentError as error:
        return _page(request, service, entrance, typed, error=error)
    judges = {each.person_id for found in split.values() for each in found}
    return _page(request, service, entrance, typed, {**{k: len(v) for k, v in split.items()}, "people": len(judges)})


@router.get("/datasets/{dataset}")
def version(request: Request, service: Served, entrance: Reader, dataset: Name, done: Asked = "") -> Response:
    """One version: its hash, card, and some of its lines."""
    return _one(request, service, entrance, dataset, done)


@router.get("/datasets/{dataset}/{split}.jsonl")
def download(service: Served, entrance: Reader, dataset: Name, split: Name) -> Response:
    """A split as a file."""
    path = file_of(workspace_of(service), service.store, dataset, split)
    return FileResponse(path, media_type="application/x-ndjson", filename=f"{dataset}-{split}.jsonl")


def _page(
    request: Request,
    service: Service,
    entrance: Entrance,
    typed: dict[str, object],
    counted: dict[str, int] | None = None,
    error: AssentError | None = None,
) -> Response:
    runs = [run for run in list_runs(service.store) if run.kind in KINDS]
    usual = {"minimum_votes": 1, "ties": "keep", "disagreements": "votes", "share": 0, "without": ()}
    shown = {"runs": [run.id for run in runs], **usual, **typed}
    values = {
        "datasets": list_artifacts(service.store, "dataset")[::-1],
        "runs": runs,
        "people": list_people(service.store),
        "typed": shown,
        "counted": counted,
        "error": error,
    }
    return page(request, "admin/datasets.html", entrance, 200 if error is None else status_of(error)[0], **values)


def _one(request: Request, service: Service, entrance: Entrance, dataset: str, done: str = "") -> Response:
    found = next((each for each in list_artifacts(service.store, "dataset") if each.id == dataset), None)
    if found is None:
        raise NotFoundError(f"no dataset {dataset!r}")
    lines = {}
    for split in SPLITS:
        try:
            lines[split] = preview(workspace_of(service), service.store, dataset, split, 0, LINES)
        except NotFoundError:
            continue
    return page(request, "admin/dataset.html", entrance, dataset=found, lines=lines, done=done)
