"""A store in which everything occurs that a raw export has to keep, and short ways to import and export."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from assent.data.exchange import Order, Plan, Reading, Source, Survey, export, import_judgements, recognise
from assent.store import (
    Judgements,
    NewPerson,
    NewTask,
    Store,
    add_completions,
    add_people,
    add_prompts,
    add_tasks,
    start_run,
)
from assent.store.bulk import Added
from assent.types.feedback import Judgement, LabelKind, PersonKind
from assent.types.messages import Message, Prompt, user_prompt
from assent.types.protocols import SamplingParams
from assent.types.rollout import FinishReason, Rollout

HARD_TEXTS = (
    "two\nlines \r\n and a tab\t.",
    "مرحبا بالعالم",
    "👩‍👩‍👧 é é \u2028 \u200f\u202e",
    ' leading, trailing, "quotes" and \\n ',
    "-1,5;=x",
)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [line.fields for line in Source.open(path).rows()]


def bring_in(store: Store, path: Path, format: str | None = None, **plan: Any) -> tuple[Survey, Added]:
    """Import a file as a person of its name would be asked to."""
    source = Source.open(path)
    reading = plan.pop("reading", Reading(NewPerson(path.name, PersonKind.HUMAN), f"imported:{path.name}"))
    return import_judgements(store, source, recognise(source, format), Plan(reading, **plan))


def take_out(store: Store, path: Path, format: str = "preference", split: str = "all", **more: Any) -> dict[str, Any]:
    return export(store, path, Order(format, split, **more))


def fill(store: Store) -> None:
    """Two rounds and an evaluation, judged by four people of three kinds in turns."""
    people = add_people(
        store,
        [
            NewPerson("Ada", PersonKind.HUMAN),
            NewPerson("labeller-1", PersonKind.SIMULATED, {"noise": 0.25, "latent": {"b": 1, "a": [1.5, 2]}}),
            NewPerson("judge", PersonKind.AI, {"model": "x"}),
            NewPerson("בוב", PersonKind.HUMAN, {"languages": ["he"]}),
        ],
    )
    turns = (Message("system", "Be kind."), Message("user", "Hi"), Message("assistant", ""), Message("user", "Why?"))
    prompts = [
        user_prompt(HARD_TEXTS[0], item="kettle", empty=""),
        Prompt(turns, meta={"line": "7"}),
        *(user_prompt(text, split="test" if i == 2 else "train") for i, text in enumerate(HARD_TEXTS[1:])),
    ]
    ids = add_prompts(store, prompts)
    seconds = iter(range(1, 1000))
    for number, (run_id, kind, purposes) in enumerate(
        [
            ("round1-sample", "sample", ("train", "holdout")),
            ("round1-eval", "eval", ("evaluate",)),
            ("round2-sample", "sample", ("holdout", "train")),
        ]
    ):
        start_run(store, run_id, kind, 1 + number // 2, {"seed": number})
        rollouts = [
            Rollout(p, [1], [p, g, 2], [0.0] * 3, _finish(p, g), _text(p, g), f"policy-{number}+{g}", group=p)
            for p in range(len(ids))
            for g in range(3)
        ]
        written: dict[int, list[int]] = {p: [] for p in range(len(ids))}
        for g in range(3):
            own = [rollout for rollout in rollouts if rollout.policy_version.endswith(f"+{g}")]
            sampling = SamplingParams(temperature=0.5 + number)
            for p, completion in enumerate(add_completions(store, run_id, ids, own, sampling)):
                written[p].append(completion)
        tasks = []
        for p, held in written.items():
            label = LabelKind.BEST_OF_K if p == 3 else LabelKind.RANKING
            purpose = purposes[p % len(purposes)]
            tasks.append(NewTask(ids[p], tuple(held), label, overlap=3, purpose=purpose, priority=p))
        task_ids = add_tasks(store, run_id, tasks)
        judgements = Judgements(store)
        for turn, person in enumerate(people[:3] if number else people[1:]):
            for place, held in enumerate(judgements.lease(task_ids, person, seed=number)):
                if (turn + place) % 5 == 4:  # a task that is not full yet
                    continue
                ranks = [(1, 2, 2), (2, 1, 2)][turn % 2] if place == 3 else [(1, 2, 3), (1, 1, 3), (3, 1, 2)][turn]
                marks = tuple({"helpful": g / 3, "honest": 1} for g in range(3)) if place % 2 else ()
                said = Judgement(ranks, held.order_shown, held.label, marks, ("unsafe",) * (place == 1), _note(place))
                object.__setattr__(said, "seconds", next(seconds) / 10)
                judgements.submit(held.id, said, held.idempotency_key)


def _finish(prompt: int, place: int) -> FinishReason:
    return FinishReason.LENGTH if (prompt + place) % 4 == 3 else FinishReason.STOP


def _text(prompt: int, place: int) -> str:
    return "" if (prompt, place) == (2, 1) else f"{HARD_TEXTS[(prompt + place) % len(HARD_TEXTS)]} {prompt}.{place}"


def _note(place: int) -> str:
    return HARD_TEXTS[place] if place < 3 else ""
