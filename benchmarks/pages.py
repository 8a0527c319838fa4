"""How long each page of the service takes over many judgements, and whether people wait while figures are measured.

    python -m benchmarks.pages --tasks 20000 --overlap 3 --people 100

The first look at a page that shows figures of people starts their measurement, in a thread beside the pages; `ping_ms`
is how long other requests took while that went on.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from assent.store import Judgements, Store, Workspace, get_tasks, list_people
from assent.store.secrets import installation_secret
from assent.store.sessions import owner_link
from assent.types.feedback import Judgement
from assent.web import Service, create_app
from assent.web.admin.crowd import MEASUREMENTS
from benchmarks.service import RUN, enter, fill, quantiles

SETTINGS = 'task = "household"\n'
BATCH = 200  # tasks that are judged in one transaction
PAGES = (
    *("/", "/annotate", "/me", "/past", "/loop", "/loop/stages", "/campaigns", "/campaigns/1", "/campaigns/1/gold"),
    *("/data", "/data/figures", "/quality", "/people", "/people/1", "/bias", "/datasets", "/lineage"),
    *("/lineage?of=judgement:1", "/lineage/task/1", "/lineage/errors", "/runs", f"/runs/{RUN}", "/audit", "/access"),
)


def judge(store: Store, seed: int = 0) -> None:
    """Every task by as many people as it asks for; the people are right in six to nine of ten pairs."""
    people = [person.id for person in list_people(store)]
    chance = random.Random(seed)
    skill = {person: chance.uniform(0.6, 0.9) for person in people}
    tasks, kept = get_tasks(store, RUN), Judgements(store)
    for start in range(0, len(tasks), BATCH):
        some = tasks[start : start + BATCH]
        wanted: dict[int, list[int]] = {person: [] for person in people}
        for task in some:
            for person in chance.sample(people, task.task.overlap):
                wanted[person].append(task.id)
        said = []
        for person, ids in wanted.items():
            for each in kept.lease(ids, person, seed) if ids else ():
                ranks = (1, 2) if chance.random() < skill[person] else (2, 1)
                judgement = Judgement(ranks, each.order_shown, each.label, seconds=chance.uniform(3.0, 30.0))
                said.append((each.id, judgement, each.idempotency_key))
        kept.submit_all(said)


def measure(store: Store, folder: Path) -> dict[str, Any]:
    """Milliseconds of each page: at the first look, and at the third."""
    service = Service(store, installation_secret(store), folder, hosts=("testserver",))
    with TestClient(create_app(service)) as client:
        found = client.post(f"/link/{owner_link(store)}", data={"name": "Owner", "login": "owner"})
        assert found.status_code == 200, found.text
        pages: dict[str, Any] = {}
        with _Pings(client) as pings:
            for path in PAGES:
                seconds = [_look(client, path) for _ in range(3)]
                pages[path] = {"first": round(1000 * seconds[0]), "again": round(1000 * seconds[-1])}
            begun = time.monotonic()
            while MEASUREMENTS.busy():
                time.sleep(0.1)
            waited = time.monotonic() - begun
    return {"pages_ms": pages, "measured_after_s": round(waited, 1), "ping_ms": quantiles(pings.seconds)}


def _look(client: TestClient, path: str) -> float:
    begun = time.perf_counter()
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return time.perf_counter() - begun


class _Pings(threading.Thread):
    """Somebody else who uses the service meanwhile."""

    def __init__(self, client: TestClient) -> None:
        super().__init__(daemon=True)
        self.client, self.seconds, self.ended = client, list[float](), threading.Event()

    def run(self) -> None:
        """Ask for something small, again and again."""
        while not self.ended.wait(0.05):
            self.seconds.append(_look(self.client, "/account"))

    def __enter__(self) -> _Pings:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()


def main() -> None:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--overlap", type=int, default=3)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="keep the workspace there, or use the one that is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(options.folder or folder) / "w"
        new = not place.exists()
        workspace = Workspace.create(place, SETTINGS) if new else Workspace.open(place)
        with workspace.open_store() as store:
            if new:
                fill(store, options.tasks, options.overlap)
                enter(store, options.people)
                judge(store)
            print(json.dumps(measure(store, workspace.path)))


if __name__ == "__main__":
    main()
