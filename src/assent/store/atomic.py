"""Files and folders that are there whole or not at all: write aside, fsync, rename, fsync the folder.

What a killed process left half-written carries a name of its own (`.NAME.TOKEN.partial`) and a lock that died with
the process; the next write of the same name sweeps it away.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from assent.store.faults import translate_os_errors
from assent.store.hashing import canonical_json

__all__ = ["atomic_dir", "atomic_file", "translate_os_errors", "write_atomic", "write_json_atomic"]


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a whole file: afterwards it holds the old content or the new, never a part, whatever happens.

    Raises:
        WorkspaceError: full disk, read-only file system, no permission.
    """
    data = content.encode() if isinstance(content, str) else content
    with atomic_file(path) as aside:
        aside.write_bytes(data)


@contextmanager
def atomic_file(final: Path) -> Iterator[Path]:
    """Write a file bit by bit aside and put it in place in one step; on any exception nothing remains of it.

    Yields:
        An empty sibling file to write into.

    Raises:
        WorkspaceError: full disk, read-only file system, no permission; also when the block itself meets them.
    """
    with translate_os_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final)
        aside, lock = _claim(final, folder=False)
        try:
            yield aside
            _fsync(aside)
            os.replace(aside, final)
            _fsync(final.parent)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        finally:
            os.close(lock)


def write_json_atomic(path: Path, value: Any) -> None:
    """Write a value as JSON (sorted keys, one line) with `write_atomic`.

    Raises:
        ValueError: the value holds NaN or infinity.
        WorkspaceError: see `write_atomic`.
    """
    write_atomic(path, canonical_json(value) + "\n")


@contextmanager
def atomic_dir(final: Path) -> Iterator[Path]:
    """Fill a folder aside and put it in place in one step; on any exception nothing remains of it.

    Names are content addresses or step numbers of a deterministic run: if `final` is there already when the block
    ends, it holds the same, so it stays and the new copy is dropped.

    Args:
        final: where the folder shall be; its parents are made.

    Yields:
        An empty sibling folder to write into.

    Raises:
        WorkspaceError: full disk, read-only file system, no permission; also when the block itself meets them.
    """
    with translate_os_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final)
        aside, lock = _claim(final, folder=True)
        try:
            yield aside
            _fsync_tree(aside)
            _place(aside, final)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            os.close(lock)


def _place(aside: Path, final: Path) -> None:
    if final.exists():
        return
    try:
        os.rename(aside, final)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # another writer was first with the same content
            raise
    _fsync(final.parent)


def _claim(final: Path, *, folder: bool) -> tuple[Path, int]:
    """A new locked name beside `final`. The lock tells `_sweep` that its writer lives; the kernel drops it on death."""
    while True:
        aside = final.parent / f".{final.name}.{secrets.token_hex(4)}.partial"
        if folder:
            aside.mkdir()
            lock = os.open(aside, os.O_RDONLY)
        else:
            lock = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(lock), os.stat(aside)):
                return aside, lock
        except FileNotFoundError:  # swept by another process between its making and its lock
            pass
        os.close(lock)


def _sweep(final: Path) -> None:
    """Remove what dead processes left of earlier attempts at the same name."""
    prefix = f".{final.name}."
    for left in [p for p in final.parent.iterdir() if p.name.startswith(prefix) and p.name.endswith(".partial")]:
        try:
            lock = os.open(left, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        except BlockingIOError:  # its writer is alive
            continue
        finally:
            os.close(lock)


def _fsync_tree(folder: Path) -> None:
    for root, _, files in os.walk(folder, topdown=False):
        for name in files:
            _fsync(Path(root, name))
        _fsync(Path(root))


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
