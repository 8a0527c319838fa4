"""What is known of the people who judge, measured beside the pages: it takes longer than anybody waits for a page."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from assent.feedback import CrowdFacts, crowd_facts
from assent.store import Store, judged_tasks
from assent.store.tables import JudgementRow
from assent.types.errors import AssentError
from assent.types.feedback import JudgedTask

log = logging.getLogger("assent.web")
MOST_KEPT = 16
PATIENCE = 1.0  # seconds that a page waits for figures before it is shown without them
SEED = 0

Key = tuple[str, tuple[str, ...], tuple[int, ...]]


@dataclass
class Measured:
    """The figures of some runs' judgements, by as many as there were when they were measured."""

    facts: CrowdFacts | None = None
    judged: tuple[JudgedTask, ...] = ()
    newest: int = -1  # the judgement up to which they go
    renewing: bool = False
    error: str = ""


class Measurements:
    """Figures by runs and people left out, measured one after the other in a thread of their own."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, Measured] = OrderedDict()
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()

    def of(self, store: Store, run_ids: Sequence[str], without: Sequence[int] = ()) -> Measured:
        """The newest figures there are; if people judged since, they are measured anew meanwhile.

        Args:
            store: the open store.
            run_ids: whose tasks.
            without: people whose judgements are left out.
        """
        key = (store.location, tuple(run_ids), tuple(sorted(without)))
        with store.read() as session:
            newest = session.scalar(select(func.max(JudgementRow.id))) or 0
        with self._lock:
            held = self._kept.setdefault(key, Measured())
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            begin = held.newest != newest and not held.renewing
            held.renewing = held.renewing or begin
        if begin:
            threading.Thread(target=self._measure, args=(store, key, held, newest), daemon=True).start()
        until = time.monotonic() + PATIENCE
        while held.renewing and time.monotonic() < until:
            time.sleep(0.02)
        return held

    def _measure(self, store: Store, key: Key, held: Measured, newest: int) -> None:
        try:
            with self._one_at_a_time:
                left_out = set(key[2])
                found = judged_tasks(store, key[1], lengths=True)
                judged = tuple(each for each in found if each.ranking.person_id not in left_out)
                facts = crowd_facts(judged, SEED) if judged else None
            held.judged, held.facts, held.error = judged, facts, ""
        except AssentError as error:
            held.error = error.message
        except Exception:  # whatever it is, the page says so and goes on
            log.exception("the figures of people could not be measured")
            held.error = "they could not be measured; the server's log says why"
        finally:
            held.newest, held.renewing = newest, False


MEASUREMENTS = Measurements()
