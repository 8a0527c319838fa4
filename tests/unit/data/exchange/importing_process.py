"""An import that dies by SIGKILL at a statement."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine

from assent.store import Store
from tests.unit.data.exchange.judged_store import bring_in


def import_until(database: Path, file: Path, fatal: int) -> int:
    """Import, dying just before the statement (or commit) number `fatal`; returns their number."""
    executed = 0

    def count(*_: object) -> None:
        nonlocal executed
        executed += 1
        if executed == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    with Store.open(database) as store:
        event.listen(Engine, "before_cursor_execute", count)
        event.listen(Engine, "commit", count)
        try:
            bring_in(store, file)
        finally:
            event.remove(Engine, "before_cursor_execute", count)
            event.remove(Engine, "commit", count)
    return executed
