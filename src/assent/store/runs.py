"""Runs: the stages of the loop, each with the settings it was started with and the artifacts it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from assent.store.database import Store
from assent.store.hashing import canonical_json, differing_keys, hash_json
from assent.store.queries import next_serial, require_run
from assent.store.tables import ArtifactRow, RunInputRow, RunRow
from assent.types.errors import DataError, WorkspaceError

Inputs = Mapping[str, str] | Iterable[tuple[str, str]]  # role -> artifact id; pairs when a role has several


@dataclass(frozen=True)
class Run:
    """A run in the store."""

    id: str
    kind: str
    round: int
    state: str  # running, done or failed
    settings: Mapping[str, Any]
    result: Mapping[str, Any]
    inputs: tuple[tuple[str, str], ...]  # (role, artifact id), sorted

    @property
    def done(self) -> bool:
        """True if it ended as it should."""
        return self.state == "done"


def start_run(
    store: Store,
    run_id: str,
    kind: str,
    round: int,
    settings: Mapping[str, Any],
    inputs: Inputs = (),
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> Run:
    """Start a run, or take up one that was started before: the record returned says whether it is done already.

    Args:
        store: the open store.
        run_id: its name, e.g. `round1-rl`; equal in every repetition of the loop.
        kind: the stage, e.g. `rl`.
        round: of the loop; 0 before the first.
        settings: JSON values; all that the outcome depends on.
        inputs: the artifacts it reads, by role.
        defaults: what a setting counts as that there was not yet when the run was started.

    Raises:
        WorkspaceError: it was started before with other settings or inputs; the differing keys are named.
        DataError: an input is not in the store.
    """
    pairs = tuple(sorted(set(inputs.items() if isinstance(inputs, Mapping) else inputs)))
    with store.write() as session:
        row = session.get(RunRow, run_id)
        if row is not None:
            _require_same(session, row, kind, round, settings, pairs, defaults)
            if row.state == "failed":
                row.state, row.result, row.finished_at = "running", {}, None
            return _run(session, row)
        row = RunRow(
            id=run_id,
            serial=next_serial(session, RunRow),
            kind=kind,
            round=round,
            state="running",
            settings=dict(settings),
            settings_hash=hash_json(settings),
            result={},
            started_at=store.now(),
        )
        session.add(row)
        session.flush()
        for role, artifact_id in pairs:
            if session.get(ArtifactRow, artifact_id) is None:
                raise DataError(f"run {run_id!r} wants artifact {artifact_id!r} as {role}, which is not in the store")
            session.add(RunInputRow(run_id=run_id, role=role, artifact_id=artifact_id))
        session.flush()
        return _run(session, row)


def finish_run(store: Store, run_id: str, result: Mapping[str, Any] | None = None) -> Run:
    """Record that a run is done, with what came of it (nothing that depends on the clock). Repeating it does nothing.

    Raises:
        DataError: no such run.
        ValueError: it is done already with another result, so something in the loop is not deterministic.
    """
    return _finish(store, run_id, "done", result or {})


def fail_run(store: Store, run_id: str, reason: str) -> Run:
    """Record that a run failed and why. Starting it again takes it up.

    Raises:
        DataError: no such run.
        ValueError: it is done already.
    """
    return _finish(store, run_id, "failed", {"reason": reason})


def drop_run(store: Store, run_id: str) -> None:
    """Forget a run that was begun, and of which there is nothing yet.

    Raises:
        DataError: no such run.
        ValueError: it is done.
    """
    with store.write() as session:
        row = require_run(session, run_id)
        if row.state == "done":
            raise ValueError(f"run {run_id!r} is done")
        session.execute(delete(RunInputRow).where(RunInputRow.run_id == run_id))
        session.delete(row)


def get_run(store: Store, run_id: str) -> Run | None:
    """A run; None if it was never started."""
    with store.read() as session:
        row = session.get(RunRow, run_id)
        return None if row is None else _run(session, row)


def list_runs(store: Store, kind: str | None = None, round: int | None = None) -> list[Run]:
    """All runs in the order they were started, or those of a kind or a round."""
    query = select(RunRow).order_by(RunRow.serial)
    if kind is not None:
        query = query.where(RunRow.kind == kind)
    if round is not None:
        query = query.where(RunRow.round == round)
    with store.read() as session:
        return [_run(session, row) for row in session.scalars(query)]


def _finish(store: Store, run_id: str, state: str, result: Mapping[str, Any]) -> Run:
    with store.write() as session:
        row = require_run(session, run_id)
        if row.state == "done":
            if state != "done" or canonical_json(row.result) != canonical_json(result):
                raise ValueError(f"run {run_id!r} is done already, with another result")
        else:
            row.state, row.result, row.finished_at = state, dict(result), store.now()
        return _run(session, row)


def _require_same(
    session: Session,
    row: RunRow,
    kind: str,
    round: int,
    settings: Mapping[str, Any],
    inputs: tuple[tuple[str, str], ...],
    defaults: Mapping[str, Any],
) -> None:
    old = {"kind": row.kind, "round": row.round, "settings": _completed(row.settings, settings, defaults)}
    new = {"kind": kind, "round": round, "settings": settings}
    lines = [] if hash_json(old) == hash_json(new) else differing_keys(old, new)
    held = _inputs(session, row.id)
    lines += [
        f"inputs.{role}: {artifact_id} -> (not set)" for role, artifact_id in held if (role, artifact_id) not in inputs
    ]
    lines += [
        f"inputs.{role}: (not set) -> {artifact_id}" for role, artifact_id in inputs if (role, artifact_id) not in held
    ]
    if lines:
        raise WorkspaceError(
            f"run {row.id!r} was started with other settings than now:\n    " + "\n    ".join(lines),
            "Set them back to continue it, or begin in a new workspace.",
        )


def _completed(old: Mapping[str, Any], new: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of then, with the defaults of those that have come since."""
    found = dict(old)
    for name in new.keys() & defaults.keys():
        if name not in old:
            found[name] = defaults[name]
        elif all(isinstance(each, Mapping) for each in (old[name], new[name], defaults[name])):
            found[name] = _completed(old[name], new[name], defaults[name])
    return found


def _inputs(session: Session, run_id: str) -> tuple[tuple[str, str], ...]:
    query = select(RunInputRow.role, RunInputRow.artifact_id).where(RunInputRow.run_id == run_id)
    return tuple(sorted((role, artifact_id) for role, artifact_id in session.execute(query)))


def _run(session: Session, row: RunRow) -> Run:
    return Run(row.id, row.kind, row.round, row.state, row.settings, row.result, _inputs(session, row.id))
