"""Random streams that are addressed, not consumed: the seed of a step is a function of where it is in the run.

Nothing needs to be saved to resume such a stream, and asking for one part never shifts another.
"""

from __future__ import annotations

import hashlib


def derive_seed(*address: int | str) -> int:
    """A 63-bit seed for this address, e.g. `derive_seed(run_seed, "rollouts", step)`. Stable across machines."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in address)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
