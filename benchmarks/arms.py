"""How many labels each arm needs for the accuracy that random choice reaches: `python -m benchmarks.arms`.

Completions are points, their quality a linear function of them, and people prefer by Bradley and Terry. An ensemble of
four logistic models, each fitted to a resample of the answers so far, is what the arms ask. Each arm is measured as it
would be used, with half of the tasks left to chance. It says what the arms do in a world where the model can be right;
in a workspace the saving has to be measured again, on what `assent.stages.which_next.arms_of_tasks` tells apart.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from assent.evaluation import LabelSaving, label_saving
from assent.feedback.selection import ARMS, Arm, Candidate, choose
from assent.types.seeds import derive_seed

Floats = NDArray[np.float64]

FEATURES, MEMBERS, POOL = 12, 4, 4  # POOL: candidates written for each task
RIDGE = 1.0


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    sizes: Sequence[int] = (40, 80, 160, 320)
    seeds: int = 20
    step: int = 40  # labels between two fits
    at: int = 160  # random's accuracy with so many labels is what every arm is to reach
    arms: Sequence[Arm] = ("random", "uncertainty", "near-ties", "new-against-old")


@dataclass
class Measured:
    """Accuracy on held-out pairs, by arm, seed and size."""

    plan: Plan
    accuracies: dict[Arm, list[list[float]]] = field(default_factory=dict)

    def saving(self, arm: Arm) -> LabelSaving:
        """Labels that the arm needs over those that chance needs."""
        plan = self.plan
        by_name: dict[str, list[list[float]]] = {str(name): rows for name, rows in self.accuracies.items()}
        return label_saving(plan.sizes, by_name, "random", arm, plan.at, seed=0)

    def lines(self) -> list[str]:
        """One line for each arm."""
        said = []
        for arm, rows in self.accuracies.items():
            means = ", ".join(f"{value:.3f}" for value in np.mean(rows, axis=0))
            tail = "" if arm == "random" else f"; {self.saving(arm)}"
            said.append(f"{arm}: accuracy {means} with {', '.join(map(str, self.plan.sizes))} labels{tail}")
        return said


def measure(plan: Plan) -> Measured:
    """Every arm with the same worlds."""
    found = Measured(plan)
    for arm in plan.arms:
        found.accuracies[arm] = [_curve(plan, arm, seed) for seed in range(plan.seeds)]
    return found


def _curve(plan: Plan, arm: Arm, seed: int) -> list[float]:
    """Accuracies with rising numbers of labels in one world."""
    rng = np.random.default_rng(derive_seed(seed, "world"))
    taste = rng.normal(size=FEATURES) * 1.5 / np.sqrt(FEATURES)
    shift = 0.5 * rng.normal(size=FEATURES)  # how the new policy differs from the old
    test = rng.normal(size=(1000, FEATURES)) - rng.normal(size=(1000, FEATURES))
    shares: dict[Arm, float] = {"random": 1.0} if arm == "random" else {"random": 0.5, arm: 0.5}
    learnt, said = np.empty((0, FEATURES)), np.empty(0)
    members = np.zeros((MEMBERS, FEATURES))
    curve = []
    while len(said) < max(plan.sizes):
        points = rng.normal(size=(plan.step * POOL, 2, FEATURES))
        new = rng.random((len(points), 2)) < 0.5
        points += new[:, :, None] * shift
        scores = np.einsum("mf,nkf->nmk", members, points)
        candidates = [
            Candidate(
                place, (2 * place, 2 * place + 1), tuple(map(tuple, of_place.tolist())), tuple(map(str, new[place]))
            )
            for place, of_place in enumerate(scores)
        ]
        chosen = choose(candidates, plan.step, shares, derive_seed(seed, "choice", len(said)))
        differences = np.stack([points[c.candidate.place, 0] - points[c.candidate.place, 1] for c in chosen])
        answers = (rng.random(len(chosen)) < 1.0 / (1.0 + np.exp(-4.0 * differences @ taste))).astype(np.float64)
        learnt, said = np.concatenate([learnt, differences]), np.concatenate([said, answers])
        members = np.stack([_fit(learnt, said, rng.integers(len(said), size=len(said))) for _ in range(MEMBERS)])
        if len(said) in plan.sizes:
            model = _fit(learnt, said, np.arange(len(said)))
            curve.append(float(np.mean((test @ model > 0) == (test @ taste > 0))))
    return curve


def _fit(differences: Floats, said: Floats, rows: NDArray[np.int64]) -> Floats:
    """Logistic regression with a ridge, by Newton's method."""
    x, y, found = differences[rows], said[rows], np.zeros(FEATURES)
    for _ in range(12):
        chance = 1.0 / (1.0 + np.exp(-x @ found))
        hessian = (x * (chance * (1.0 - chance))[:, None]).T @ x + RIDGE * np.eye(FEATURES)
        found = found + np.linalg.solve(hessian, x.T @ (y - chance) - RIDGE * found)
    return found


def main() -> None:
    """Measure, print a line for each arm, and the figures as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=Plan.seeds)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    given = parser.parse_args()
    found = measure(Plan(seeds=given.seeds))
    print("\n".join(found.lines()))
    if given.json:
        print(json.dumps({arm: found.saving(arm).as_dict() for arm in ARMS if arm != "random"}))


if __name__ == "__main__":
    main()
