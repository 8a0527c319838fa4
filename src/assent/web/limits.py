"""Rate limits: a bucket of tries for each address or account, which fills again with time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from assent.types.errors import AssentError

_MOST_KEYS = 100_000


class TooManyError(AssentError):
    """Something was tried too often. `wait` is in seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__("too many tries", f"Wait {wait:.0f} seconds, then try again.")
        self.wait = wait


@dataclass(frozen=True)
class Limit:
    """So many tries at once, and one more after every `seconds / tries`."""

    tries: int
    seconds: float


SIGN_IN = Limit(10, 300.0)
SUBMIT = Limit(120, 60.0)


@dataclass
class RateLimits:
    """Tries left by key, in this process. Safe among threads."""

    clock: Callable[[], float] = time.monotonic
    sign_in: Limit = SIGN_IN
    submit: Limit = SUBMIT
    _left: dict[tuple[Limit, str], tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, limit: Limit, key: str) -> None:
        """Use one try up.

        Raises:
            TooManyError: none is left.
        """
        rate = limit.tries / limit.seconds
        with self._lock:
            now = self.clock()
            left, seen = self._left.get((limit, key), (float(limit.tries), now))
            left = min(float(limit.tries), left + (now - seen) * rate)
            if left < 1:
                raise TooManyError(max(1.0, (1 - left) / rate))
            if len(self._left) >= _MOST_KEYS:
                self._left.clear()  # whoever floods with new keys gains less than memory would lose
            self._left[limit, key] = (left - 1, now)
