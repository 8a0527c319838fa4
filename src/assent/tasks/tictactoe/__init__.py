"""Tic-tac-toe: the textbook's loop of agent, environment, state, action and reward, played by writing moves.

The cells are numbered 1 to 9. In each of its turns the policy is told the state, its own cells as x and the other
side's as o, and writes the number of a free one:

    1 2 3 4 o 6 7 8 9 x 1
    x o 3 4 o 6 7 8 9 x 8

A won game pays 1, a draw 0, and a lost one -1, as does a move that is not legal. The policy plays as first and as
second, against itself and against chance.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from assent.tasks.tictactoe.board import FIRST, ILLEGAL, SECOND, Board, answer, read_move, state
from assent.tasks.tictactoe.examination import examinations
from assent.types.messages import Message
from assent.types.protocols import Environment, StepResult
from assent.types.seeds import derive_seed

CONVERSATIONS = 6000


class TicTacToe:
    """Self-play (implements `Environment`, and the protocols of two players, of conversations and of examinations).

    Some games begin with random moves of both sides (exploring starts; Sutton and Barto 2018, section 5.3). In some the
    other side is chance: in its first one to four moves, so that the policy comes to every place where it can be led
    and is then played against in earnest, or throughout. Else it is the policy, which slips now and then: it moves at
    random, as it does where it writes no legal move. It is second in three games of five: there is more to learn.

    Args:
        chance: share of games in which the other side is chance alone.
        detours: share in which it is chance in its first moves.
        slips: share of random moves of the other side where the policy plays it.
        openings: share of games that begin with random moves.
    """

    name = "tictactoe"

    def __init__(self, chance: float = 0.1, detours: float = 0.9, slips: float = 0.05, openings: float = 0.25) -> None:
        for what, share in {"chance": chance, "detours": detours, "slips": slips, "openings": openings}.items():
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"{what} is a share, from 0 to 1, got {share}")
        self._chance, self._detours, self._slips, self._openings = chance, detours, slips, openings

    def reset(self, seed: int) -> tuple[Message, ...]:
        """A side for the policy, and what was played before it; nothing while the other side is to be asked."""
        self._random = random.Random(seed)
        self.player = self._random.choice((FIRST, SECOND, FIRST, SECOND, SECOND))
        against_chance = self._random.random() < self._chance
        self._slip = 1.0 if against_chance else self._slips
        self._detour = self._random.randint(1, 4) if self._random.random() < self._detours else 0
        self.board = self._opening() if self._random.random() < self._openings else Board()
        self._begun = False
        return state(self.board, self.player) if self._turn_of_policy or self._chance_moves() else ()

    def step(self, completion: str) -> StepResult:
        """The policy's move, and the other side's where chance makes it."""
        self._begun = True
        move = read_move(completion, self.board)
        if move is None:
            return ILLEGAL
        self.board.put(move)
        return self._go_on()

    def asked(self) -> tuple[Message, ...]:
        """The game as the other side is told it, where it is to move."""
        return () if self._turn_of_policy else state(self.board, self.board.mover)

    def answered(self, completion: str) -> StepResult:
        """The other side's move; chance makes it if no legal one was written."""
        move = read_move(completion, self.board)
        begun = self._begun
        self.board.put(self._any() if move is None else move)
        return answer(self.board, self.player) if begun else StepResult(state(self.board, self.player), 0.0, False)

    def conversations(self, seed: int) -> list[tuple[Message, ...]]:
        """Games of chance against chance, each told by who won it: which moves are legal, and how a game is won."""
        return [
            _game_of_chance(random.Random(derive_seed(seed, number)), number % 2) for number in range(CONVERSATIONS)
        ]

    def examinations(self) -> Mapping[str, Sequence[Environment]]:
        """Every line of the other side, with the policy first and second, and games against chance."""
        return examinations()

    @property
    def _turn_of_policy(self) -> bool:
        return self.board.mover == self.player

    def _any(self) -> int:
        return self._random.choice(self.board.free)

    def _opening(self) -> Board:
        """Random moves of both sides, up to one of the policy's turns."""
        board = Board()
        for _ in range(self._random.choice((2, 4, 6) if self.player == FIRST else (1, 3, 5, 7))):
            board.put(self._random.choice(board.free))
            if board.over:
                return Board(board.moves[: -1 if board.mover != self.player else -2])
        return board

    def _go_on(self) -> StepResult:
        """The answer to the policy. Where the other side is to move, chance does it, or it is asked first."""
        if self.board.over or self._chance_moves():
            return answer(self.board, self.player)
        return StepResult((), 0.0, False)

    def _chance_moves(self) -> bool:
        """Let chance move for the other side, if this move falls to chance."""
        if len(self.board.moves[1 - self.player :: 2]) >= self._detour and self._random.random() >= self._slip:
            return False
        self.board.put(self._any())
        return True


def _game_of_chance(chance: random.Random, drawn: int) -> tuple[Message, ...]:
    """Told by who won it; after a draw, by the player `drawn`."""
    game = Board()
    while not game.over:
        game.put(chance.choice(game.free))
    player = drawn if game.winner is None else game.winner
    board, messages = Board(), list[Message]()
    for move in game.moves:
        if board.mover == player:
            messages += [*state(board, player), Message("assistant", str(move + 1))]
        board.put(move)
    return tuple(messages)
