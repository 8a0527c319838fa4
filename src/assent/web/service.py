"""What every route may use: the store, the installation's secret, and how the service is reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request

from assent.store import Store
from assent.types.seeds import derive_seed
from assent.web.limits import RateLimits

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Service:
    """One process of the feedback service.

    Attributes:
        store: the open database.
        secret: of this installation; from `installation_secret`.
        folder: the workspace, where datasets and artifacts lie.
        remote: reached from other machines: cookies go over TLS only.
        hosts: the names under which it answers; a request that names another is refused (DNS rebinding).
        limits: how often one may try what could be tried too often.
    """

    store: Store
    secret: str
    folder: Path
    remote: bool = False
    hosts: tuple[str, ...] = LOOPBACK
    limits: RateLimits = field(default_factory=RateLimits)

    @property
    def seed(self) -> int:
        """Of the order in which people are shown completions, and of where checks are hidden."""
        return derive_seed("service", self.secret)


async def service_of(request: Request) -> Service:
    """The service that a request came to. Were it no coroutine, each request would wait for a thread to say so."""
    return service_behind(request)


def service_behind(request: Request) -> Service:
    """The same, outside of the routes' parameters."""
    found = request.app.state.service
    assert isinstance(found, Service)
    return found
