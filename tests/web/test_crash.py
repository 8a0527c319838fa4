"""A server killed with SIGKILL under load: what was acknowledged is kept once, what was not, at most once."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from assent.store import Store
from benchmarks.annotators import Tally, annotate
from benchmarks.service import enter, examine, fill
from benchmarks.serving import Serving


def kill_again_and_again(database_url: str, folder: Path, kills: int, people: int = 8) -> None:
    with Store.open(database_url) as store:
        fill(store, tasks=40 + 20 * kills, overlap=2)
        tokens = enter(store, people)
    tally, chance = Tally(), random.Random(kills)

    async def load(serving: Serving) -> None:
        work = asyncio.create_task(annotate(serving.port, tokens, 3600, tally))
        try:
            for _ in range(kills):
                seen = len(tally.acknowledged)
                await asyncio.to_thread(serving.start)
                while len(tally.acknowledged) < seen + 3:
                    assert not work.done()
                    await asyncio.sleep(0.01)
                await asyncio.sleep(chance.random() * 0.2)
                await asyncio.to_thread(serving.kill)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    # In a thread of its own: a browser's tests may have left a loop running in this one.
    with Serving("service", database_url, folder) as serving, ThreadPoolExecutor(1) as apart:
        apart.submit(asyncio.run, load(serving)).result()
    assert len(tally.acknowledged) >= 3 * kills
    with Store.open(database_url) as store:
        assert examine(store, tally) == {"lost": 0, "duplicated": 0, "over_overlap": 0, "differing": 0}
    assert set(tally.failures) <= {"409 lease-lost"}, tally.failures


def test_killed_under_load(database_url: str, tmp_path: Path) -> None:
    kill_again_and_again(database_url, tmp_path, kills=3)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_under_load_200_times(database_url: str, tmp_path: Path) -> None:
    kill_again_and_again(database_url, tmp_path, kills=200)
