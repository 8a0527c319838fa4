"""What is known of the people who judge, measured beside the pages: it takes longer than anybody waits for a page."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select

from assent.feedback import CrowdFacts
from assent.store import Store
from assent.store.accounts import list_accounts
from assent.store.tables import JudgementRow
from assent.types.errors import AssentError
from assent.web.admin.measuring import Findings, Leaning, measure, measure_apart

log = logging.getLogger("assent.web")
MOST_KEPT = 16
PATIENCE = 1.0  # seconds that a page waits for figures before it is shown without them
MANY = 3000  # judgements, over which another process measures, and no page waits for it
REST = 4.0  # times as long as a long measuring took passes before the next, so that it takes a fifth of a core at most

Key = tuple[str, tuple[str, ...], tuple[int, ...]]
Stamp = tuple[int, int]  # the newest judgement; the groups that people are in


@dataclass
class Measured:
    """The figures of some runs' judgements, by as many as there were when they were measured."""

    found: Findings = field(default_factory=Findings)
    stamp: Stamp | None = None  # of what they go by
    renewing: bool = False
    error: str = ""
    took: float = 0.0  # seconds
    ended: float = 0.0

    @property
    def facts(self) -> CrowdFacts | None:
        """Of the people; None where nothing is judged, or nothing measured yet."""
        return self.found.facts

    @property
    def leanings(self) -> tuple[Leaning, ...]:
        """Of everybody, by criterion and by group."""
        return self.found.leanings


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
        stamp = _stamp(store)
        with self._lock:
            held = self._kept.setdefault(key, Measured())
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            rests = held.took > PATIENCE and time.monotonic() - held.ended < REST * held.took
            begin = held.stamp != stamp and not held.renewing and not rests
            held.renewing = held.renewing or begin
        if begin:
            threading.Thread(target=self._measure, args=(store, key, held, stamp), daemon=True).start()
        until = time.monotonic() + (PATIENCE if stamp[0] <= MANY else 0.0)
        while held.renewing and time.monotonic() < until:
            time.sleep(0.02)
        return held

    def busy(self) -> bool:
        """True while anything is being measured."""
        with self._lock:
            return any(held.renewing for held in self._kept.values())

    def _measure(self, store: Store, key: Key, held: Measured, stamp: Stamp) -> None:
        begun = time.monotonic()
        try:
            with self._one_at_a_time:
                begun = time.monotonic()
                held.found = (measure_apart if stamp[0] > MANY else measure)(store, key[1], key[2])
            held.error = ""
        except AssentError as error:
            held.error = error.message
        except Exception:  # whatever it is, the page says so and goes on
            log.exception("the figures of people could not be measured")
            held.error = "they could not be measured; the server's log says why"
        finally:
            held.ended = time.monotonic()
            held.took, held.stamp, held.renewing = held.ended - begun, stamp, False


def _stamp(store: Store) -> Stamp:
    groups = tuple((account.person_id, account.groups) for account in list_accounts(store) if account.groups)
    with store.look() as connection:
        newest = connection.scalar(select(func.max(JudgementRow.id))) or 0
    return newest, hash(groups)


MEASUREMENTS = Measurements()
