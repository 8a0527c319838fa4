"""The feedback service under load: is every judgement kept once, and how long does a submission take?

    python -m benchmarks.service --seconds 300 --people 100 --think 2
    python -m benchmarks.service --database-url postgresql+psycopg://user@host/empty --processes 2

Simulated people reach it over HTTP and send every request twice, as a browser does that lost its connection. The
throughput is also told as a share of what a bare route of the same framework does in the same run with the same client.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from assent.store import NewTask, Store, Workspace, add_completions, add_prompts, add_tasks, start_run
from assent.store.accounts import add_account, get_account
from assent.store.campaigns import serve_the_loop
from assent.store.sessions import make_api_token
from assent.store.tables import AssignmentRow, JudgementRow, TaskRow
from assent.types.messages import user_prompt
from assent.types.protocols import SamplingParams
from assent.types.rollout import FinishReason, Rollout
from benchmarks.annotators import Connection, Tally, annotate
from benchmarks.serving import Serving

HELLO_SECONDS = 5.0
RUN = "round1-sample"


def fill(store: Store, tasks: int, overlap: int) -> None:
    """Pairs to be judged, in the loop's first run."""
    prompts = add_prompts(store, [user_prompt(f"How is question {number} answered?") for number in range(tasks)])
    start_run(store, RUN, "sample", 1, {"benchmark": True})
    rollouts = [
        Rollout(number, [1], [2], [-0.5], FinishReason.STOP, f"Answer {number}.{side}.", "sft-0", group=number)
        for number in range(tasks)
        for side in range(2)
    ]
    ids = add_completions(store, RUN, prompts, rollouts, SamplingParams(1.0, 8))
    rows = [
        NewTask(prompt, (ids[2 * place], ids[2 * place + 1]), overlap=overlap) for place, prompt in enumerate(prompts)
    ]
    add_tasks(store, RUN, rows)
    serve_the_loop(store)


def enter(store: Store, people: int) -> list[str]:
    """So many annotators; returns a token of each."""
    with store.write() as session:
        ids = [add_account(session, store, f"person {n}", f"person{n}", "annotator").id for n in range(people)]
    return [make_api_token(store, get_account(store, number), "load", ["judge"])[1] for number in ids]


def examine(store: Store, tally: Tally) -> dict[str, int]:
    """What must all be 0: lost, duplicated, over the overlap, differently answered when asked again."""
    with store.read() as session:
        kept = dict(session.execute(select(JudgementRow.assignment_id, JudgementRow.id)).all())
        total = session.scalar(select(func.count()).select_from(JudgementRow)) or 0
        per_task = (
            select(AssignmentRow.task_id, func.count().label("judged"))
            .join(JudgementRow, JudgementRow.assignment_id == AssignmentRow.id)
            .group_by(AssignmentRow.task_id)
            .subquery()
        )
        over = select(func.count()).select_from(per_task).join(TaskRow, TaskRow.id == per_task.c.task_id)
        over_overlap = session.scalar(over.where(per_task.c.judged > TaskRow.overlap)) or 0
    lost = sum(kept.get(assignment) != judgement for assignment, judgement in tally.acknowledged.items())
    return {
        "lost": lost,
        "duplicated": total - len(kept),
        "over_overlap": over_overlap,
        "differing": tally.differing,
    }


def measure(database_url: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One run of the load against one database."""
    with Store.open(database_url) as store:
        fill(store, options.tasks, options.overlap)
        tokens = enter(store, options.people)
    hello = asyncio.run(_hello_rate(options.people))
    tally = Tally()
    with Serving("service", database_url, folder, options.processes) as serving:
        serving.start()
        begun = time.monotonic()
        asyncio.run(annotate(serving.port, tokens, options.seconds, tally, options.think))
        passed = time.monotonic() - begun
    with Store.open(database_url) as store:
        found: dict[str, Any] = dict(examine(store, tally))
    return {
        "database": database_url.partition(":")[0].partition("+")[0],
        "people": options.people,
        "think_seconds": options.think,
        "seconds": round(passed, 1),
        "judgements": len(tally.acknowledged),
        "requests_per_second": round(tally.requests / passed, 1),
        "hello_requests_per_second": round(hello, 1),
        "ratio": round(tally.requests / passed / hello, 3),
        "submit_ms": quantiles(tally.submit_seconds),
        "next_ms": quantiles(tally.next_seconds),
        "failures": tally.failures,
        **found,
    }


async def _hello_rate(people: int) -> float:
    """Requests per second to a bare route, by as many clients."""
    with Serving("hello") as serving:
        await asyncio.to_thread(serving.start)
        until = time.monotonic() + HELLO_SECONDS

        async def ask() -> int:
            connection, count = Connection(serving.port), 0
            while time.monotonic() < until:
                await connection.ask("GET", "/")
                count += 1
            connection.close()
            return count

        return sum(await asyncio.gather(*(ask() for _ in range(people)))) / HELLO_SECONDS


def quantiles(seconds: list[float]) -> dict[str, float]:
    """The middle and the slow end of how long something took, in milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    places = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        name: round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
        for name, share in places.items()
    }


def main() -> None:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--think", type=float, default=2.0, help="mean seconds that a person takes; 0 for none")
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--overlap", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1, help="servers on one port; more than 1 on PostgreSQL")
    parser.add_argument("--database-url", help="an empty database; default: SQLite in a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Workspace.create(Path(folder) / "w")
        url = options.database_url or f"sqlite:///{place.database}"
        print(json.dumps(measure(url, place.path, options)))


if __name__ == "__main__":
    main()
