"""How far long work is, as people see it: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape

from assent.types.protocols import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

REDRAW_SECONDS = 0.1
LINE_SECONDS = 10.0


@contextmanager
def progress_on(console: Console) -> Iterator[Progress]:
    """A bar if the console is a terminal, else lines. A bar that an error left behind is taken away."""
    if not console.is_terminal:
        yield Lines(console)
        return
    bar = Bar(console)
    try:
        yield bar
    finally:
        bar.stop()


class _Work:
    """The counting that both share. `advance` is called thousands of times a second: it must cost next to nothing."""

    def __init__(self, console: Console, pause: float) -> None:
        self.console = console
        self.pause = pause
        self.begin("", 0, 0)

    def begin(self, name: str, total: int, done: int) -> None:
        """Take up new work."""
        self.name, self.total, self.first, self.done, self.headline = name, total, done, done, ""
        self.started = time.monotonic()
        self.shown = self.started

    def due(self, done: int, headline: str) -> bool:
        """Note how far it is; true if it is time to show it."""
        self.done, self.headline = done, headline
        now = time.monotonic()
        if now - self.shown < self.pause:
            return False
        self.shown = now
        return True

    @property
    def seconds(self) -> float:
        """Since the work began, or was taken up."""
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Per second; 0 before anything was done."""
        return (self.done - self.first) / self.seconds if self.seconds > 0 else 0.0

    def state(self) -> str:
        """How far it is, how fast, and how long it will take."""
        left = f", {_clock((self.total - self.done) / self.rate)} left" if self.rate > 0 else ""
        return f"{self.name}: {self.done} of {self.total}, {_rate(self.rate)}{left}{self._tail()}"

    def summary(self) -> str:
        """What was done."""
        before = f", {self.first} of them before" if self.first else ""
        return f"{self.name}: {self.done} done in {_clock(self.seconds)}{before}{self._tail()}"

    def _tail(self) -> str:
        return f", {self.headline}" if self.headline else ""


class Lines:
    """For logs and pipes: a line at the start, one every ten seconds, one at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._work = _Work(console, LINE_SECONDS)

    def start(self, name: str, total: int, done: int = 0) -> None:
        """Work begins, or goes on."""
        self._work.begin(name, total, done)
        self._print(f"{name}: {total} to do" + (f", {done} done before" if done else ""))

    def advance(self, done: int, headline: str = "") -> None:
        """So many are done."""
        if self._work.due(done, headline):
            self._print(self._work.state())

    def finish(self) -> None:
        """The work is done."""
        self._print(self._work.summary())

    def say(self, line: str) -> None:
        """A sentence for the reader."""
        self._print(line)

    def _print(self, line: str) -> None:
        self._console.print(escape(line), highlight=False, soft_wrap=True)


class Bar:
    """For a terminal: a bar with rate and time left, which leaves one line behind when the work is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._work = _Work(console, REDRAW_SECONDS)
        self._drawn: RichProgress | None = None
        self._task: TaskID | None = None

    def start(self, name: str, total: int, done: int = 0) -> None:
        """Work begins, or goes on."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.stop()
        self._work.begin(name, total, done)
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("[cyan]{task.fields[headline]}"),
        )
        self._drawn = Progress(*columns, console=self._console, transient=True, refresh_per_second=4)
        self._task = self._drawn.add_task(escape(name), total=total, completed=done, rate="", headline="")
        self._drawn.start()

    def advance(self, done: int, headline: str = "") -> None:
        """So many are done."""
        if self._work.due(done, headline) and self._drawn is not None and self._task is not None:
            rate = _rate(self._work.rate)
            self._drawn.update(self._task, completed=done, headline=escape(headline), rate=rate)

    def finish(self) -> None:
        """The work is done."""
        self.stop()
        self.say(self._work.summary())

    def say(self, line: str) -> None:
        """A sentence for the reader; it appears above the bar, if there is one."""
        self._console.print(escape(line), highlight=False)

    def stop(self) -> None:
        """Take the bar away."""
        if self._drawn is not None:
            self._drawn.stop()
            self._drawn = self._task = None


def _rate(per_second: float) -> str:
    if 0 < per_second < 1:
        return f"{1 / per_second:.1f} s each"
    return f"{per_second:.0f}/s" if per_second >= 10 else f"{per_second:.1f}/s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s" if seconds < 10 else f"{rest} s"
