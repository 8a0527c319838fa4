"""A small loop, run once undisturbed and then killed at many moments; run by `test_store_crash.py`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine

from assent.store import (
    Judgements,
    NewPerson,
    NewTask,
    Store,
    add_completions,
    add_people,
    add_prompts,
    add_tasks,
    rankings,
    register_artifact,
    start_run,
)
from assent.store.runs import finish_run
from assent.types.feedback import Judgement, PersonKind
from assent.types.messages import user_prompt
from assent.types.protocols import SamplingParams
from assent.types.rollout import FinishReason, Rollout


def loop(store: Store) -> None:
    """A small loop: everything it does may be repeated."""
    prompts = add_prompts(store, [user_prompt(f"question {i}") for i in range(3)])
    people = add_people(store, [NewPerson(f"p{i}", PersonKind.SIMULATED) for i in range(2)])
    start_run(store, "round1-sample", "sample", 1, {"seed": 0})
    rollouts = [
        Rollout(p, [1], [p, g], [-1.0, -1.0], FinishReason.STOP, f"{p}{g}", "sft-0", group=p)
        for p in range(3)
        for g in range(2)
    ]
    completions = add_completions(store, "round1-sample", prompts, rollouts, SamplingParams())
    tasks = [
        NewTask(prompt, (completions[2 * i], completions[2 * i + 1]), overlap=2) for i, prompt in enumerate(prompts)
    ]
    task_ids = add_tasks(store, "round1-sample", tasks)
    judgements = Judgements(store)
    for person in people:
        for assignment in judgements.lease(task_ids, person, seed=3):
            judgement = Judgement((1, 1 + person % 2), assignment.order_shown)
            judgements.submit(assignment.id, judgement, assignment.idempotency_key)
    ids = [ranking.judgement_id for ranking in rankings(store, ["round1-sample"])]
    dataset = register_artifact(store, "dataset", "d" * 64, "x", {"size": len(ids)}, "round1-sample", (), ids)
    finish_run(store, "round1-sample", {"dataset": dataset})


def die_or_finish(database: Path, fatal: int) -> int:
    """Run the loop and die by SIGKILL just before the statement (or commit) number `fatal`; returns their number."""
    executed = 0

    def count(*_: object) -> None:
        nonlocal executed
        executed += 1
        if executed == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)
    try:
        with Store.open(database, create=True) as store:
            loop(store)
    finally:
        event.remove(Engine, "before_cursor_execute", count)
        event.remove(Engine, "commit", count)
    return executed


def main(folder: Path, deaths: int) -> None:
    """One uninterrupted run, then as many killed ones, spread over all moments; each in a process of its own."""
    statements = die_or_finish(folder / "whole.db", -1)
    for death in range(deaths):
        fatal = 1 + death * (statements - 1) // (deaths - 1)
        child = os.fork()
        if child == 0:
            die_or_finish(folder / f"killed-{fatal}.db", fatal)
            os._exit(0)
        print(fatal, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
