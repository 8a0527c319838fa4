"""Prints the speeds of `benchmarks.speed` on this machine: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import json
import os

if "OMP_WAIT_POLICY" not in os.environ:  # read once, when torch is imported
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each; the median is shown")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads")
    parser.add_argument("--json", action="store_true", help="one JSON line instead of the table")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("--repeats must be at least 1")

    from benchmarks.speed import describe, measure_all

    where = describe(arguments.threads)
    speeds = measure_all(arguments.repeats)
    if arguments.json:
        print(json.dumps({"where": where, "speeds": [speed.__dict__ for speed in speeds]}))
        return
    print(where)
    for speed in speeds:
        print(
            f"{speed.name:<22} {speed.per_second:>9,.0f} {speed.unit}/s   "
            f"(of {len(speed.seconds)} runs: median {speed.median:.2f} s, slowest {max(speed.seconds):.2f} s)"
        )


if __name__ == "__main__":
    main()
