"""The board of tic-tac-toe: nine cells, 1 to 9, row by row, its rules, and how a game is told."""

from __future__ import annotations

from collections.abc import Sequence

from assent.types.messages import Message
from assent.types.protocols import StepResult

LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
FIRST, SECOND = 0, 1


class Board:
    """A position. Players are FIRST (who begins) and SECOND."""

    def __init__(self, moves: Sequence[int] = ()) -> None:
        self.cells: list[int | None] = [None] * 9
        self.moves: list[int] = []
        for cell in moves:
            self.put(cell)

    @property
    def mover(self) -> int:
        """Whose turn it is."""
        return len(self.moves) % 2

    @property
    def free(self) -> list[int]:
        """Cells 0 to 8 that nobody holds."""
        return [cell for cell, held in enumerate(self.cells) if held is None]

    @property
    def winner(self) -> int | None:
        """Who has three in a row."""
        for a, b, c in LINES:
            if self.cells[a] is not None and self.cells[a] == self.cells[b] == self.cells[c]:
                return self.cells[a]
        return None

    @property
    def over(self) -> bool:
        """Won, or full."""
        return len(self.moves) == 9 or self.winner is not None

    def put(self, cell: int) -> None:
        """The mover takes a cell.

        Raises:
            ValueError: the cell is taken, is none of the board's, or the game is over.
        """
        if self.over or cell not in self.free:
            raise ValueError(f"cell {cell} cannot be taken after {self.moves}")
        self.cells[cell] = self.mover
        self.moves.append(cell)

    def told_to(self, player: int) -> str:
        """The state as this player is told it: its own cells as x, the other's as o, free ones by their number."""
        signs = {None: "", player: "x", 1 - player: "o"}
        return " ".join(signs[held] or str(cell + 1) for cell, held in enumerate(self.cells))

    def paid_to(self, player: int) -> float:
        """1 for a win, -1 for a loss, 0 for a draw or a game that is not over."""
        return 0.0 if self.winner is None else 1.0 if self.winner == player else -1.0


def read_move(text: str, board: Board) -> int | None:
    """The cell that a text names by its number, 1 to 9; None if it names none, or one that is taken."""
    word = text.strip()
    if len(word) != 1 or word not in "123456789":
        return None
    cell = int(word) - 1
    return cell if cell in board.free else None


def answer(board: Board, player: int) -> StepResult:
    """What a player is told after its move and the other's: the state, or, once the game is over, what it is paid."""
    if board.over:
        return StepResult((), board.paid_to(player), True)
    return StepResult(state(board, player), 0.0, False)


def state(board: Board, player: int) -> tuple[Message, ...]:
    """What a player is asked who is to move."""
    return (Message("user", board.told_to(player)),)


ILLEGAL = StepResult((), -1.0, True)
"""A move that is not legal loses at once."""
