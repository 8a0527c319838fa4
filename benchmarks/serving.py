"""A server that can be killed and started again in an instant: everything is imported once, then forked.

    python -m benchmarks.serving KIND PORT [DATABASE_URL FOLDER]

KIND is `service`, or `hello` for a bare route of the same framework. It reads lines: `start` forks a server and prints
its process id; the end of the input ends it all.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[1]


class Serving:
    """The other side: starts servers in processes of their own, and kills them.

    Args:
        kind: `service` or `hello`.
        database_url: what the service opens.
        folder: the workspace.
        processes: how many servers share the port.
    """

    def __init__(self, kind: str, database_url: str = "", folder: Path | None = None, processes: int = 1) -> None:
        self.port = _free_port()
        self.pids: list[int] = []
        self._processes = processes
        words = [sys.executable, "-m", "benchmarks.serving", kind, str(self.port), database_url, str(folder or "")]
        self._parent = subprocess.Popen(
            words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def start(self, patience: float = 120.0) -> None:
        """Start the servers and wait until they answer."""
        assert self._parent.stdin and self._parent.stdout
        for _ in range(self._processes):
            self._parent.stdin.write("start\n")
            self.pids.append(int(self._parent.stdout.readline()))
        until = time.monotonic() + patience
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            except OSError:
                time.sleep(0.02)
        raise TimeoutError("the server does not answer")

    def kill(self) -> None:
        """SIGKILL, which no process can prepare for."""
        assert self._parent.stdin and self._parent.stdout
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        for _ in self.pids:
            self._parent.stdin.write("wait\n")
            self._parent.stdout.readline()
        self.pids.clear()

    def __enter__(self) -> Serving:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.pids:
            self.kill()
        assert self._parent.stdin
        self._parent.stdin.close()
        self._parent.wait(30)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _serve(kind: str, port: int, database_url: str, folder: str) -> None:
    import uvicorn

    app: Any
    if kind == "hello":
        app = _hello()
    else:
        from assent.store import Store
        from assent.store.secrets import installation_secret
        from assent.web import Service, create_app
        from assent.web.limits import Limit, RateLimits

        store = Store.open(database_url)
        limits = RateLimits(submit=Limit(1_000_000, 1.0))
        app = create_app(Service(store, installation_secret(store), Path(folder), limits=limits))
    # Without the protocol's name, asyncio would leave Nagle's algorithm on: 40 ms for each answer to a waiting client.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind(("127.0.0.1", port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
    server.run(sockets=[listening])


def _hello() -> Any:
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/")
    def hello() -> dict[str, str]:
        return {"hello": "world"}

    return app


def main(kind: str, port: str, database_url: str = "", folder: str = "") -> None:
    """Fork a server at every line."""
    import fastapi  # noqa: F401 - imported once, before the forks
    import uvicorn  # noqa: F401

    import assent.web  # noqa: F401

    for line in sys.stdin:
        if line.strip() == "wait":
            print(os.wait()[0], flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            _serve(kind, int(port), database_url, folder)
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
