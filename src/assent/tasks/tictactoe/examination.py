"""What a player of tic-tac-toe is examined by: every line that the other side can play, and chance."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import product

from assent.tasks.tictactoe.board import FIRST, ILLEGAL, SECOND, Board, answer, read_move, state
from assent.types.messages import Message
from assent.types.protocols import Environment, StepResult

GAMES_OF_CHANCE = 1000


class Scripted:
    """A game against a player that follows a script, or chance (implements `Environment`).

    Args:
        player: the policy's side.
        script: of the other side: the k-th number says which of the free cells it takes in its k-th move, after the
            end of the script the first; None leaves it to chance.
    """

    def __init__(self, player: int, script: Sequence[int] | None) -> None:
        self.player = player
        self.script = script

    def reset(self, seed: int) -> tuple[Message, ...]:
        """The beginning, or the other side's first move."""
        self._random = random.Random(seed)
        self.board = Board()
        if self.player == SECOND:
            self._reply()
        return state(self.board, self.player)

    def step(self, completion: str) -> StepResult:
        """The policy's move and the other side's."""
        move = read_move(completion, self.board)
        if move is None:
            return ILLEGAL
        self.board.put(move)
        if not self.board.over:
            self._reply()
        return answer(self.board, self.player)

    def _reply(self) -> None:
        free = self.board.free
        if self.script is None:
            choice = self._random.randrange(len(free))
        else:
            place = len(self.board.moves) // 2
            choice = self.script[place] if place < len(self.script) else 0
        self.board.put(free[choice])


def examinations() -> Mapping[str, Sequence[Environment]]:
    """By name of the part: all lines of the other side with the policy first and second, and chance likewise.

    Against a given policy a line is what the other side answers in each of its moves: 8 · 6 · 4 · 2 choices where it
    is second, 9 · 7 · 5 · 3 where it begins (its last move is the one cell left). Lines that end sooner come more
    than once.
    """
    return {
        "first": [Scripted(FIRST, script) for script in product(range(8), range(6), range(4), range(2))],
        "second": [Scripted(SECOND, script) for script in product(range(9), range(7), range(5), range(3))],
        "first_by_chance": [Scripted(FIRST, None) for _ in range(GAMES_OF_CHANCE)],
        "second_by_chance": [Scripted(SECOND, None) for _ in range(GAMES_OF_CHANCE)],
    }
