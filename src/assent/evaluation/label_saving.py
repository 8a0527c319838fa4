"""How many labels a way of training needs for the accuracy that another reaches, with an interval over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelSaving:
    """Labels that are needed for one accuracy, over those the plain way needs: below 1 is a saving."""

    ratio: float
    low: float  # 95 % interval over seeds
    high: float
    target: float  # the accuracy
    clipped: float  # share of the resamples whose curve reached it before the first or not by the last size

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dict(self.__dict__)

    def __str__(self) -> str:
        """One line for people."""
        inside = "" if self.clipped < 0.025 else f" ({self.clipped:.0%} of resamples outside the sizes measured)"
        return (
            f"{self.ratio:.2f} [{self.low:.2f}, {self.high:.2f}] of the labels for accuracy {self.target:.3f}{inside}"
        )


def labels_needed(sizes: Sequence[int], accuracy: Sequence[float], target: float) -> tuple[float, bool]:
    """Labels at which a learning curve first reaches `target`, and whether it does so within the sizes measured.

    The curve is read as linear in log size between its points, after it was made to rise (its running maximum).
    Outside, the nearest size is given.

    Raises:
        ValueError: not one accuracy per size, or sizes that do not rise.
    """
    if len(sizes) != len(accuracy) or list(sizes) != sorted(set(sizes)):
        raise ValueError(f"a learning curve needs rising sizes with an accuracy each, got {sizes} and {accuracy}")
    risen = np.maximum.accumulate(np.asarray(accuracy, dtype=np.float64))
    if target <= risen[0]:
        return float(sizes[0]), bool(target == risen[0])
    if target > risen[-1]:
        return float(sizes[-1]), False
    after = int(np.searchsorted(risen, target))
    share = (target - risen[after - 1]) / (risen[after] - risen[after - 1])
    return float(2.0 ** (np.log2(sizes[after - 1]) * (1 - share) + np.log2(sizes[after]) * share)), True


def label_saving(
    sizes: Sequence[int],
    accuracies: Mapping[str, Sequence[Sequence[float]]],
    plain: str,
    way: str,
    at: int,
    seed: int,
    resamples: int = 2000,
) -> LabelSaving:
    """Labels that `way` needs over those `plain` needs, for the accuracy that `plain` has with `at` labels.

    Both curves are means over seeds; the interval resamples seeds, the same for both, as they share data and heads.

    Args:
        sizes: [N] labels.
        accuracies: way -> [seeds][N].
        plain: what to compare with.
        way: what is compared.
        at: one of the sizes.
        seed: of the resampling.
        resamples: how many.

    Raises:
        ValueError: no seeds, numbers of seeds that differ, or a size that was not measured.
    """
    first, second = (np.asarray(accuracies[name], dtype=np.float64) for name in (plain, way))
    if first.shape != second.shape or first.ndim != 2 or not len(first) or at not in sizes:
        raise ValueError(f"label_saving needs the same seeds and sizes of both: {first.shape}, {second.shape}, at {at}")

    def ratio(rows: NDArray[np.int64]) -> tuple[float, bool]:
        target = float(first[rows].mean(axis=0)[list(sizes).index(at)])
        ours, inside = labels_needed(sizes, second[rows].mean(axis=0).tolist(), target)
        theirs, _ = labels_needed(sizes, first[rows].mean(axis=0).tolist(), target)
        return ours / theirs, inside

    rng = np.random.default_rng(seed)
    drawn = [ratio(rng.integers(len(first), size=len(first))) for _ in range(resamples)]
    low, high = np.quantile([value for value, _ in drawn], (0.025, 0.975))
    everything = np.arange(len(first), dtype=np.int64)
    target = float(first.mean(axis=0)[list(sizes).index(at)])
    clipped = sum(not inside for _, inside in drawn) / resamples
    return LabelSaving(ratio(everything)[0], float(low), float(high), target, clipped)
