"""What long work shows, on a terminal and in a log."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from assent.cli import progress
from assent.cli.progress import progress_on


def console(terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=100, color_system=None), out


def test_a_log_has_a_line_at_the_start_and_one_at_the_end() -> None:
    to, out = console(terminal=False)
    with progress_on(to) as shown:
        shown.start("rl", 40, done=10)
        for done in range(11, 41):
            shown.advance(done, f"reward [{done}]")
        shown.finish()
        shown.say("round 1: [promoted]")
    first, last, said = out.getvalue().splitlines()
    assert first == "rl: 40 to do, 10 done before"
    assert last.startswith("rl: 40 done in ") and last.endswith("10 of them before, reward [40]")
    assert said == "round 1: [promoted]"


def test_a_log_tells_rate_and_time_left_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    to, out = console(terminal=False)
    with progress_on(to) as shown:
        shown.start("sft", 60)
        for done in range(1, 13):  # two seconds each
            now += 2.0
            shown.advance(done, "loss 1.5")
    # After 10 s 5 are done, 0.5 a second: 55 take 110 s more. After 20 s 10 are done: 100 s more.
    assert out.getvalue().splitlines() == [
        "sft: 60 to do",
        "sft: 5 of 60, 2.0 s each, 1 min 50 s left, loss 1.5",
        "sft: 10 of 60, 2.0 s each, 1 min 40 s left, loss 1.5",
    ]


def test_a_terminal_has_a_bar_that_leaves_one_line() -> None:
    to, out = console(terminal=True)
    with progress_on(to) as shown:
        shown.start("judge", 3)
        shown.advance(3, "16 people")
        shown.finish()
    assert "judge: 3 done in " in out.getvalue().splitlines()[-1]


def test_a_bar_is_taken_away_when_work_fails() -> None:
    to, out = console(terminal=True)
    with pytest.raises(RuntimeError), progress_on(to) as shown:
        shown.start("judge", 3)
        raise RuntimeError
    assert "\x1b[?25h" in out.getvalue()  # the cursor is shown again


@pytest.mark.parametrize("terminal", [True, False])
def test_telling_costs_next_to_nothing(terminal: bool) -> None:
    to, _ = console(terminal)
    with progress_on(to) as shown:
        shown.start("judge", 20_000)
        started = time.process_time()
        for done in range(20_000):
            shown.advance(done)
        assert (time.process_time() - started) / 20_000 < 2e-5  # seconds
        shown.finish()
