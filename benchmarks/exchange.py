"""Memory and speed of `assent export` and `assent import` at a million judgements: `python -m benchmarks.exchange`.

A store is filled with made-up comparisons, each judged once, and written as Parquet by a process of its own, whose peak
resident memory and rate are stated, beside those of a tenth as many: memory that is bounded does not grow.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import text

from assent.data.exchange import Order, Plan, Reading, Source, export, import_judgements, recognise
from assent.store import NewPerson, Store, add_people, start_run
from assent.store.tables import Base
from assent.types.feedback import PersonKind

PEOPLE = 50
WORDS = "a kettle that is cleaned once a month with vinegar keeps its taste and needs less power "
NOW = "2026-01-02 03:04:05.000000"
# Made by the database itself, a hundred times as quickly as rows that are sent to it one by one.
TABLES = (
    """prompts (id, messages, text, split, meta, content_hash) SELECT i, json_array(json_object('content',
    'How do I look after kettle ' || i || '?', 'role', 'user')), 'How do I look after kettle ' || i || '?', 'train',
    '{}', 'hash ' || i FROM numbers WHERE i <= (:count + 4) / 5""",
    """completions (id, run_id, prompt_id, policy_version, position, group_index, sample_index, text, token_ids,
    finish_reason, sampling) SELECT 2 * i - k, :run, (i + 4) / 5, 'policy-0', 2 * i - k, 0, k, i || ' ' || k || ': ' ||
    substr(:words, 1, 90 + 60 * ((i + k) % 3)), '[]', 'stop', '{}' FROM numbers, (SELECT 0 AS k UNION ALL SELECT 1)""",
    """tasks (id, run_id, prompt_id, label, overlap, purpose, priority) SELECT i, :run, (i + 4) / 5, 'ranking', 1,
    'train', 0 FROM numbers""",
    """task_completions (task_id, position, completion_id) SELECT i, k, 2 * i - k FROM numbers,
    (SELECT 0 AS k UNION ALL SELECT 1)""",
    """assignments (id, task_id, person_id, order_shown, state, idempotency_key, leased_at, expires_at) SELECT i, i,
    1 + i % :people, '[0,1]', 'submitted', i || ':', :now, :now FROM numbers""",
    """judgements (id, assignment_id, task_id, person_id, ranks, order_shown, label, marks, flags, note, seconds,
    idempotency_key, submitted_at) SELECT i, i, i, 1 + i % :people, CASE i % 2 WHEN 0 THEN '[1,2]' ELSE '[2,1]' END,
    '[0,1]', 'ranking', '[]', '[]', '', i % 60, i || ':', :now FROM numbers""",
)
NUMBERS = "WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < :count)"


def fill(database: Path, count: int) -> float:
    """A new store of so many comparisons, each judged once, five of every prompt; returns seconds."""
    started = time.perf_counter()
    values = {"count": count, "run": "round1-sample", "people": PEOPLE, "words": WORDS * 3, "now": NOW}
    with Store.open(database, create=True) as store:
        add_people(store, [NewPerson(f"person-{i}", PersonKind.SIMULATED) for i in range(PEOPLE)])
        start_run(store, "round1-sample", "sample", 1, {"count": count})
        with store.write() as session:
            for table in TABLES:
                place, query = with_defaults(*table.split(" SELECT ", 1))
                used = {name: value for name, value in values.items() if f":{name}" in NUMBERS + query}
                session.execute(text(f"INSERT INTO {place} {NUMBERS} SELECT {query}"), used)
    return time.perf_counter() - started


def with_defaults(place: str, query: str) -> tuple[str, str]:
    """`table (columns)` and what is selected for them, with what the store itself puts into the other columns."""
    name, _, listed = place.rstrip(")").partition(" (")
    named = listed.replace(",", " ").split()
    more = {}
    for column in Base.metadata.tables[name].columns:
        default: Any = column.default
        if column.name not in named and default is not None:
            value = default.arg(None) if default.is_callable else default.arg
            if isinstance(value, list | dict | bool):
                value = int(value) if isinstance(value, bool) else json.dumps(value)
            more[column.name] = f"'{value}'" if isinstance(value, str) else str(value)
    chosen, _, rest = query.rpartition(" FROM numbers")
    return f"{name} ({', '.join([*named, *more])})", f"{', '.join([chosen, *more.values()])} FROM numbers{rest}"


def peak_megabytes() -> float:
    """Of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def work(kind: str, database: Path, path: Path) -> dict[str, Any]:
    """Export or import in this process; what it took."""
    before, started, busy = peak_megabytes(), time.perf_counter(), time.process_time()
    with Store.open(database, create=kind == "import") as store:
        if kind == "import":
            source = Source.open(path)
            judge = Reading(NewPerson("imported", PersonKind.SIMULATED))
            rows = import_judgements(store, source, recognise(source), Plan(judge))[1].judgements
        else:
            rows = export(store, path, Order(kind, "all"))["rows"]
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    return {"rows": rows, "seconds": seconds, "busy": busy, "before": before, "peak": peak_megabytes()}


def measured(kind: str, database: Path, path: Path) -> dict[str, Any]:
    """`work` in a process of its own, so that its memory is its own."""
    command = [sys.executable, "-m", "benchmarks.exchange", "--work", kind, str(database), str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exchange", description=__doc__)
    parser.add_argument("--judgements", type=int, default=1_000_000)
    parser.add_argument("--formats", nargs="+", default=["preference", "raw"])
    parser.add_argument("--import", dest="back", action="store_true", help="import the preferences again too")
    parser.add_argument("--folder", type=Path, default=None, help="where the store is made; a temporary one by default")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        kind, database, path = arguments.work
        print(json.dumps(work(kind, Path(database), Path(path))))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        for count in (arguments.judgements // 10, arguments.judgements):
            folder = Path(name) / str(count)
            folder.mkdir()
            seconds = fill(folder / "assent.db", count)
            size = (folder / "assent.db").stat().st_size / 2**20
            print(f"{count:,} judgements put in: {count / seconds:,.0f}/s, {size:,.0f} MiB of database", flush=True)
            for kind in arguments.formats:
                file = folder / f"{kind}.parquet"
                tell(f"export {kind} (Parquet)", measured(kind, folder / "assent.db", file), file)
            if arguments.back and "preference" in arguments.formats:
                file = folder / "preference.parquet"
                tell("import preference (Parquet)", measured("import", folder / "again.db", file), file)


def tell(what: str, found: dict[str, Any], file: Path) -> None:
    """A line of figures."""
    rates = (found["rows"] / found[clock] for clock in ("seconds", "busy"))
    print(
        f"  {what}: {found['rows']:,} rows in {found['seconds']:,.1f} s, of them {found['busy']:,.1f} s at work"
        " ({:,.0f}/s; {:,.0f}/s of work);".format(*rates),
        f"peak {found['peak']:,.0f} MiB, at the start {found['before']:,.0f};",
        f"file {file.stat().st_size / 2**20:,.0f} MiB",
        flush=True,
    )


if __name__ == "__main__":
    main()
