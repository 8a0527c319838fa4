"""PPO, A2C, RLOO, GRPO, DPO and best-of-n on one reward model: `python -m benchmarks.methods DIR`.

Each seed is a workspace of the `reviews` world in DIR: its recipe's loop, whose PPO run is the first method, and the
others by the same commands that a user has. What was done before is not done again. How far each policy is from the
zero-shot one (KL), what the reward model gives it (proxy), and what the gold judge says, are measured on the 200
held-out prompts.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assent.config import load_settings
from assent.evaluation import OptimisationPoint, gold_win_rate
from assent.rewards.scorer import Scorer
from assent.stages.optimisation import held_out_steps
from assent.stages.project import Project
from assent.stages.reward import load_scorer
from assent.store import Completion, Workspace, completions_of_run, get_prompts, get_run
from assent.types.protocols import MarksFn

RECIPE = Path(__file__).parents[1] / "recipes" / "reviews.toml"
GROUPS = ("--rl.samples-per-prompt", "4")
PENALTY = ("--algorithm.kl-coef", "0.1", "--algorithm.kl-target", "6", "--algorithm.kl-horizon", "300")
ALIKE = ("--algorithm.learning-rate", "5e-4", *PENALTY, "--algorithm.epochs", "1")
RL = {
    "A2C": ("--algorithm.type", "a2c", *ALIKE, "--algorithm.minibatches", "1"),
    "RLOO": ("--algorithm.type", "rloo", *ALIKE, *GROUPS, "--algorithm.minibatches", "2"),
    "GRPO": ("--algorithm.type", "grpo", *ALIKE, *GROUPS, "--algorithm.minibatches", "2"),
}
DPO = ("--preference.learning-rate", "3e-4", "--preference.kl-coef", "0.3")
UNPENALISED = (
    "--algorithm.kl-coef",
    "0",
    "--algorithm.kl-target",
    "none",
    "--algorithm.learning-rate",
    "1e-4",
    "--rl.steps",
    "96",
    "--rl.evaluate-every",
    "4",
    "--rl.evaluate-prompts",
    "200",
)
METHODS = ("PPO", *RL, "DPO", "best-of-16")
MANY = 64  # of which best-of-n's curve is made
T_975 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}  # Student's t by degrees of freedom


@dataclass(frozen=True)
class Outcome:
    """One method's policy, one seed."""

    kl: float  # nats per sequence from the zero-shot policy; of best-of-n the bound
    proxy: float  # mean normalised score of the reward model
    gold: float  # mean overall mark
    won: float  # share of held-out prompts on which the gold judge prefers it to the zero-shot policy


@dataclass(frozen=True)
class Measured:
    """One seed: each method's outcome, and the way there."""

    seed: int
    start: Outcome  # the zero-shot policy
    outcomes: dict[str, Outcome]
    curves: dict[str, list[OptimisationPoint]]  # of RL by method, of best-of-n, and of PPO without a penalty


def measure(folder: Path, seed: int, threads: int | None = None, curves: bool = True) -> Measured:
    """Everything of one seed, in `folder/reviews-SEED`; goes on where it was stopped.

    Args:
        curves: PPO without a penalty and best-of-64 too.

    Raises:
        RuntimeError: a command failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"reviews-{seed}"
    if not (place / "assent.toml").exists():
        words = ["--compute.threads", str(threads)] if threads else []
        _assent(folder, "init", place.name, "--recipe", str(RECIPE), "--seed", str(seed), *words)
    _assent(place, "loop", "--force")
    for name, settings in RL.items():
        _assent(place, "rl", "--run", name.lower(), "--round", "1", "--force", *settings)
    _assent(place, "dpo", "--run", "dpo", "--round", "1", *DPO)
    for name in (*RL, "DPO"):
        _assent(place, "eval", "--run", name.lower(), "--round", "1")
    policy = str(_read(place, "round1-rl")["policy"])
    zero_shot = _reference(place, policy)
    _assent(place, "best-of", "--run", "best", "--n", "16", "--policy", zero_shot, "--force", "--round", "1")
    if curves:
        _assent(
            place, "best-of", "--run", "best-many", "--n", str(MANY), "--policy", zero_shot, "--force", "--round", "1"
        )
        _assent(place, "rl", "--run", "unpenalised", "--round", "1", "--force", *UNPENALISED)
    return _measured(place, seed, zero_shot, curves)


def _assent(where: Path, *words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "assent", *words], cwd=where, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"assent {' '.join(words)} in {where} ended with {done.returncode}:\n{done.stderr[-2000:]}")


def _read(place: Path, run_id: str) -> dict[str, Any]:
    workspace = Workspace.open(place)
    with workspace.open_store() as store:
        run = get_run(store, run_id)
        assert run is not None and run.done, run_id
        return dict(run.result)


def _reference(place: Path, policy: str) -> str:
    with Workspace.open(place).open_store() as store:
        run = get_run(store, "round1-rl")
        assert run is not None
        return str(dict(run.inputs)["reference"])


def _measured(place: Path, seed: int, zero_shot: str, curves: bool) -> Measured:
    workspace = Workspace.open(place)
    with workspace.open_store() as store:
        project = Project(workspace, store, load_settings([workspace.settings_file]))
        scorer = load_scorer(project, str(_read(place, "round1-reward")["reward"]))
        judge = project.marks
        assert judge is not None
        runs = {"PPO": "round1", **{name: name.lower() for name in (*RL, "DPO")}}
        answers = {name: completions_of_run(store, f"{run}-eval") for name, run in runs.items()}
        first = [each for each in answers["PPO"] if each.policy_version == zero_shot]
        marks = _marks(project, judge, first)
        start = Outcome(0.0, _proxy(project, scorer, first), sum(marks.values()) / len(marks), 0.5)
        outcomes = {}
        for name, run in runs.items():
            rl_run = get_run(store, "round1-rl" if name == "PPO" else run)
            assert rl_run is not None
            new = [each for each in answers[name] if each.policy_version == rl_run.result["policy"]]
            kl = float(_read(place, f"{run}-eval")["kl"])
            outcomes[name] = _outcome(project, scorer, judge, new, marks, kl)
        best = _read(place, "best")["best_of"][-1]
        kept = completions_of_run(store, "best")
        outcomes["best-of-16"] = _outcome(project, scorer, judge, kept, marks, float(best["kl_bound"]))
        steps = {name: held_out_steps(project, run) for name, run in {"PPO": "round1-rl", **_lower(RL)}.items()}
        if curves:
            steps["PPO without a penalty"] = held_out_steps(project, "unpenalised")
        found = {name: [_point(step) for step in each] for name, each in steps.items()}
        sizes = _read(place, "best-many" if curves else "best")["best_of"]
        found["best-of-n"] = [
            OptimisationPoint(each["kl_bound"], each["proxy"]["value"], each["gold"]["value"]) for each in sizes
        ]
        return Measured(seed, start, outcomes, found)


def _lower(methods: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {name: name.lower() for name in methods}


def _point(step: Any) -> OptimisationPoint:
    return OptimisationPoint(float(step["kl"]), float(step["proxy"]), float(step["gold"]))


def _marks(project: Project, judge: MarksFn, answers: Sequence[Completion]) -> dict[int, float]:
    """Overall mark by prompt."""
    prompts = get_prompts(project.store, [each.prompt_id for each in answers])
    return {each.prompt_id: judge(prompt, each.text).overall for prompt, each in zip(prompts, answers, strict=True)}


def _proxy(project: Project, scorer: Scorer, answers: Sequence[Completion]) -> float:
    scores = scorer.score(get_prompts(project.store, [each.prompt_id for each in answers]), [e.text for e in answers])
    return sum(scores) / len(scores)


def _outcome(
    project: Project, scorer: Scorer, judge: MarksFn, new: Sequence[Completion], before: dict[int, float], kl: float
) -> Outcome:
    marks = _marks(project, judge, new)
    shared = sorted(marks.keys() & before.keys())
    won = gold_win_rate([marks[i] for i in shared], [before[i] for i in shared], shared, 0, 100)
    return Outcome(kl, _proxy(project, scorer, new), sum(marks.values()) / len(marks), won.value)


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean over seeds, and half of its 95 % interval (Student's t; NaN for one seed)."""
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, math.nan
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return mean, T_975[len(values) - 1] * deviation / math.sqrt(len(values))


def main() -> None:
    """Measure the seeds and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    found = [measure(arguments.folder, seed, arguments.threads) for seed in arguments.seeds]
    for name in METHODS:
        each = [seed.outcomes[name] for seed in found]
        cells = [
            f"{what} {m:.3f} ± {h:.3f}"
            for what in ("kl", "proxy", "gold", "won")
            for m, h in [spread([getattr(outcome, what) for outcome in each])]
        ]
        print(name, *cells, sep="  ")
    print(json.dumps([asdict(seed) for seed in found]))


if __name__ == "__main__":
    main()
