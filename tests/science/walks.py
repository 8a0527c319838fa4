"""A chain that is short enough for a test of seconds."""

from __future__ import annotations

from assent.tasks.chain import Chain


class ShortChain(Chain):
    """Six states in eight steps: of walks by chance 11 % arrive."""

    def __init__(self) -> None:
        super().__init__(6, 8)
