"""Errors as answers: a status, what is wrong, and what to do about it."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException

from assent.types.errors import (
    AssentError,
    ConflictError,
    DataError,
    LeaseLostError,
    NotAllowedError,
    NotFoundError,
    WorkspaceError,
)
from assent.web.limits import TooManyError

log = logging.getLogger("assent.web")


class NotSignedInError(AssentError):
    """Nobody is signed in, or no longer."""


class Problem(BaseModel):
    """What is wrong, and what to do about it."""

    code: str
    error: str
    hint: str = ""


STATUS: tuple[tuple[type[AssentError], int, str], ...] = (
    (NotSignedInError, 401, "not-signed-in"),
    (NotAllowedError, 403, "not-allowed"),
    (NotFoundError, 404, "not-found"),
    (LeaseLostError, 409, "lease-lost"),
    (ConflictError, 409, "conflict"),
    (TooManyError, 429, "too-many"),
    (DataError, 422, "invalid"),
    (WorkspaceError, 503, "unavailable"),
)
NAMES = {
    400: "bad-request",
    401: "not-signed-in",
    403: "not-allowed",
    404: "not-found",
    405: "no-such-method",
    409: "conflict",
    413: "too-large",
    422: "invalid",
    429: "too-many",
    503: "unavailable",
}
MEANING = {
    400: "The request cannot be read, or names a host that is not this service's.",
    401: "Nobody is signed in, or the token is not valid.",
    403: "The account's role or the token's scopes do not allow this, or the CSRF token is missing.",
    404: "There is no such thing, or not for this account.",
    409: "It does not go with what is there by now.",
    413: "The body is too large.",
    422: "A field is missing or wrong; the message names it.",
    429: "Too many tries; `Retry-After` says how many seconds to wait.",
    503: "The database cannot be written or read now; nothing was recorded.",
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors that a route can answer, for OpenAPI; those that any route can are always among them."""
    every = sorted({400, 401, 403, 413, 422, 503, *statuses})
    return {status: {"model": Problem, "description": MEANING[status]} for status in every}


def problem(status: int, code: str, error: str, hint: str = "", headers: dict[str, str] | None = None) -> JSONResponse:
    """An error as JSON."""
    return JSONResponse({"code": code, "error": error, "hint": hint}, status, headers)


def status_of(error: AssentError) -> tuple[int, str]:
    """The status and the code of an error of the user's."""
    return next(((status, code) for kind, status, code in STATUS if isinstance(error, kind)), (422, "invalid"))


def install(app: FastAPI) -> None:
    """Let the app answer errors in this form, on pages as a page."""
    app.add_exception_handler(AssentError, _tell)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    app.add_exception_handler(HTTPException, _tell_http)
    app.add_exception_handler(IntegrityError, _tell_race)
    app.add_exception_handler(Exception, _tell_unknown)


async def _tell(request: Request, error: Exception) -> Response:
    assert isinstance(error, AssentError)
    status, code = status_of(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if isinstance(error, TooManyError):
        headers["Retry-After"] = f"{error.wait:.0f}"
    if status == 503:
        log.error("%s %s: %s", request.method, request.url.path, error.message)
    return _answer(request, status, code, error.message, error.hint, headers)


async def _tell_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    said = []
    for each in error.errors()[:5]:
        place = ".".join(str(part) for part in each["loc"] if part != "body") or "body"
        said.append(f"{place}: {each['msg'].removeprefix('Value error, ')}")
    return _answer(request, 422, "invalid", "; ".join(said), "")


async def _tell_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return _answer(request, error.status_code, NAMES.get(error.status_code, "error"), str(error.detail), "", headers)


async def _tell_race(request: Request, error: Exception) -> Response:
    log.warning("%s %s: %s", request.method, request.url.path, error)
    return _answer(request, 409, "conflict", "somebody did the same at this moment", "Look again, then try again.")


async def _tell_unknown(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(request, 500, "error", "this should not have happened", "The server's log says more.")


def _answer(
    request: Request, status: int, code: str, error: str, hint: str, headers: dict[str, str] | None = None
) -> Response:
    error, hint = (text.encode("utf-8", "replace").decode() for text in (error, hint))
    if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        return problem(status, code, error, hint, headers)
    from assent.web.page import error_page

    return error_page(request, status, error, hint, headers)
