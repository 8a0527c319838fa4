"""The person at the keyboard among the simulated people: the loop waits for their rankings, and the pages stay open."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from assent.cli.serving import Address, server_of
from assent.cli.tasks import open_loop_campaign
from assent.store import counts, get_tasks
from assent.store.campaigns import change_campaign
from assent.store.declined import given_back
from assent.store.sessions import owner_link
from assent.training.interrupt import raise_if_stopped
from assent.types.errors import WorkspaceError

if TYPE_CHECKING:
    import uvicorn

    from assent.stages.project import Project


@dataclass
class AtKeyboard:
    """Implements `assent.stages.judge.Guest` with the pages that `assent up` serves.

    Attributes:
        console: where the link is printed.
        port: on this machine alone.
        rankings: tasks that are left to the guest.
        round: of the loop in which they judge.
    """

    console: Console
    port: int
    rankings: int
    round: int = 2
    _server: uvicorn.Server | None = field(default=None, init=False)
    _running: threading.Thread | None = field(default=None, init=False)
    _resume: Callable[[], object] | None = field(default=None, init=False)

    def wait(self, project: Project, run_id: str) -> None:
        """Serve the pages, and return when the run's tasks are all judged, or given back by the guest.

        The pages stay until `close`.

        Raises:
            WorkspaceError: the port is taken.
            Interrupted: a signal asked to stop; what was judged is kept.
        """
        store = project.store
        campaign = open_loop_campaign(store, project.settings)
        change_campaign(store, campaign, state="open")  # paused, if a demo was killed
        address = Address("127.0.0.1", self.port, remote=False)
        self._server = server = server_of(project.workspace, project.store, address)
        self._running = running = threading.Thread(target=server.run, daemon=True)
        running.start()
        while running.is_alive() and not server.started:  # a link that is followed at once must find somebody
            time.sleep(0.05)
        self._invite(project, run_id, address)
        while (found := counts(project.store, [run_id])).submitted < found.wanted and _waiting(project, run_id):
            raise_if_stopped(f"{found.submitted} of {found.wanted} judgements are saved")
            if not running.is_alive():
                raise WorkspaceError(f"cannot serve on port {self.port}", "Is it in use? Choose another: --port.")
            time.sleep(0.5)
        change_campaign(store, campaign, state="paused")  # what comes now is for the simulated people
        self._resume = partial(change_campaign, store, campaign, state="open")
        self.console.print("thank you: the loop goes on with what you said, and its pages are open until it ends")

    def close(self) -> None:
        """Serve no longer."""
        if self._server is not None and self._running is not None:
            self._server.should_exit = True
            self._running.join(10)
        if self._resume is not None:
            self._resume()

    def _invite(self, project: Project, run_id: str, address: Address) -> None:
        found = counts(project.store, [run_id])
        self.console.print(
            f"\nit is your turn: {found.wanted - found.submitted} rankings of round {self.round} wait for you at"
        )
        link = f"{address.base}/link/{owner_link(project.store)}"
        self.console.print(f"  {link}", highlight=False, markup=False, soft_wrap=True)
        self.console.file.flush()


def _waiting(project: Project, run_id: str) -> bool:
    """Whether a task is left that the guest has not given back."""
    declined = given_back(project.store, run_id)
    return any(task.open and task.id not in declined for task in get_tasks(project.store, run_id))
