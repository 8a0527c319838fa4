"""No one person decides: a cap on each person's share of all weight."""

from __future__ import annotations

from collections.abc import Mapping


def capped_weights(weights: Mapping[int, float], counts: Mapping[int, float], cap: float) -> dict[int, float]:
    """Weights per judgement under which nobody's share of all weight is over `cap` times an equal share; their mean,
    over judgements, is 1.

    A person's share is weight × judgements over everybody's; an equal share is 1 over the people whose weight is not 0.
    Who is over the limit is brought down to it exactly, the others keep their weights in proportion. With 20 people and
    a cap of 2 nobody has more than a tenth of the say, whatever they send in.

    Args:
        weights: of each person's judgements, at least 0.
        counts: how many judgements each person gave.
        cap: at least 1, which gives everybody the same say; infinity is no cap.

    Raises:
        ValueError: a cap below 1, a negative weight, or people that differ.
    """
    if cap < 1.0 or weights.keys() != counts.keys() or any(weight < 0 for weight in weights.values()):
        raise ValueError(f"capped_weights needs a cap of 1 or more ({cap}), weights >= 0, and a count per person")
    said = {person: weights[person] * counts[person] for person in weights if weights[person] * counts[person] > 0}
    held = _held_down(said, cap / len(said)) if said else {}
    total = sum(held.values())
    judgements = sum(counts.values())
    return {
        person: held[person] / counts[person] * judgements / total if person in held else weight
        for person, weight in weights.items()
    }


def _held_down(said: Mapping[int, float], limit: float) -> dict[int, float]:
    """Shares of 1, none over the limit; of those under it the proportions are kept."""
    over: set[int] = set()
    while True:
        left = 1.0 - limit * len(over) if over else 1.0
        rest = sum(amount for person, amount in said.items() if person not in over)
        found = {p: limit if p in over else amount * left / rest for p, amount in said.items()}
        newly = {p for p, share in found.items() if p not in over and share > limit * (1 + 1e-12)}
        if not newly:
            return found
        over |= newly
