from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from assent.config import load_settings
from assent.data.chat import conversation_text
from assent.tasks.tictactoe import TicTacToe
from assent.tasks.tictactoe.board import FIRST, LINES, SECOND, Board, read_move, state
from assent.types.messages import Message
from assent.types.protocols import (
    ExaminedEnvironment,
    SpokenEnvironment,
    StepResult,
    TwoPlayerEnvironment,
)

RECIPE = Path(__file__).parents[3] / "recipes" / "tictactoe.toml"
Player = Callable[[Board], str]
Cells = tuple[int | None, ...]


def won(cells: Cells, player: int) -> bool:
    return any(all(cells[cell] == player for cell in line) for line in LINES)


@cache
def worth(cells: Cells) -> float:
    """Of a position for who is to move, if both sides play best."""
    mover = sum(held is not None for held in cells) % 2
    if won(cells, 1 - mover):
        return -1.0
    free = [cell for cell, held in enumerate(cells) if held is None]
    return max((-worth(taken(cells, cell, mover)) for cell in free), default=0.0)


def taken(cells: Cells, cell: int, player: int) -> Cells:
    return (*cells[:cell], player, *cells[cell + 1 :])


def perfect(board: Board) -> str:
    cells = tuple(board.cells)
    return str(1 + max(board.free, key=lambda cell: -worth(taken(cells, cell, board.mover))))


def lowest(board: Board) -> str:
    return str(1 + board.free[0])


def played(game: TicTacToe, seed: int, policy: Player, other: Player) -> tuple[StepResult, list[int]]:
    """A game to its end, and the moves that the policy was asked for."""
    messages, counts = game.reset(seed), []
    if not messages:
        result = game.answered(other(game.board))
        assert (result.reward, result.done) == (0.0, False)
        messages = result.messages
    while True:
        assert messages and game.asked() == ()
        counts.append(len(game.board.moves))
        result = game.step(policy(game.board))
        if not result.done and not result.messages:
            assert game.asked() == state(game.board, 1 - game.player)
            result = game.answered(other(game.board))
        if result.done:
            return result, counts
        messages = result.messages
        assert messages == state(game.board, game.player)


def test_the_rules() -> None:
    board = Board([0, 3, 1, 4])
    assert (board.mover, board.over, board.winner, board.free) == (FIRST, False, None, [2, 5, 6, 7, 8])
    board.put(2)
    assert (board.over, board.winner) == (True, FIRST)
    assert (board.paid_to(FIRST), board.paid_to(SECOND)) == (1.0, -1.0)
    draw = Board([0, 1, 2, 4, 3, 5, 7, 6, 8])
    assert (draw.over, draw.winner, draw.paid_to(FIRST), draw.paid_to(SECOND)) == (True, None, 0.0, 0.0)
    assert Board([0, 1, 3, 2, 6]).winner == FIRST and Board([8, 0, 5, 4, 6, 1, 7]).winner == FIRST
    with pytest.raises(ValueError, match="cell 3 cannot be taken"):
        Board([0, 3, 1, 3])


@pytest.mark.parametrize(
    ("text", "cell"), [("5", 4), (" 9 ", 8), ("1", None), ("0", None), ("10", None), ("", None), ("five", None)]
)
def test_only_the_number_of_a_free_cell_is_a_move(text: str, cell: int | None) -> None:
    assert read_move(text, Board([0])) == cell


def test_a_state_is_told_alike_however_it_came_about() -> None:
    for moves in ([4, 1, 0], [0, 1, 4]):
        assert Board(moves).told_to(SECOND) == "o x 3 4 o 6 7 8 9"
    assert Board([4, 1]).told_to(FIRST) == "1 o 3 4 x 6 7 8 9"
    assert Board().told_to(FIRST) == "1 2 3 4 5 6 7 8 9"
    template = load_settings([RECIPE]).prompts.template
    talk = [*state(Board(), FIRST), Message("assistant", "5"), *state(Board([4, 1]), FIRST)]
    told = conversation_text(template, talk, answered=False)
    assert told == "1 2 3 4 5 6 7 8 9 x 5\n1 o 3 4 x 6 7 8 9 x"


def test_a_move_that_is_not_legal_loses_at_once() -> None:
    game = TicTacToe(chance=1.0, openings=0.0)
    for seed in range(20):
        game.reset(seed)
        taken = str(game.board.moves[0] + 1) if game.board.moves else "0"
        assert game.step(taken) == StepResult((), -1.0, True)


def test_every_game_gives_the_policy_a_turn_and_pays_by_the_rules() -> None:
    chance = random.Random(0)
    sides, starts, paid = Counter[int](), Counter[int](), Counter[float]()
    for seed in range(2000):
        game = TicTacToe()
        result, counts = played(game, seed, lambda board: str(1 + chance.choice(board.free)), lowest)
        assert game.board.over and result.reward == game.board.paid_to(game.player)
        assert all(count % 2 == game.player for count in counts)
        sides[game.player] += 1
        starts[counts[0]] += 1
        paid[result.reward] += 1
    assert 1100 < sides[SECOND] < 1300, "three games of five"
    assert set(starts) == set(range(8)) and set(paid) == {-1.0, 0.0, 1.0}


def test_the_same_seed_and_the_same_moves_are_the_same_game() -> None:
    for seed in range(50):
        games = [TicTacToe(), TicTacToe()]
        ends = [played(game, seed, lowest, perfect) for game in games]
        assert ends[0] == ends[1] and games[0].board.moves == games[1].board.moves


def test_chance_moves_where_the_other_side_writes_no_move() -> None:
    game = TicTacToe(chance=0.0, slips=0.0, openings=0.0)
    seed = next(seed for seed in range(100) if not game.reset(seed))
    assert game.reset(seed) == ()
    result = game.answered("nonsense")
    assert len(game.board.moves) == 1 and not result.done and result.reward == 0.0


def test_beginners_conversations_are_legal_games() -> None:
    talks = TicTacToe().conversations(3)
    assert talks == TicTacToe().conversations(3) != TicTacToe().conversations(4)
    for talk in talks[:300]:
        cells = talk[0].content.split()
        assert cells.count("o") <= 1 and "x" not in cells
        for asked, said in zip(talk[::2], talk[1::2], strict=True):
            now = asked.content.split()
            assert now == cells or [a for a, b in zip(now, cells, strict=True) if a != b] == ["o"]
            assert said.content == now[int(said.content) - 1], "a free cell"
            cells = ["x" if cell == said.content else cell for cell in now]
        assert not any(all(cells[cell] == "o" for cell in line) for line in LINES), "told by who did not lose"
    assert {"o" in talk[0].content for talk in talks[:300]} == {True, False}


def examined(policy: Player) -> dict[str, Counter[float]]:
    """What every game of the examination paid, by part."""
    found: dict[str, Counter[float]] = {}
    for part, games in TicTacToe().examinations().items():
        found[part] = Counter()
        for seed, game in enumerate(games):
            game.reset(seed)
            done = False
            while not done:
                result = game.step(policy(game.board))  # type: ignore[attr-defined]
                done = result.done
            found[part][result.reward] += 1
    return found


def test_the_examination_passes_who_cannot_be_beaten_and_nobody_else() -> None:
    best = examined(perfect)
    assert {part: sum(count.values()) for part, count in best.items()} == {
        "first": 8 * 6 * 4 * 2,
        "second": 9 * 7 * 5 * 3,
        "first_by_chance": 1000,
        "second_by_chance": 1000,
    }
    assert all(count[-1.0] == 0 for count in best.values())
    assert best["first"][1.0] > 0 and best["second"][0.0] > 0
    worse = examined(lowest)
    assert worse["first"][-1.0] > 0 and worse["second"][-1.0] > 0
    # Who writes nothing legal loses everything.
    assert set(examined(lambda board: "0")["first"]) == {-1.0}


def test_the_examination_plays_every_line_of_the_other_side() -> None:
    """The distinct games against a player who takes the lowest free cell are those of a search through all answers."""

    def lines(moves: tuple[int, ...], player: int) -> set[tuple[int, ...]]:
        board = Board(moves)
        if board.over:
            return {moves}
        cells = board.free[:1] if board.mover == player else board.free
        return set().union(*(lines((*moves, cell), player) for cell in cells))

    for part, player in (("first", FIRST), ("second", SECOND)):
        seen = set()
        for game in TicTacToe().examinations()[part]:
            game.reset(0)
            while not game.step(lowest(game.board)).done:  # type: ignore[attr-defined]
                pass
            seen.add(tuple(game.board.moves))  # type: ignore[attr-defined]
        assert seen == lines((), player)


def test_it_is_all_that_it_says() -> None:
    game = TicTacToe()
    assert isinstance(game, TwoPlayerEnvironment) and isinstance(game, SpokenEnvironment)
    assert isinstance(game, ExaminedEnvironment)
    with pytest.raises(ValueError, match=r"slips is a share, from 0 to 1, got 1\.5"):
        TicTacToe(slips=1.5)
