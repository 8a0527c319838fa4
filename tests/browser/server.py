"""The feedback service for a browser: in a thread of the test, or as `assent up` in a process that can be killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from assent.cli.serving import Address, server_of
from assent.store import Store, Workspace


class Server:
    """The feedback service on a port of this machine."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.port = _free_port()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._begin()
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.url}/sign-in", timeout=2)
                return
            except (urllib.error.URLError, OSError):
                self._check()
                time.sleep(0.1)
        raise RuntimeError("the server does not answer")

    def _begin(self) -> None:
        self.store = Store.open(self.workspace.database)
        self.server: Any = server_of(self.workspace, self.store, Address("127.0.0.1", self.port, remote=False))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    def _check(self) -> None:
        if not self.thread.is_alive():
            raise RuntimeError("the server ended")

    def kill(self) -> None:
        """End it."""
        self.server.should_exit = True
        self.thread.join(10)
        self.store.close()


class OwnProcess(Server):
    """`assent up`, which is killed as when the power fails."""

    process: subprocess.Popen[bytes] | None = None

    def _begin(self) -> None:
        command = [Path(sys.executable).parent / "assent", "up", "-w", self.workspace.path, "--port", str(self.port)]
        quiet = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.said = self.workspace.path / "said.txt"
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(command, stdout=said, stderr=subprocess.PIPE, env=quiet)

    @property
    def owner_link(self) -> str:
        """The link that it printed."""
        return self.said.read_text().split()[-1]

    def _check(self) -> None:
        assert self.process is not None and self.process.stderr is not None
        if self.process.poll() is not None:
            raise RuntimeError(self.process.stderr.read().decode())

    def kill(self) -> None:
        """End it at once, with nothing said."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])
