"""What stands before every route: the host, the size of the body, and the headers that browsers obey."""

from __future__ import annotations

import contextlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assent.web.problems import problem

MAX_BODY = 1_000_000  # bytes
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send forms with the origin "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-DNS-Prefetch-Control": "off",  # links in a model's text are not looked up before they are followed
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class _TooLarge(Exception):
    """More came than was announced or allowed."""


class Guard:
    """ASGI middleware: refuses foreign hosts and large bodies, and adds the headers to every answer.

    Args:
        app: what is guarded.
        hosts: names without ports under which the service is reached; `*` for any.
        remote: over TLS, which browsers are to remember.
        max_body: bytes.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...], remote: bool, max_body: int = MAX_BODY) -> None:
        self.app = app
        self.hosts = hosts
        self.max_body = max_body
        self.headers = dict(HEADERS)
        if remote:
            self.headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        static = scope["path"].startswith("/static/")

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-cache" if static else "no-store")
            await send(message)

        refusal = self._refusal(Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, send_guarded)
            return
        seen = 0
        started = False

        async def receive_limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.max_body:
                raise _TooLarge
            return message

        async def send_noted(message: Message) -> None:
            nonlocal started
            if seen > self.max_body and not started:
                return  # what the application makes of the broken body is not what is wrong
            started = True
            await send_guarded(message)

        with contextlib.suppress(_TooLarge):
            await self.app(scope, receive_limited, send_noted)
        if seen > self.max_body and not started:
            await _too_large(self.max_body)(scope, receive, send_guarded)

    def _refusal(self, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if "*" not in self.hosts and name.lower() not in self.hosts:
            return problem(
                400, "bad-request", f"this service is not reached as {name[:100]!r}", "See `assent up --help`."
            )
        length = headers.get("content-length", "0")
        if not length.isdigit():
            return problem(400, "bad-request", "Content-Length is not a number")
        return _too_large(self.max_body) if int(length) > self.max_body else None


def _too_large(limit: int) -> Response:
    return problem(413, "too-large", f"a body may have {limit} bytes at most")
