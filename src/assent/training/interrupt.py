"""A polite stop: a signal is noted, the running step ends, the state is saved, and the process says so."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from assent.types.errors import Interrupted

_received: list[int] = []


@contextmanager
def catching_signals() -> Iterator[None]:
    """Note SIGTERM and SIGINT instead of dying of them. A second one kills as usual."""

    def note(number: int, _: FrameType | None) -> None:
        _received.append(number)
        signal.signal(number, previous[number])

    previous = {int(number): signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in previous:
        signal.signal(number, note)
    try:
        yield
    finally:
        _received.clear()
        for number, handler in previous.items():
            signal.signal(number, handler)


def stop_requested() -> bool:
    """True once a signal has asked for a stop."""
    return bool(_received)


def raise_if_stopped(saved: str) -> None:
    """Raise `Interrupted` if a stop was asked for.

    Args:
        saved: what is safe on disk, for the message, e.g. "step 40 of 60 is saved".
    """
    if _received:
        name = signal.Signals(_received[0]).name
        error = Interrupted(f"stopped by {name}: {saved}", "run the same command again to go on from there")
        error.exit_code = 128 + _received[0]
        raise error
