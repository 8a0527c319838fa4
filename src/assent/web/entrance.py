"""Who asks, and whether they may: a cookie with a CSRF token, or a bearer token; then the role, then the scopes."""

from __future__ import annotations

import hmac

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from assent.store.sessions import SESSION_HOURS, Entrance, entrance_by_session, entrance_by_token
from assent.types.errors import NotAllowedError
from assent.web.problems import NotSignedInError
from assent.web.service import Service, service_behind

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
CSRF_HEADER, CSRF_FIELD = "x-csrf-token", "csrf"
SELF, JUDGE, READ, ADJUDICATE, MANAGE, OWN = "self", "judge", "read", "adjudicate", "manage", "own"
RIGHTS: dict[str, frozenset[str]] = {
    "owner": frozenset((SELF, JUDGE, READ, ADJUDICATE, MANAGE, OWN)),
    "manager": frozenset((SELF, JUDGE, READ, ADJUDICATE, MANAGE)),
    "adjudicator": frozenset((SELF, JUDGE, READ, ADJUDICATE)),
    "annotator": frozenset((SELF, JUDGE)),
    "read-only": frozenset((SELF, READ)),
}
"""What each role may: `judge` tasks, `read` what all said, `adjudicate` where they disagree, `manage` campaigns,
people and datasets, `own` the installation; and everyone their own page."""


def may(entrance: Entrance, right: str) -> bool:
    """True if the account's role has the right, and the token it came with, if any, was given it."""
    scoped = entrance.scopes is None or right == SELF or right in entrance.scopes
    return scoped and right in RIGHTS[entrance.account.role]


def cookie_name(service: Service) -> str:
    """The session cookie; the prefix makes browsers refuse it without TLS or from a subdomain."""
    return "__Host-assent" if service.remote else "assent"


def set_session(response: Response, service: Service, token: str) -> None:
    """Give the browser its session."""
    response.set_cookie(
        cookie_name(service),
        token,
        max_age=SESSION_HOURS * 3600,
        path="/",
        secure=service.remote,
        httponly=True,
        samesite="lax",
    )


def drop_session(response: Response, service: Service) -> None:
    """Take the session from the browser."""
    response.delete_cookie(cookie_name(service), path="/", secure=service.remote, httponly=True, samesite="lax")


def who(request: Request) -> Entrance | None:
    """Who asks, whatever they may; None if nobody is signed in. A bearer token goes before a cookie."""
    service = service_behind(request)
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind:
        return entrance_by_token(service.store, token.strip()) if kind.lower() == "bearer" else None
    cookie = request.cookies.get(cookie_name(service))
    return None if cookie is None else entrance_by_session(service.store, cookie)


def require_same_origin(request: Request) -> None:
    """Refuse what another site's page sent. For routes that change something before anybody is signed in.

    Raises:
        NotAllowedError: the browser says that it comes from elsewhere.
    """
    origin = request.headers.get("origin")
    own = {f"{scheme}://{request.headers.get('host', '')}" for scheme in ("http", "https")}
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise NotAllowedError("this came from another site")
    if origin is not None and origin not in own:
        raise NotAllowedError("this came from another site")


class Requires:
    """A dependency: lets in who has a right, and says who it is.

    Args:
        right: one of those in `RIGHTS`.
    """

    def __init__(self, right: str) -> None:
        self.right = right

    async def __call__(self, request: Request) -> Entrance:
        """Who asks.

        Raises:
            NotSignedInError: nobody is signed in.
            NotAllowedError: they may not, or a change by cookie came without its CSRF token.
        """
        entrance = await run_in_threadpool(who, request)
        if entrance is None:
            raise NotSignedInError("sign in first", "With a link from who runs this, or with your password.")
        if request.method not in SAFE_METHODS and entrance.session_id is not None:
            require_same_origin(request)
            given = request.headers.get(CSRF_HEADER) or await _form_field(request)
            if not hmac.compare_digest(given.encode(), entrance.csrf.encode()):
                raise NotAllowedError("the CSRF token is missing or old", "Load the page again.")
        if not may(entrance, self.right):
            raise NotAllowedError(f"a {entrance.account.role} may not do this ({self.right})")
        return entrance


async def _form_field(request: Request) -> str:
    """The token of a plain form, which can send no header of its own."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return ""
    found = (await request.form()).get(CSRF_FIELD)
    return found if isinstance(found, str) else ""
