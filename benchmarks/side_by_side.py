"""Side by side with what people would use instead: `make bench`, or `python -m benchmarks.side_by_side --help`.

Every work runs in a process of its own, ours and the peer's in turn, on the same weights, texts, seeds, batches and
threads; the medians are compared, and the peak of memory. The table goes to the terminal, the rows to
`benchmarks/latest.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WORKS = ("grpo", "rloo", "ppo", "sft", "reward", "dpo", "generate")
BESIDE_VLLM = "generate-vllm"  # the same of ours, beside another peer
UNITS = {"grpo": "rollouts", "rloo": "rollouts", "ppo": "rollouts", "sft": "tokens", "generate": "tokens"}
PEERS = {"ppo": "TRL 1.12", "generate": "transformers generate", BESIDE_VLLM: "vLLM"}
BUSY = 0.3  # cores that others took, from which a run does not count
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "8589934592"}


@dataclass(frozen=True)
class Row:
    """One work with one model; rates are in units a second."""

    work: str
    model: str
    unit: str
    ours: float
    peer: float
    peer_name: str
    ratio: float
    share_of_limit: float
    peak_mb: int
    peer_peak_mb: int
    runs: int
    disturbed: int  # runs during which other processes took more than 0.3 cores
    threads: int


class Side:
    """One of the two: how its work is begun.

    Args:
        python: of its environment.
        module: what is run with a work and a model.
        more: environment variables.
    """

    def __init__(self, python: Path, module: str, more: dict[str, str]) -> None:
        self._words = [str(python), "-m", module]
        self._environment = {**os.environ, **more}

    def run(self, work: str, model: str) -> dict[str, float]:
        """The figures of one run.

        Raises:
            RuntimeError: it failed, with the end of what it printed.
        """
        words = [*self._words, work, model]
        done = subprocess.run(words, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            if line.startswith("RESULT "):
                found: dict[str, float] = json.loads(line.removeprefix("RESULT "))
                return found
        raise RuntimeError(f"{' '.join(words)} gave no result:\n{(done.stderr or done.stdout)[-2000:]}")


def compare(sides: tuple[Side, Side], work: str, model: str, runs: int, threads: int, flops: float) -> Row:
    """Both in turn, so many times; a disturbed run is repeated once."""
    from benchmarks.limits import flops_of
    from benchmarks.peers.ground import SHAPES

    done = "generate" if work == BESIDE_VLLM else work
    found: tuple[list[dict[str, float]], list[dict[str, float]]] = ([], [])
    for _ in range(runs):
        for side, results in zip(sides, found, strict=True):
            result = side.run(done, model)
            if result["others_cores"] > BUSY:
                result = side.run(done, model)
            results.append(result)
    ours, peer = (statistics.median(each["amount"] / each["seconds"] for each in side) for side in found)
    peaks = [int(max(each["peak_mb"] for each in side)) for side in found]
    return Row(
        work=work,
        model=model,
        unit=UNITS.get(done, "pairs"),
        ours=round(ours, 3),
        peer=round(peer, 3),
        peer_name=PEERS.get(work, "TRL 1.16"),
        ratio=round(ours / peer, 2),
        share_of_limit=round(flops_of(done, SHAPES[model], ours) / flops, 3),
        peak_mb=peaks[0],
        peer_peak_mb=peaks[1],
        runs=runs,
        disturbed=sum(each["others_cores"] > BUSY for side in found for each in side),
        threads=threads,
    )


def table_of(rows: list[Row]) -> str:
    """For people."""
    head = f"{'work':<15}{'model':<7}{'ours':>12}{'peer':>12}  {'unit/s':<10}{'ratio':>7}{'of limit':>10}"
    head += f"{'MB':>8}{'peer MB':>9}"
    lines = [
        f"{row.work:<15}{row.model:<7}{row.ours:>12,.2f}{row.peer:>12,.2f}  {row.unit:<10}{row.ratio:>7.2f}"
        f"{row.share_of_limit:>10.1%}{row.peak_mb:>8,}{row.peer_peak_mb:>9,}"
        + (f"  ({row.disturbed} of {2 * row.runs} runs disturbed)" if row.disturbed else "")
        for row in rows
    ]
    return "\n".join([head, *lines])


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", nargs="+", default=list(WORKS), choices=(*WORKS, BESIDE_VLLM))
    parser.add_argument("--models", nargs="+", default=["S"], choices=["S", "M"], help="M takes hours on two cores")
    parser.add_argument("--runs", type=int, default=3, help="of each side, in turn; medians are compared")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--peer-python", type=Path, default=ROOT / ".venv-bench/bin/python")
    parser.add_argument("--vllm-python", type=Path, default=ROOT / ".venv-vllm/bin/python", help="make vllm makes it")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/latest.json")
    arguments = parser.parse_args()

    import torch

    from benchmarks.limits import limits_of
    from benchmarks.peers.ground import DATA, build

    for model in arguments.models:
        if not (DATA / model / "prompts.jsonl").exists():
            print(f"building the models and texts of {model} in {DATA}", file=sys.stderr)
            build(model)
    torch.set_num_threads(arguments.threads)
    flops = limits_of(torch.device("cpu"), torch.bfloat16).flops
    same = {**ALLOCATOR, "OMP_NUM_THREADS": str(arguments.threads), "GOMP_SPINCOUNT": "20000"}
    same |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    ours = Side(Path(sys.executable), "benchmarks.work", same)
    theirs = Side(arguments.peer_python, "benchmarks.peers.trl_work", same)
    vllm = Side(arguments.vllm_python, "benchmarks.peers.vllm_work", same)
    rows: list[Row] = []
    for model in arguments.models:
        for work in arguments.works:
            sides = (ours, vllm if work == BESIDE_VLLM else theirs)
            rows.append(compare(sides, work, model, arguments.runs, arguments.threads, flops))
            print(table_of(rows[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
            write(arguments.out, rows, flops)
    print(table_of(rows))


def write(out: Path, rows: list[Row], flops: float) -> None:
    """The rows so far."""
    content: dict[str, Any] = {
        "measured": time.strftime("%Y-%m-%d"),
        "bf16_gflops": round(flops / 1e9),
        "rows": [asdict(row) for row in rows],
    }
    out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
