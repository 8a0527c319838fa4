"""Running the service: one process on SQLite, or several on PostgreSQL."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from assent.store import Store, Workspace
from assent.types.errors import SettingsError, WorkspaceError

NEEDED = ("fastapi", "uvicorn", "jinja2", "argon2", "python_multipart")


@dataclass(frozen=True)
class Address:
    """Where the service listens, and how people reach it."""

    host: str
    port: int
    remote: bool
    url: str | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def base(self) -> str:
        """The beginning of every link."""
        if self.url is not None:
            return self.url.rstrip("/")
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate or self.remote else 'http'}://{name}:{self.port}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names that a request may use."""
        own = ["127.0.0.1", "localhost", "[::1]"]
        if self.url is not None:
            return (*own, (urlsplit(self.url).hostname or "").lower())
        return ("*",) if self.remote else (*own, self.host)


def require_parts() -> None:
    """That the extra `web` is installed.

    Raises:
        SettingsError: it is not.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise SettingsError(f"the feedback service needs {', '.join(missing)}", 'pip install "assent[web]"')


def serve(place: Workspace, store: Store, address: Address, database_url: str | None, workers: int) -> None:
    """Answer requests until a signal ends it.

    Raises:
        SettingsError: the extra `web` is not installed.
        WorkspaceError: the port is taken.
    """
    require_parts()
    if workers > 1:
        _serve_in_processes(place, address, database_url, workers)
        return
    server = server_of(place, store, address)
    server.run()
    if not server.started:
        raise _not_listening(address)


def _serve_in_processes(place: Workspace, address: Address, database_url: str | None, workers: int) -> None:
    """Several processes take what comes to one socket; one that ends is replaced, until a signal ends them all."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    said = {"folder": str(place.path), "database_url": database_url, "remote": address.remote, "hosts": address.hosts}
    os.environ["ASSENT_SERVICE"] = json.dumps(said)
    config = uvicorn.Config("assent.web.process:app", factory=True, workers=workers, **options(address))
    with _listen(address) as listening:
        Multiprocess(config, sockets=[listening]).run()


def _listen(address: Address) -> socket.socket:
    """A listening socket that says that it is TCP, without which asyncio leaves Nagle's algorithm on.

    Then each answer, written in two parts, would wait 40 ms for the client to acknowledge the first; the socket that
    uvicorn makes for several processes is such a one.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address.host, address.port))
    except OSError as error:
        listening.close()
        raise _not_listening(address) from error
    listening.set_inheritable(True)
    return listening


def _not_listening(address: Address) -> WorkspaceError:
    return WorkspaceError(
        f"cannot listen on {address.host}, port {address.port}", "Is it in use? Choose another with --port."
    )


def server_of(place: Workspace, store: Store, address: Address) -> Any:
    """A server of one process that is not running yet."""
    require_parts()
    import uvicorn

    from assent.store.secrets import installation_secret
    from assent.web import Service, create_app

    service = Service(store, installation_secret(store), place.path, address.remote, address.hosts)
    return uvicorn.Server(uvicorn.Config(create_app(service), **options(address)))


def options(address: Address) -> dict[str, Any]:
    """What uvicorn is told."""
    return {
        "host": address.host,
        "port": address.port,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "ssl_certfile": None if address.certificate is None else str(address.certificate),
        "ssl_keyfile": None if address.key is None else str(address.key),
        "timeout_graceful_shutdown": 5,
    }
