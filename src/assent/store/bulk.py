"""Judgements from elsewhere, put in by the thousand: all of an import in one transaction, or none of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import count, islice
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from assent.store.database import Store
from assent.store.hashing import canonical_json, hash_json
from assent.store.judgements import columns_of
from assent.store.queries import batches, next_serial
from assent.store.records import IMPORT, SourceRun, TaskRecord, Verdict
from assent.store.tables import (
    AssignmentRow,
    CompletionRow,
    JudgementRow,
    PersonRow,
    PromptRow,
    RunRow,
    TaskCompletionRow,
    TaskRow,
)
from assent.types.errors import DataError

_PAGE = 500  # tasks that are put in together


@dataclass(frozen=True)
class ImportedTask:
    """A judged task as a file has it."""

    where: str  # file and line, for messages
    task: TaskRecord
    number: int | None = None  # tasks of equal numbers are one task, of which each brings some judgements


@dataclass
class Added:
    """What an import put in."""

    run_ids: list[str] = field(default_factory=list)
    judgements: int = 0
    known: int = 0  # judgements that were in the store from an earlier import
    tasks: Counter[str] = field(default_factory=Counter)  # by purpose
    prompts: int = 0  # that the store did not have
    people: Counter[str] = field(default_factory=Counter)  # judgements by kind of person

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**vars(self), "tasks": dict(sorted(self.tasks.items())), "people": dict(sorted(self.people.items()))}


class Keys:
    """The idempotency key of each judgement of an import: its content, and how often it came before in the file.

    So the same file brings nothing the second time, and a longer one only what is new; a judgement that stands in a
    file twice is two judgements. About 100 bytes of memory each.
    """

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def of(self, task: TaskRecord, verdict: Verdict) -> str:
        """The key of the next judgement."""
        content = [
            [[m.role, m.content] for m in task.prompt.messages],
            [[c.text, c.policy_version] for c in task.completions],
            [task.source.id if task.source else "", task.label.value],
            [verdict.person.name, verdict.person.kind.value],
            [verdict.judgement.ranks, verdict.judgement.order_shown, verdict.judgement.marks],
            [verdict.judgement.flags, verdict.judgement.note, verdict.judgement.seconds],
            verdict.submitted_at.isoformat() if verdict.submitted_at else "",
        ]
        digest = hashlib.blake2b(canonical_json(content).encode(), digest_size=16).digest()
        self._seen[digest] += 1
        return f"{IMPORT}:{digest.hex()}:{self._seen[digest]}"


def add_judged(
    store: Store,
    name: str,
    round: int,
    settings: Mapping[str, Any],
    items: Iterable[ImportedTask],
    done: Callable[[int], None] = lambda total: None,
    check: Callable[[], None] = lambda: None,
) -> Added:
    """Put judged tasks into the store, in one transaction: killed at any moment, it leaves nothing.

    They hang on a run of kind `import`, or on one for each run that the tasks came from. A judgement that an earlier
    import brought is left out, and so is a task that has no other.

    Args:
        store: the open store. No one else can write until this ends.
        name: of the run; further ones are `NAME-2` and so on.
        round: of the loop, from which on they may be learnt.
        settings: of the runs, JSON values: where the judgements came from.
        items: the tasks.
        done: told the number of items so far.
        check: called when all is in, before it is kept; what it raises undoes everything.

    Raises:
        DataError: a test prompt is to be trained on, a person is recorded with another kind, or judges a task twice.
    """
    with store.write() as session:
        writer = _Writer(session, store.now(), name, round, settings)
        total = 0
        for page in _pages(items):
            try:
                writer.add(page)
            except IntegrityError as error:
                if "assignments" not in str(error.orig):
                    raise
                raise DataError(
                    f"{page[0].where} and below: someone judges the same task twice ({error.orig})",
                    "a person judges a task once: remove one of the judgements",
                ) from error
            total += len(page)
            done(total)
        check()
        writer.finish()
        return writer.added


def _pages(items: Iterable[ImportedTask]) -> Iterator[list[ImportedTask]]:
    source = iter(items)
    while page := list(islice(source, _PAGE)):
        yield page


class _Writer:
    """One import at work inside its transaction."""

    def __init__(self, session: Session, now: datetime, name: str, round: int, settings: Mapping[str, Any]) -> None:
        self.added = Added()
        self._session = session
        self._now = now
        self._name = name
        self._round = round
        self._settings = settings
        self._keys = Keys()
        self._runs: dict[SourceRun | None, str] = {}
        self._people: dict[str, tuple[int, str]] = {}  # name -> id, kind
        self._numbered: dict[int, int] = {}  # a task's number in the file -> its id
        self._positions: Counter[tuple[str, str]] = Counter()  # (run, policy version) -> completions so far

    def add(self, page: Sequence[ImportedTask]) -> None:
        keyed = [[(self._keys.of(item.task, verdict), verdict) for verdict in item.task.verdicts] for item in page]
        known = self._known([key for keys in keyed for key, _ in keys])
        fresh = [[(key, verdict) for key, verdict in keys if key not in known] for keys in keyed]
        self.added.known += len(known)
        kept = [(item, keys) for item, keys in zip(page, fresh, strict=True) if keys]
        task_ids = self._task_ids([item for item, _ in kept])
        self._add_judgements(
            [
                (task_id, key, verdict)
                for task_id, (_, keys) in zip(task_ids, kept, strict=True)
                for key, verdict in keys
            ]
        )

    def finish(self) -> None:
        """The runs are done, the first with what came of them all, and tasks that have all their judgements closed."""
        self.added.run_ids = list(self._runs.values())
        submitted = select(func.count()).where(AssignmentRow.task_id == TaskRow.id, AssignmentRow.state == "submitted")
        closed = update(TaskRow).where(
            TaskRow.run_id.in_(self.added.run_ids), submitted.scalar_subquery() >= TaskRow.overlap
        )
        self._session.execute(closed.values(is_open=False), execution_options={"synchronize_session": False})
        for run_id in self.added.run_ids:
            row = self._session.get_one(RunRow, run_id)
            row.state, row.finished_at, row.result = "done", self._now, self.added.as_dict()
        self._session.flush()

    def _known(self, keys: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for some in batches(keys):
            query = select(JudgementRow.idempotency_key).where(JudgementRow.idempotency_key.in_(some))
            found.update(self._session.scalars(query))
        return found

    def _task_ids(self, items: Sequence[ImportedTask]) -> list[int]:
        """For each item the id of its task, which is put in unless it was already."""
        new: list[ImportedTask] = []
        places: list[int | None] = []  # the item's place among the new ones; None: its task is in the store
        pending: dict[int, int] = {}  # number -> place
        for item in items:
            if item.number is not None and item.number in self._numbered:
                places.append(None)
            elif item.number is not None and item.number in pending:
                places.append(pending[item.number])
            else:
                if item.number is not None:
                    pending[item.number] = len(new)
                places.append(len(new))
                new.append(item)
        ids = self._insert_tasks(new)
        self._numbered.update((number, ids[place]) for number, place in pending.items())
        return [
            ids[place] if place is not None else self._numbered[item.number or 0]
            for item, place in zip(items, places, strict=True)
        ]

    def _insert_tasks(self, items: Sequence[ImportedTask]) -> list[int]:
        prompt_ids = self._prompt_ids(items)
        runs = [self._run_of(item.task.source) for item in items]
        self.added.tasks.update(item.task.purpose for item in items)
        completions = []
        for item, prompt_id, run_id in zip(items, prompt_ids, runs, strict=True):
            for each in item.task.completions:
                self._positions[run_id, each.policy_version] += 1
                row = {name: value for name, value in vars(each).items() if name != "finish_reason"}
                row |= {"token_ids": list(each.token_ids), "finish_reason": each.finish_reason.value}
                row |= {"sampling": dict(each.sampling), "run_id": run_id, "prompt_id": prompt_id}
                completions.append({**row, "position": self._positions[run_id, each.policy_version] - 1})
        completion_ids = iter(self._insert(CompletionRow, completions))
        tasks = [
            {
                "run_id": run_id,
                "prompt_id": prompt_id,
                "label": item.task.label.value,
                "overlap": item.task.overlap,
                "purpose": item.task.purpose,
                "priority": item.task.priority,
            }
            for item, prompt_id, run_id in zip(items, prompt_ids, runs, strict=True)
        ]
        ids = self._insert(TaskRow, tasks)
        links = [
            {"task_id": task_id, "position": position, "completion_id": next(completion_ids)}
            for task_id, item in zip(ids, items, strict=True)
            for position in range(len(item.task.completions))
        ]
        if links:
            self._session.execute(insert(TaskCompletionRow), links)
        return ids

    def _prompt_ids(self, items: Sequence[ImportedTask]) -> list[int]:
        hashes = [hash_json([[m.role, m.content] for m in item.task.prompt.messages]) for item in items]
        known: dict[str, tuple[int, str]] = {}
        for some in batches(sorted(set(hashes))):
            query = select(PromptRow.content_hash, PromptRow.id, PromptRow.split)
            found = self._session.execute(query.where(PromptRow.content_hash.in_(some)))
            known.update((content_hash, (number, split)) for content_hash, number, split in found)
        new: dict[str, dict[str, Any]] = {}
        for item, content_hash in zip(items, hashes, strict=True):
            prompt = item.task.prompt
            held = new[content_hash]["split"] if content_hash in new else known.get(content_hash, (0, prompt.split))[1]
            if held != prompt.split:
                raise DataError(
                    f"{item.where}: the prompt {prompt.text[:60]!r} is one of split {held!r} in the workspace, and"
                    f" {prompt.split!r} here",
                    "keep each prompt in one split, so that no test prompt is trained on: remove it from the file",
                )
            if content_hash not in known and content_hash not in new:
                messages = [{"role": m.role, "content": m.content} for m in prompt.messages]
                new[content_hash] = {"messages": messages, "text": prompt.text, "split": prompt.split}
                new[content_hash] |= {"meta": dict(prompt.meta), "content_hash": content_hash}
        ids = self._insert(PromptRow, list(new.values()))
        known.update((content_hash, (number, "")) for content_hash, number in zip(new, ids, strict=True))
        self.added.prompts += len(new)
        return [known[content_hash][0] for content_hash in hashes]

    def _run_of(self, source: SourceRun | None) -> str:
        if source not in self._runs:
            names = (self._name if place == 1 else f"{self._name}-{place}" for place in count(1))
            run_id = next(name for name in names if self._session.get(RunRow, name) is None)
            settings = {**self._settings, "import": self._name, "source": asdict(source) if source else None}
            row = RunRow(
                id=run_id,
                serial=next_serial(self._session, RunRow),
                kind=IMPORT,
                round=self._round,
                state="running",
                settings=settings,
                settings_hash=hash_json(settings),
                result={},
                started_at=self._now,
            )
            self._session.add(row)
            self._session.flush()
            self._runs[source] = run_id
        return self._runs[source]

    def _person_id(self, verdict: Verdict) -> int:
        person = verdict.person
        if person.name not in self._people:
            row = self._session.scalar(select(PersonRow).where(PersonRow.name == person.name))
            if row is None:
                row = PersonRow(
                    name=person.name, kind=person.kind.value, profile=dict(person.profile), created_at=self._now
                )
                self._session.add(row)
                self._session.flush()
            self._people[person.name] = row.id, row.kind
        number, kind = self._people[person.name]
        if kind != person.kind.value:
            raise DataError(
                f"{person.name!r} is recorded as {kind}, not as {person.kind.value}",
                "a person's kind never changes: give another name with --person, or the kind with --kind",
            )
        return number

    def _add_judgements(self, given: Sequence[tuple[int, str, Verdict]]) -> None:
        people = [self._person_id(verdict) for _, _, verdict in given]
        assignments = [
            {
                "task_id": task_id,
                "person_id": person_id,
                "order_shown": list(verdict.judgement.order_shown),
                "state": "submitted",
                "idempotency_key": key,
                "leased_at": verdict.leased_at or verdict.submitted_at or self._now,
                "expires_at": verdict.submitted_at or self._now,
            }
            for (task_id, key, verdict), person_id in zip(given, people, strict=True)
        ]
        ids = self._insert(AssignmentRow, assignments)
        rows = []
        for (task_id, key, verdict), person_id, assignment_id in zip(given, people, ids, strict=True):
            row = {"assignment_id": assignment_id, "task_id": task_id, "person_id": person_id, "idempotency_key": key}
            rows.append({**row, **columns_of(verdict.judgement), "submitted_at": verdict.submitted_at or self._now})
            self.added.people[verdict.person.kind.value] += 1
        self._insert(JudgementRow, rows)
        self.added.judgements += len(rows)

    def _insert(self, table: type[Any], rows: Sequence[dict[str, Any]]) -> list[int]:
        """Put rows in and return their ids in order."""
        if not rows:
            return []
        statement = insert(table).returning(table.id, sort_by_parameter_order=True)
        return list(self._session.scalars(statement, list(rows)))
