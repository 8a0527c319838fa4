"""Bundled environments, which the policy plays with in several turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from assent.tasks.chain import Chain
from assent.tasks.tictactoe import TicTacToe
from assent.types.protocols import Environment

ENVIRONMENTS: Mapping[str, Callable[[], Environment]] = {TicTacToe.name: TicTacToe, Chain.name: Chain}
"""Name -> how to make one in its default size."""
