"""Measuring the people who judge: all that the pages show of them, in a process of its own where it takes long."""

from __future__ import annotations

import multiprocessing
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from assent.feedback import CrowdFacts, Interval, crowd_facts, first_wins, longer_wins
from assent.feedback.agreement import rankings_by_criterion
from assent.store import Store, judged_tasks
from assent.store.accounts import list_accounts
from assent.types.errors import AssentError, WorkspaceError
from assent.types.feedback import JudgedTask

SEED = 0
RESAMPLES = 500  # of the leanings
SMALLEST_GROUP = 3  # people; of fewer, a group's figures would be somebody's
NICENESS = 5  # who judges goes before who looks at figures


@dataclass(frozen=True)
class Leaning:
    """How often what is shown first and what is longer wins, in a part of the judgements."""

    name: str
    hue: str  # of its row in the charts
    first: Interval | None
    longer: Interval | None


@dataclass(frozen=True)
class Findings:
    """What was found of the people; no facts where nothing is judged."""

    facts: CrowdFacts | None = None
    leanings: tuple[Leaning, ...] = ()


def measure(store: Store, run_ids: Sequence[str], without: Sequence[int]) -> Findings:
    """Measure all people who judged tasks of these runs, but for some whose judgements are left out."""
    left_out = set(without)
    judged = [each for each in judged_tasks(store, run_ids, lengths=True) if each.ranking.person_id not in left_out]
    if not judged:
        return Findings()
    return Findings(crowd_facts(judged, SEED), tuple(_leaning(*part) for part in _parts(store, judged)))


def measure_apart(store: Store, run_ids: Sequence[str], without: Sequence[int]) -> Findings:
    """The same in another process, so that nobody who judges meanwhile has to share this one with it.

    Raises:
        WorkspaceError: it failed, or was ended.
    """
    context = multiprocessing.get_context("spawn")
    answer, end = context.Pipe(duplex=False)
    url = store.engine.url.render_as_string(hide_password=False)
    process = context.Process(target=_answer, args=(end, url, tuple(run_ids), tuple(without)), daemon=True)
    process.start()
    end.close()
    try:
        found = answer.recv()
    except EOFError as error:
        raise WorkspaceError("the measuring of people was ended", "The server's log says why.") from error
    finally:
        answer.close()
        process.join()
    if isinstance(found, str):
        raise WorkspaceError(found)
    assert isinstance(found, Findings)
    return found


def _answer(end: Connection, url: str, run_ids: Sequence[str], without: Sequence[int]) -> None:
    os.nice(NICENESS)
    try:
        with Store.open(url) as store:
            found: Findings | str = measure(store, run_ids, without)
    except AssentError as error:
        found = error.message
    end.send(found)


def _leaning(name: str, hue: str, judged: Sequence[JudgedTask]) -> Leaning:
    return Leaning(name, hue, first_wins(judged, SEED, RESAMPLES), longer_wins(judged, SEED, RESAMPLES))


def _parts(store: Store, judged: Sequence[JudgedTask]) -> list[tuple[str, str, Sequence[JudgedTask]]]:
    """(name, colour, judgements): all, those of each criterion's marks, and each group's."""
    parts: list[tuple[str, str, Sequence[JudgedTask]]] = [("Everybody, by rank", "c-1", judged)]
    by_id = {each.ranking.judgement_id: each for each in judged}
    for name, found in rankings_by_criterion([each.ranking for each in judged]).items():
        marked = [replace(by_id[ranking.judgement_id], ranking=ranking) for ranking in found]
        parts.append((f"By the marks for {name}", "c-2", marked))
    members: dict[str, set[int]] = defaultdict(set)
    for account in list_accounts(store):
        for group in account.groups:
            members[group].add(account.person_id)
    for group, people in sorted(members.items()):
        own = [each for each in judged if each.ranking.person_id in people]
        if len({each.ranking.person_id for each in own}) >= SMALLEST_GROUP:
            parts.append((f"Group {group}", "c-3", own))
    return parts
