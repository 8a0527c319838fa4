"""What choosing the tasks that people judge has saved, told from the judgements themselves.

Tasks that an arm chose and tasks left to chance are each learnt from, more and more of them, by a logistic model of the
completions' features, and held-out tasks say how well. An arm saves labels where fewer of its tasks teach as much. The
features are those of the reward model that the arms asked: what it has learnt before is there for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from assent.evaluation.label_saving import LabelSaving, labels_needed

Floats = NDArray[np.float64]
Task = Floats  # [P, D]: of each pair that people ordered, the features of the better one less those of the other;
# no pair where they called all alike: it cost a label all the same

FEWEST = 16  # tasks of a kind, below which a curve says nothing
_DIRECTIONS = 24  # in which features differ most; more could not be told from so few labels
_RIDGE = 1.0
_PARTS = (8, 4, 2, 1)  # the sizes of the curves: an eighth of the tasks, a quarter, ...
_REPEATS = 3  # orders in which the tasks of a resample are learnt


def arm_savings(
    tasks: Mapping[str, Sequence[Task]], held_out: Sequence[Task], seed: int, resamples: int = 200
) -> dict[str, LabelSaving | str]:
    """Labels that each arm but `random` needs over those that chance needs, for what half of chance's labels teach.

    Curves are measured up to the number of tasks that both kinds have, with as many of each; both are made to rise. The
    95 % interval resamples tasks of both kinds and held-out tasks.

    Args:
        tasks: arm -> the tasks it chose; `random` among them.
        held_out: tasks that nobody chose and nothing learns from.

    Returns:
        The saving, or why it cannot be told.
    """
    everything = [task for group in (*tasks.values(), held_out) for task in group if len(task)]
    if not everything:
        return {arm: "nobody preferred anything" for arm in tasks if arm != "random"}
    differences = np.concatenate(everything)
    if not np.isfinite(differences).all():
        return {arm: "the reward model gave features that are not finite" for arm in tasks if arm != "random"}
    project = _directions(differences)
    kinds = {arm: [task @ project for task in group] for arm, group in tasks.items()}
    known = [task @ project for task in held_out if len(task)]
    found: dict[str, LabelSaving | str] = {}
    for arm in sorted(kinds.keys() - {"random"}):
        counts = {name: sum(map(bool, map(len, kinds.get(name, ())))) for name in ("random", arm)}
        counts["held out"] = len(known)
        few = [f"{count} {name}" for name, count in counts.items() if count < FEWEST]
        if few:
            found[arm] = f"too few tasks that people ordered ({', '.join(few)}; {FEWEST} of each are needed)"
            continue
        found[arm] = _saving(kinds["random"], kinds[arm], known, np.random.default_rng([seed, len(arm)]), resamples)
    return found


def _saving(
    plain: list[Task], chosen: list[Task], known: list[Task], rng: np.random.Generator, resamples: int
) -> LabelSaving | str:
    whole = min(len(plain), len(chosen))
    sizes = [max(1, whole // part) for part in _PARTS]
    curves = np.zeros((resamples, 2, len(sizes)))
    for row in range(resamples):
        judged = np.concatenate([known[i] for i in rng.integers(len(known), size=len(known))])
        for side, group in enumerate((plain, chosen)):
            as_many = rng.permutation(len(group))[:whole]  # of both: a resample of fewer tasks repeats more of them
            drawn = [group[i] for i in as_many[rng.integers(whole, size=whole)]]
            for _ in range(_REPEATS):
                order = rng.permutation(len(drawn))
                for place, size in enumerate(sizes):
                    direction = _learnt(np.concatenate([drawn[i] for i in order[:size]]))
                    right = np.sign(judged @ direction)
                    curves[row, side, place] += float((right + 1.0).mean()) / (2 * _REPEATS)

    def ratio(rows: Floats) -> tuple[float, bool, float]:
        target = float(rows[0, -2])  # what half of the tasks that were left to chance teach
        needed, inside = labels_needed(sizes, rows[1].tolist(), target)
        return needed / labels_needed(sizes, rows[0].tolist(), target)[0], inside, target

    plainly = curves[:, 0].mean(axis=0)
    if not plainly[-1] > plainly[0]:
        return (
            f"{whole} tasks left to chance teach no more than {sizes[0]} do ({plainly[-1]:.1%} of held-out pairs right)"
        )
    drawn_ratios = [ratio(rows) for rows in curves]
    low, high = np.quantile([each[0] for each in drawn_ratios], (0.025, 0.975))
    value, _, target = ratio(curves.mean(axis=0))
    clipped = sum(not inside for _, inside, _ in drawn_ratios) / resamples
    return LabelSaving(value, float(low), float(high), target, clipped)


def _directions(differences: Floats) -> Floats:
    """[D, K]: to the coordinates in which the differences have unit size, the largest first."""
    scale = np.sqrt((differences**2).mean(axis=0))
    scaled = differences / np.where(scale > 0, scale, 1.0)
    _, sizes, axes = np.linalg.svd(scaled, full_matrices=False)
    kept = min(_DIRECTIONS, int((sizes > 1e-6 * max(sizes[0], 1e-30)).sum()))
    across = axes[:kept].T / np.where(scale > 0, scale, 1.0)[:, None]
    return np.asarray(across * (np.sqrt(len(differences)) / sizes[:kept]))


def _learnt(better: Floats) -> Floats:
    """Weights by which the better ones are better: logistic with a ridge, by Newton's method."""
    weights = np.zeros(better.shape[1])
    for _ in range(8):
        chance = 1.0 / (1.0 + np.exp(better @ weights))
        slope = better.T @ chance - _RIDGE * weights
        bend = (better * (chance * (1.0 - chance))[:, None]).T @ better + _RIDGE * np.eye(len(weights))
        step = np.linalg.solve(bend, slope)
        weights = weights + step
        if float(np.abs(step).max()) < 1e-4:
            break
    return weights
