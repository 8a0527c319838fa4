"""Opening a workspace for a command that works in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from assent.cli.environment import prepare_torch
from assent.cli.overrides import read_settings
from assent.cli.progress import progress_on
from assent.store import Workspace

if TYPE_CHECKING:
    from assent.stages.project import Project


def console_for(as_json: bool) -> Console:
    """Where a command talks: stdout, or stderr where stdout is for a script to read."""
    return Console(stderr=as_json)


@contextmanager
def opened_project(
    folder: Path,
    recipes: Sequence[Path] | None,
    overrides: Sequence[str],
    console: Console,
    force: bool = False,
    reward: str | None = None,
) -> Iterator[Project]:
    """The project in this folder, alone at work in it; a signal is noted, and the state saved, from here on.

    Raises:
        WorkspaceError: no workspace, or another command is at work in it.
        SettingsError: a setting is wrong.
    """
    workspace = Workspace.open(folder)
    settings = read_settings([workspace.settings_file, *(recipes or ())], overrides, reward)
    with workspace.lock(), workspace.open_store() as store:
        # Imported only now: a wrong setting or a busy workspace is told at once, not after seconds.
        from assent.stages.project import Project
        from assent.training.interrupt import catching_signals

        search_here(workspace.path)
        prepare_torch(settings.compute)
        with catching_signals(), progress_on(console) as progress:
            yield Project(workspace, store, settings, progress, force)


def search_here(folder: Path) -> None:
    """A user's own code (reward.function, people.marks, rl.environment) is found in the workspace too."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
