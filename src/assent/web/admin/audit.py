"""The audit log, and a backup of the database as a download."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask

from assent.store.audit import list_audit, record
from assent.store.backup import back_up
from assent.web.admin.entry import Manager, Owner, Served
from assent.web.fields import Before
from assent.web.page import page

router = APIRouter()
ROWS = 100


@router.get("/audit")
def audit(request: Request, service: Served, entrance: Manager, before: Before = None) -> Response:
    """Who did what, the newest first."""
    found = list_audit(service.store, before, ROWS + 1)
    more = found[ROWS - 1].id if len(found) > ROWS else None
    return page(request, "admin/audit.html", entrance, entries=found[:ROWS], more=more, first=before is None)


@router.post("/audit/backup")
def backup(service: Served, entrance: Owner) -> Response:
    """The database as one file, taken while it is in use."""
    folder = tempfile.TemporaryDirectory(prefix="assent-backup-")
    now = service.store.now()
    sqlite = service.store.engine.dialect.name == "sqlite"
    name = f"assent-{now:%Y%m%d-%H%M%S}.{'db' if sqlite else 'dump'}"
    try:
        path = back_up(service.store, Path(folder.name) / name)
    except BaseException:
        folder.cleanup()
        raise
    with service.store.write() as session:
        record(session, service.store, entrance.account.id, "backup", "database", name)
    done = BackgroundTask(folder.cleanup)
    return FileResponse(path, media_type="application/octet-stream", filename=name, background=done)
