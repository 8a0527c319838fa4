"""Access: links that let people in, tokens of programs, sessions of browsers."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from assent.store.accounts import end_access, list_accounts
from assent.store.sessions import SCOPES, list_api_tokens, list_links, make_api_token, revoke_api_token, withdraw_link
from assent.types.errors import AssentError, NotAllowedError
from assent.web.admin.entry import Asked, Manager, Served, Several, Whole, Word, back_to
from assent.web.entrance import RIGHTS, may
from assent.web.fields import PathId
from assent.web.page import page
from assent.web.problems import status_of
from assent.web.service import Service

router = APIRouter()
TOLD = {"link": "The link works no more.", "token": "The token works no more."}


@router.get("/access")
def access(request: Request, service: Served, entrance: Manager, done: Asked = "") -> Response:
    """Links, one's own tokens, and one's sessions."""
    return _page(request, service, entrance, done)


@router.post("/access/links/{link_id}/withdraw")
def end_link(service: Served, entrance: Manager, link_id: PathId) -> Response:
    """End a link that was not used."""
    withdraw_link(service.store, link_id, entrance.account)
    return back_to("/access", "link")


@router.post("/access/tokens")
def make_token(
    request: Request,
    service: Served,
    entrance: Manager,
    name: Word = "",
    scopes: Several = [],  # noqa: B006 - FastAPI copies it
    days: Whole = 0,
) -> Response:
    """Make a token and show it once; one for ever if `days` is 0."""
    if entrance.scopes is not None and not set(scopes) <= set(entrance.scopes):
        raise NotAllowedError("a token makes no token with more scopes than its own")
    try:
        _, token = make_api_token(service.store, entrance.account, name, scopes, min(days, 3650) * 24 or None)
    except AssentError as error:
        return _page(request, service, entrance, "", error=error)
    return _page(request, service, entrance, "", token=token)


@router.post("/access/tokens/{token_id}/revoke")
def end_token(service: Served, entrance: Manager, token_id: PathId) -> Response:
    """End one of one's own tokens."""
    revoke_api_token(service.store, token_id, entrance.account)
    return back_to("/access", "token")


@router.post("/access/sign-out-everywhere")
def sign_out_everywhere(service: Served, entrance: Manager) -> Response:
    """End every session of one's own, this one too."""
    end_access(service.store, entrance.account.id, entrance.account.id)
    return RedirectResponse("/sign-in", 303)


def _page(
    request: Request,
    service: Service,
    entrance: Manager,
    done: str,
    token: str = "",
    error: AssentError | None = None,
) -> Response:
    accounts = {each.id: each for each in list_accounts(service.store)}
    values = {
        "links": list_links(service.store),
        "tokens": list_api_tokens(service.store, entrance.account.id),
        "accounts": accounts,
        "scopes": [scope for scope in SCOPES if scope in RIGHTS[entrance.account.role] and may(entrance, scope)],
        "now": service.store.now(),
        "token": token,
        "told": TOLD,
        "done": done,
        "error": error,
    }
    return page(request, "admin/access.html", entrance, 200 if error is None else status_of(error)[0], **values)
