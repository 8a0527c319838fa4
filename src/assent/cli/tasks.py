"""Which tasks are open, and what is asked in them."""

from __future__ import annotations

from assent.config import Settings
from assent.store import Run, Store, counts, list_runs
from assent.store.campaigns import Criterion, serve_the_loop
from assent.tasks import load_world
from assent.types.errors import DataError
from assent.types.feedback import CRITERIA, marks_in_order

JUDGED_KINDS = ("sample", "eval")  # the kinds of run that put up tasks


def open_runs(store: Store, round: int | None = None) -> list[Run]:
    """The runs of a round whose tasks want more judgements; of the first round with such tasks if none is given."""
    found = [
        run
        for run in list_runs(store, round=round)
        if run.kind in JUDGED_KINDS and (held := counts(store, [run.id])).submitted < held.wanted
    ]
    first = min((run.round for run in found), default=0)
    return [run for run in found if run.round == first]


def require_open_runs(store: Store, round: int | None = None) -> list[Run]:
    """The same, and an error if there are none.

    Raises:
        DataError: nothing is to be judged.
    """
    if found := open_runs(store, round):
        return found
    where = "" if round is None else f" in round {round}"
    raise DataError(f"nothing is to be judged{where}", "`assent sample` makes tasks, `assent loop` goes on by itself")


def open_loop_campaign(store: Store, settings: Settings) -> int:
    """The campaign that serves the loop's tasks; returns its id.

    A bundled world says what is better in it; for other projects it is written in the pages.
    """
    guidelines = "" if settings.task is None else load_world(settings.task).guidelines.strip()
    return serve_the_loop(store, [Criterion(name) for name in criteria_of(settings)], guidelines)


def criteria_of(settings: Settings) -> tuple[str, ...]:
    """What is marked beside the ranking: a bundled world's own criteria, an assistant's, or none."""
    if not settings.people.criteria_marks:
        return ()
    if settings.task is None:
        return tuple(settings.reward_model.criteria) or CRITERIA
    world = load_world(settings.task)
    return tuple(marks_in_order(world.marks(world.prompts("train")[0], "").criteria()))
