"""The registry of artifacts: versioned models and datasets, their parents, and which policy was promoted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from assent.store.database import Store
from assent.store.hashing import artifact_id as name_of
from assent.store.hashing import canonical_json
from assent.store.queries import batches, next_serial, require_run
from assent.store.revisions import is_current
from assent.store.tables import (
    ArtifactParentRow,
    ArtifactRow,
    AssignmentRow,
    DatasetJudgementRow,
    JudgementRow,
    PromotionRow,
)
from assent.types.errors import ConflictError, DataError, WorkspaceError


@dataclass(frozen=True)
class Artifact:
    """An artifact in the store."""

    id: str
    kind: str  # e.g. base, sft, policy, reward, dataset, tokenizer
    content_hash: str
    path: str  # relative to the workspace
    card: Mapping[str, Any]
    run_id: str | None
    parents: tuple[str, ...]  # artifact ids, sorted


@dataclass(frozen=True)
class Promotion:
    """The verdict on a policy after its evaluation."""

    artifact_id: str
    round: int
    promoted: bool
    verdict: Mapping[str, Any]


def register_artifact(
    store: Store,
    kind: str,
    content_hash: str,
    path: str,
    card: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    parents: Iterable[str] = (),
    judgement_ids: Iterable[int] = (),
    artifact_id: str | None = None,
) -> str:
    """Enter an artifact whose files are in place, and return its id. Entering it again does nothing.

    Args:
        store: the open store.
        kind: e.g. `policy`.
        content_hash: hex digits; see `hash_folder` and `hash_json`.
        path: of its files, relative to the workspace.
        card: what is worth knowing of it (JSON values, nothing that depends on the clock).
        run_id: the run that made it.
        parents: artifacts it was made from, beside the inputs of its run.
        judgement_ids: for a dataset, the judgements it holds.
        artifact_id: its name; by default the kind and the first digits of the content hash.

    Raises:
        DataError: unknown run, parent or judgement.
        WorkspaceError: the name is taken by other content.
    """
    name = artifact_id or name_of(kind, content_hash)
    with store.write() as session:
        row = session.get(ArtifactRow, name)
        if row is not None:
            if row.content_hash != content_hash or row.kind != kind:
                raise WorkspaceError(
                    f"artifact {name!r} is there already with other content ({row.kind} {row.content_hash[:12]})",
                    "A resumed loop must make the same again; begin in a new workspace if settings were changed.",
                )
            return name
        if run_id is not None:
            require_run(session, run_id)
        session.add(
            ArtifactRow(
                id=name,
                serial=next_serial(session, ArtifactRow),
                kind=kind,
                content_hash=content_hash,
                path=path,
                card=dict(card or {}),
                run_id=run_id,
                created_at=store.now(),
            )
        )
        session.flush()
        _add_parents(session, name, sorted(set(parents)))
        _add_judgements(session, name, sorted(set(judgement_ids)))
        return name


def get_artifact(store: Store, artifact_id: str) -> Artifact:
    """One artifact by its id; `lineage.find` also takes the beginning of one.

    Raises:
        DataError: no such artifact.
    """
    with store.read() as session:
        row = session.get(ArtifactRow, artifact_id)
        if row is None:
            raise DataError(f"no artifact {artifact_id!r}", "See which there are with `assent lineage`.")
        return _artifact(session, row)


def list_artifacts(store: Store, kind: str | None = None, run_id: str | None = None) -> list[Artifact]:
    """All artifacts in order of registration, or those of a kind or of a run."""
    query = select(ArtifactRow).order_by(ArtifactRow.serial)
    if kind is not None:
        query = query.where(ArtifactRow.kind == kind)
    if run_id is not None:
        query = query.where(ArtifactRow.run_id == run_id)
    with store.read() as session:
        return [_artifact(session, row) for row in session.scalars(query)]


def latest(store: Store, kind: str) -> Artifact | None:
    """The artifact of this kind that was registered last; None if there is none."""
    query = select(ArtifactRow).where(ArtifactRow.kind == kind).order_by(ArtifactRow.serial.desc()).limit(1)
    with store.read() as session:
        row = session.scalar(query)
        return None if row is None else _artifact(session, row)


def promoted(store: Store, kind: str = "policy") -> Artifact | None:
    """The artifact of this kind that was promoted last; None if none ever was."""
    query = (
        select(ArtifactRow)
        .join(PromotionRow, PromotionRow.artifact_id == ArtifactRow.id)
        .where(ArtifactRow.kind == kind, PromotionRow.promoted)
        .order_by(PromotionRow.id.desc())
        .limit(1)
    )
    with store.read() as session:
        row = session.scalar(query)
        return None if row is None else _artifact(session, row)


def record_promotion(
    store: Store, artifact_id: str, round: int, promoted: bool, verdict: Mapping[str, Any] | None = None
) -> int:
    """Record the verdict of a round on a policy and return its id. Recording the same again does nothing.

    Raises:
        DataError: no such artifact, or another verdict was recorded for it in this round.
    """
    said = dict(verdict or {})
    with store.write() as session:
        if session.get(ArtifactRow, artifact_id) is None:
            raise DataError(f"no artifact {artifact_id!r} to promote", "Register the artifact first.")
        query = select(PromotionRow).where(PromotionRow.artifact_id == artifact_id, PromotionRow.round == round)
        row = session.scalar(query)
        if row is None:
            row = PromotionRow(
                artifact_id=artifact_id, round=round, verdict=said, promoted=promoted, decided_at=store.now()
            )
            session.add(row)
            session.flush()
        elif row.promoted != promoted or canonical_json(row.verdict) != canonical_json(said):
            raise DataError(
                f"round {round} already has another verdict on {artifact_id!r}", "A verdict is never changed."
            )
        return row.id


def list_promotions(store: Store) -> list[Promotion]:
    """All verdicts in the order they were given."""
    with store.read() as session:
        rows = session.scalars(select(PromotionRow).order_by(PromotionRow.id))
        return [Promotion(row.artifact_id, row.round, row.promoted, row.verdict) for row in rows]


def _add_parents(session: Session, name: str, parents: list[str]) -> None:
    for parent in parents:
        if session.get(ArtifactRow, parent) is None:
            raise DataError(f"artifact {name!r} names the parent {parent!r}, which is not in the store")
        session.add(ArtifactParentRow(artifact_id=name, parent_id=parent))
    session.flush()


def _add_judgements(session: Session, name: str, judgement_ids: list[int]) -> None:
    known: set[int] = set()
    for some in batches(judgement_ids):
        known.update(session.scalars(select(JudgementRow.id).where(JudgementRow.id.in_(some))))
    unknown = [judgement_id for judgement_id in judgement_ids if judgement_id not in known]
    if unknown:
        raise DataError(f"dataset {name!r} names judgement {unknown[0]}, which is not in the store")
    _require_unrevised(session, name, judgement_ids)
    session.add_all(DatasetJudgementRow(artifact_id=name, judgement_id=judgement_id) for judgement_id in judgement_ids)
    session.flush()


def _require_unrevised(session: Session, name: str, judgement_ids: list[int]) -> None:
    """Nobody may revise what is being frozen: their assignments are locked until the transaction ends."""
    for some in batches(judgement_ids):
        held = select(JudgementRow.assignment_id).where(JudgementRow.id.in_(some))
        locked = select(AssignmentRow.id).where(AssignmentRow.id.in_(held)).order_by(AssignmentRow.id)
        session.scalars(locked.with_for_update(read=True)).all()
        current = set(session.scalars(select(JudgementRow.id).where(JudgementRow.id.in_(some), is_current())))
        if revised := sorted(set(some) - current):
            raise ConflictError(
                f"judgement {revised[0]} was revised while dataset {name!r} was being frozen", "Freeze it again."
            )


def _artifact(session: Session, row: ArtifactRow) -> Artifact:
    parents = session.scalars(select(ArtifactParentRow.parent_id).where(ArtifactParentRow.artifact_id == row.id))
    return Artifact(row.id, row.kind, row.content_hash, row.path, row.card, row.run_id, tuple(sorted(parents)))
