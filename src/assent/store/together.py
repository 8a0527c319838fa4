"""Small writes of several threads in one transaction: all of them wait for the disk once, and not each in its turn.

Whoever comes while nobody writes does so at once. Who comes meanwhile waits, and the first of those who wait then does
the work of all. Nobody is told that something was written before the commit that holds it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from sqlalchemy.orm import Session

T = TypeVar("T")


class _Job(Generic[T]):
    """What one thread wants written, and what came of it."""

    def __init__(self, work: Callable[[Session], T]) -> None:
        self.work = work
        self.woken = threading.Event()  # it is done, or this thread is to do the work of all
        self.done = False
        self.error: BaseException | None = None
        self.value: T

    def outcome(self) -> T:
        if self.error is not None:
            raise self.error
        return self.value


class Together:
    """Does what several threads want written in as few transactions as they leave it time for.

    Args:
        write: opens a transaction that writes.
    """

    def __init__(self, write: Callable[[], AbstractContextManager[Session]]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._waiting: list[_Job[Any]] = []
        self._busy = False

    def do(self, work: Callable[[Session], T]) -> T:
        """What the work returns, once it is committed; what it raises, once it is undone.

        Args:
            work: may be done twice, the first time for nothing; so it changes nothing but the database.
        """
        job = _Job(work)
        with self._lock:
            self._waiting.append(job)
            leads, self._busy = not self._busy, True
        if not leads:
            job.woken.wait()
        if not job.done:
            self._lead()
        return job.outcome()

    def _lead(self) -> None:
        with self._lock:
            jobs, self._waiting = self._waiting, []
        try:
            self._commit(jobs)
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._busy = following is not None
            if following is not None:
                following.woken.set()
            for job in jobs:
                job.done = True
                job.woken.set()

    def _commit(self, jobs: list[_Job[Any]]) -> None:
        try:
            self._in_one(jobs)
        except BaseException as error:
            if len(jobs) == 1:
                jobs[0].error = error
                return
            # One that is refused undoes all. It is rare, so that savepoints for each would cost more than this.
            for job in jobs:
                self._commit([job])

    def _in_one(self, jobs: list[_Job[Any]]) -> None:
        with self._write() as session:
            for job in jobs:
                job.value = job.work(session)
