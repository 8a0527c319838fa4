"""A PostgreSQL cluster of one's own in a temporary folder, which ends with the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PLACES = (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/bin"))


def binaries() -> Path | None:
    """Where `initdb` and `pg_ctl` are; None if PostgreSQL is not installed."""
    return next((place for place in PLACES if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


@contextmanager
def cluster() -> Iterator[str]:
    """A running cluster in a temporary folder; yields what its databases' URLs begin with, before their names."""
    place = binaries()
    assert place is not None
    folder = Path(tempfile.mkdtemp(prefix="assent-postgres-"))
    data = folder / "cluster"
    data.mkdir()
    user = _user()
    if user is not None:  # PostgreSQL refuses to run as root
        folder.chmod(0o755)
        shutil.chown(data, user)
    port = free_port()
    _run(user, place / "initdb", "-D", data, "-U", "assent", "-A", "trust", "-E", "UTF8", "--no-sync")
    said = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=300"
    _run(user, place / "pg_ctl", "-D", data, "-o", said, "-l", data / "log", "-w", "start")
    try:
        yield f"postgresql+psycopg://assent@127.0.0.1:{port}/"
    finally:
        _run(user, place / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _user() -> str | None:
    if os.getuid() != 0:
        return None
    pwd.getpwnam("postgres")
    return "postgres"


def _run(user: str | None, *words: object) -> None:
    command = [str(word) for word in words]
    if user is not None:
        command = ["runuser", "-u", user, "--", *command]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=60)
    assert done.returncode == 0, done.stderr + done.stdout
