"""The routes of the pages. What a page does, it does through the API; here it only comes up."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from assent.store.accounts import get_account, password_hash_of, set_password
from assent.store.sessions import Entrance, look_at_link, sign_in, sign_out, use_link
from assent.types.errors import AssentError, NotAllowedError
from assent.web.entrance import SELF, Requires, drop_session, require_same_origin, set_session, who
from assent.web.page import page
from assent.web.passwords import hash_password, is_password
from assent.web.problems import status_of
from assent.web.service import Service, service_of

router = APIRouter(include_in_schema=False)
Served = Annotated[Service, Depends(service_of)]
Field = Annotated[str, Form(max_length=1000)]


@router.get("/sign-in")
def sign_in_form(request: Request, next: Annotated[str, Query(max_length=1000)] = "/") -> Response:
    """The form for a login name and a password; it leads to the page that was asked for."""
    if who(request) is not None:
        return RedirectResponse(_own_path(next), 303)
    return page(request, "sign_in.html", error="", login="", next=_own_path(next))


@router.post("/sign-in")
def sign_in_by_password(
    request: Request, service: Served, login: Field, password: Field, next: Field = "/"
) -> Response:
    """Begin a session; whatever was there before ends."""
    require_same_origin(request)
    address = request.client.host if request.client else ""
    service.limits.take(service.limits.sign_in, f"address:{address}")
    service.limits.take(service.limits.sign_in, f"login:{login.strip().lower()}")
    known = password_hash_of(service.store, login)
    if not is_password(known[1] if known else None, password) or known is None:
        said = "This login name and password do not fit."
        return page(request, "sign_in.html", None, 401, error=said, login=login, next=_own_path(next))
    return _into(request, service, sign_in(service.store, known[0]), _own_path(next))


@router.get("/link/{token}")
def link(request: Request, service: Served, token: str) -> Response:
    """What a link leads to. Looking at it, as mail programs do, does not use it up."""
    found = look_at_link(service.store, token)
    name = get_account(service.store, found.account_id).name if found.account_id is not None else ""
    return page(request, "link.html", link=found, token=token, name=name, error="", given={"name": "", "login": ""})


@router.post("/link/{token}")
def use(
    request: Request, service: Served, token: str, name: Field = "", login: Field = "", password: Field = ""
) -> Response:
    """Use a link up and begin a session."""
    require_same_origin(request)
    address = request.client.host if request.client else ""
    service.limits.take(service.limits.sign_in, f"address:{address}")
    found = look_at_link(service.store, token)
    try:
        hashed = hash_password(password) if password and found.account_id is None else None
        _, session = use_link(service.store, token, name, login or name, hashed)
    except AssentError as error:
        given = {"name": name, "login": login}
        status = status_of(error)[0]
        return page(request, "link.html", None, status, link=found, token=token, name="", error=str(error), given=given)
    return _into(request, service, session)


@router.post("/sign-out")
def leave(request: Request, service: Served, entrance: Annotated[Entrance, Depends(Requires(SELF))]) -> Response:
    """End the session."""
    if entrance.session_id is not None:
        sign_out(service.store, entrance.session_id)
    answer = RedirectResponse("/sign-in", 303)
    drop_session(answer, service)
    return answer


@router.post("/account/password")
def change_password(
    request: Request,
    service: Served,
    entrance: Annotated[Entrance, Depends(Requires(SELF))],
    password: Field,
    old: Field = "",
) -> Response:
    """Set or change the password. Every session ends, and a new one begins here."""
    account = entrance.account
    service.limits.take(service.limits.sign_in, f"login:{account.login}")
    if entrance.session_id is None:
        raise NotAllowedError("a token cannot change the password")
    known = password_hash_of(service.store, account.login)
    if known is not None and not is_password(known[1], old):
        raise NotAllowedError("the old password does not fit")
    set_password(service.store, account.id, hash_password(password))
    return _into(request, service, sign_in(service.store, account.id), "/account")


def _own_path(path: str) -> str:
    """A path of this service's, or its start: a link must not lead who signs in to a stranger's page."""
    return path if re.fullmatch(r"/(?![/\\])[\w/.-]*", path, re.ASCII) else "/"


def _into(request: Request, service: Service, session: str, to: str = "/") -> Response:
    before = who(request)
    if before is not None and before.session_id is not None:
        sign_out(service.store, before.session_id)
    answer = RedirectResponse(to, 303)
    set_session(answer, service, session)
    return answer
