"""A workspace: the folder that holds the settings, the database, the artifacts and the runs of one project."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assent.store.atomic import write_atomic
from assent.store.database import Store
from assent.store.faults import translate_os_errors
from assent.types.errors import WorkspaceError

DATABASE_VARIABLE = "ASSENT_DATABASE_URL"  # every command's, so that the loop reads what was judged


class Workspace:
    """Names of everything in a workspace folder. Making the object touches nothing.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).expanduser().absolute()

    @property
    def settings_file(self) -> Path:
        """`assent.toml`, the project's settings; its presence makes a folder a workspace."""
        return self.path / "assent.toml"

    @property
    def database(self) -> Path:
        """`assent.db`, the SQLite file."""
        return self.path / "assent.db"

    @property
    def artifacts(self) -> Path:
        """The folder of all artifacts."""
        return self.path / "artifacts"

    @property
    def runs(self) -> Path:
        """The folder of all runs."""
        return self.path / "runs"

    def artifact_dir(self, kind: str, artifact_id: str) -> Path:
        """Where the files of an artifact lie: `artifacts/<kind>/<id>`."""
        return self.artifacts / kind / artifact_id

    def run_dir(self, run_id: str) -> Path:
        """Where a run keeps its settings, metrics and checkpoints: `runs/<id>`."""
        return self.runs / run_id

    def relative(self, path: Path) -> str:
        """A path inside the workspace as the registry stores it.

        Raises:
            ValueError: the path lies outside.
        """
        return path.absolute().relative_to(self.path).as_posix()

    @property
    def exists(self) -> bool:
        """True if this folder is a workspace."""
        return self.settings_file.is_file()

    @classmethod
    def create(cls, path: Path | str, settings: str = "") -> Workspace:
        """Make a workspace, or complete one whose making was cut short. The settings file is written last.

        Args:
            path: the folder, which may exist.
            settings: the text of `assent.toml`.

        Raises:
            WorkspaceError: it is a workspace already, a file is in the way, or the folder cannot be written.
        """
        workspace = cls(path)
        if workspace.exists:
            raise WorkspaceError(f"{workspace.path} is a workspace already", "Use it as it is, or name another folder.")
        try:
            with translate_os_errors(workspace.path):
                workspace.artifacts.mkdir(parents=True, exist_ok=True)
                workspace.runs.mkdir(exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise WorkspaceError(f"{error.filename} is a file, not a folder", "Name another folder.") from error
        Store.open(workspace.database, create=True).close()
        write_atomic(workspace.settings_file, settings)
        return workspace

    @classmethod
    def open(cls, path: Path | str) -> Workspace:
        """An existing workspace.

        Raises:
            WorkspaceError: the folder is missing, or is not a workspace.
        """
        workspace = cls(path)
        if not workspace.exists:
            what = "has no assent.toml" if workspace.path.is_dir() else "does not exist"
            raise WorkspaceError(
                f"{workspace.path} is not a workspace: it {what}", f"Make one with `assent init {workspace.path.name}`."
            )
        return workspace

    def open_store(self) -> Store:
        """The workspace's database, upgraded to the newest schema: `assent.db`, or what ASSENT_DATABASE_URL names.

        Raises:
            WorkspaceError: see `Store.open`.
        """
        return Store.open(os.environ.get(DATABASE_VARIABLE) or self.database)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the workspace for one writing process. The operating system frees it when the process dies, however.

        Processes forked (not spawned) meanwhile hold it too, until the last of them ends.

        Raises:
            WorkspaceError: another process holds it (its pid is named), or the folder cannot be written.
        """
        path = self.path / ".lock"
        if not self.path.is_dir():
            raise WorkspaceError(f"{self.path} does not exist", "Make a workspace with `assent init`.")
        with translate_os_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _take(descriptor, self.path)
            with translate_os_errors(path):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)


def _take(descriptor: int, workspace: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        raise WorkspaceError(
            f"{workspace} is in use by another process (pid {holder})",
            "Wait for it to end, or stop it; the workspace is then free at once.",
        ) from error
