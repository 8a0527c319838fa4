"""Lineage, both ways: what an artifact came from, down to the people, and what came of an artifact or a judgement.

weights -> run -> dataset version -> judgements -> people, and -> completions -> the policy that wrote them
judgement -> dataset versions that hold it -> runs that read them -> artifacts those made -> ...
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from assent.store.database import Store
from assent.store.tables import (
    ArtifactParentRow,
    ArtifactRow,
    CompletionRow,
    DatasetJudgementRow,
    JudgementRow,
    PersonRow,
    RunInputRow,
    RunRow,
    TaskCompletionRow,
)
from assent.types.errors import DataError


@dataclass(frozen=True)
class Reference:
    """Something lineage can be asked about: kind `artifact` or `judgement`, and its id."""

    kind: str
    id: str

    def __str__(self) -> str:
        return self.id if self.kind == "artifact" else f"{self.kind}:{self.id}"


@dataclass(frozen=True)
class Node:
    """A place in a lineage tree.

    Attributes:
        kind: artifact, run, judgements, judgement, person or completions.
        id: of the artifact, run, judgement or person; the policy version for completions.
        title: a few words for people to read.
        role: how it relates to the node above, e.g. the role of a run's input.
        facts: more, as JSON values; for judgements `count`, `ids` and `by_kind`; for a person `kind`.
        children: the nodes below.
        repeated: its children are shown elsewhere in the tree.
    """

    kind: str
    id: str
    title: str
    role: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    children: tuple[Node, ...] = ()
    repeated: bool = False

    def walk(self) -> Iterator[Node]:
        """This node and all below it, depth first."""
        yield self
        for child in self.children:
            yield from child.walk()


def find(store: Store, text: str) -> Reference:
    """What a person means by an artifact's id, the unique beginning of one (or of a content hash), or `judgement:12`.

    Raises:
        DataError: nothing or several things are meant; the candidates are named.
    """
    wanted = text.strip()
    match = re.fullmatch(r"judgement:(\d{1,18})", wanted)
    with store.read() as session:
        if match:
            if session.get(JudgementRow, int(match[1])) is None:
                raise DataError(f"no judgement {match[1]} in the store")
            return Reference("judgement", str(int(match[1])))
        if session.get(ArtifactRow, wanted) is not None:
            return Reference("artifact", wanted)
        starts = or_(
            ArtifactRow.id.startswith(wanted, autoescape=True),
            ArtifactRow.content_hash.startswith(wanted, autoescape=True),
        )
        hits = list(session.scalars(select(ArtifactRow.id).where(starts).order_by(ArtifactRow.serial)))
        if len(hits) == 1:
            return Reference("artifact", hits[0])
        if hits:
            raise DataError(
                f"{wanted!r} may mean {len(hits)} artifacts: {', '.join(hits[:8])}", "Write more of the id."
            )
        known = list(session.scalars(select(ArtifactRow.id).order_by(ArtifactRow.serial.desc())))
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.3) or known[:3]
    hint = (
        f"Did you mean {', '.join(near)}? A judgement is written judgement:12." if near else "The store has none yet."
    )
    raise DataError(f"no artifact {wanted!r}", hint)


def ancestors(store: Store, reference: Reference | str) -> Node:
    """The tree of everything this came from.

    Raises:
        DataError: no such artifact or judgement.
    """
    found = reference if isinstance(reference, Reference) else find(store, reference)
    with store.read() as session:
        if found.kind == "judgement":
            return _Ancestry(session).judgement(int(found.id))
        return _Ancestry(session).artifact(found.id, "")


def descendants(store: Store, reference: Reference | str) -> Node:
    """The tree of everything that this shaped.

    Raises:
        DataError: no such artifact or judgement.
    """
    found = reference if isinstance(reference, Reference) else find(store, reference)
    with store.read() as session:
        if found.kind == "judgement":
            return _Progeny(session).judgement(int(found.id))
        return _Progeny(session).artifact(found.id, "")


class _Ancestry:
    """One walk towards the origins; each artifact is unfolded once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._seen: set[str] = set()

    def artifact(self, artifact_id: str, role: str) -> Node:
        row = _require(self._session, artifact_id)
        if artifact_id in self._seen:
            return _artifact_node(row, role, (), repeated=True)
        self._seen.add(artifact_id)
        children: list[Node] = []
        inputs: set[str] = set()
        if row.run_id is not None:
            pairs = _inputs(self._session, row.run_id)
            inputs = {artifact for _, artifact in pairs}
            below = tuple(self.artifact(artifact, input_role) for input_role, artifact in pairs)
            children.append(_run_node(self._session, row.run_id, "made by", below))
        parents = select(ArtifactParentRow.parent_id).where(ArtifactParentRow.artifact_id == artifact_id)
        for parent in self._session.scalars(parents.order_by(ArtifactParentRow.parent_id)).all():
            if parent not in inputs:
                children.append(self.artifact(parent, "parent"))
        held = select(DatasetJudgementRow.judgement_id).where(DatasetJudgementRow.artifact_id == artifact_id)
        ids = list(self._session.scalars(held.order_by(DatasetJudgementRow.judgement_id)))
        if ids:
            children.append(self._judgements(held, ids))
        return _artifact_node(row, role, tuple(children))

    def judgement(self, judgement_id: int) -> Node:
        only = select(JudgementRow.id).where(JudgementRow.id == judgement_id)
        return _judgement_node(self._session, judgement_id, (*self._people(only), *self._writers(only)))

    def _judgements(self, held: Select[int], ids: list[int]) -> Node:
        people = self._people(held)
        by_kind: dict[str, int] = {}
        for person in people:
            by_kind[person.facts["kind"]] = by_kind.get(person.facts["kind"], 0) + person.facts["count"]
        kinds = ", ".join(f"{count} by {kind} people" for kind, count in sorted(by_kind.items()))
        facts = {"count": len(ids), "ids": ids, "by_kind": by_kind}
        label = f"{ids[0]}..{ids[-1]}" if len(ids) > 1 else str(ids[0])
        return Node(
            "judgements", label, f"{len(ids)} judgements ({kinds})", "holds", facts, (*people, *self._writers(held))
        )

    def _people(self, judgement_ids: Select[int]) -> tuple[Node, ...]:
        query = (
            select(PersonRow.id, PersonRow.name, PersonRow.kind, func.count())
            .join(JudgementRow, JudgementRow.person_id == PersonRow.id)
            .where(JudgementRow.id.in_(judgement_ids))
            .group_by(PersonRow.id, PersonRow.name, PersonRow.kind)
            .order_by(PersonRow.id)
        )
        return tuple(
            Node("person", str(number), f"{name} ({kind})", "judged by", {"name": name, "kind": kind, "count": count})
            for number, name, kind, count in self._session.execute(query)
        )

    def _writers(self, judgement_ids: Select[int]) -> tuple[Node, ...]:
        query = (
            select(CompletionRow.policy_version, func.count(CompletionRow.id.distinct()))
            .join(TaskCompletionRow, TaskCompletionRow.completion_id == CompletionRow.id)
            .join(JudgementRow, JudgementRow.task_id == TaskCompletionRow.task_id)
            .where(JudgementRow.id.in_(judgement_ids))
            .group_by(CompletionRow.policy_version)
            .order_by(func.min(CompletionRow.id))
        )
        nodes = []
        for version, count in self._session.execute(query).all():
            artifact_id = version.partition("+")[0]  # `policy-1a2b3c+40` is that artifact's run, 40 steps on
            known = self._session.get(ArtifactRow, artifact_id) is not None
            below = (self.artifact(artifact_id, "written by"),) if known else ()
            title = f"{count} completions by {version}"
            nodes.append(Node("completions", version, title, "about", {"count": count}, below))
        return tuple(nodes)


class _Progeny:
    """One walk towards what came of it; each artifact is unfolded once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._seen: set[str] = set()

    def artifact(self, artifact_id: str, role: str) -> Node:
        row = _require(self._session, artifact_id)
        if artifact_id in self._seen:
            return _artifact_node(row, role, (), repeated=True)
        self._seen.add(artifact_id)
        reads = (
            select(RunInputRow.run_id, RunInputRow.role)
            .join(RunRow, RunRow.id == RunInputRow.run_id)
            .where(RunInputRow.artifact_id == artifact_id)
            .order_by(RunRow.serial, RunInputRow.role)
        )
        children: list[Node] = []
        made: set[str] = set()
        for run_id, read_as in self._session.execute(reads).all():
            products = select(ArtifactRow.id).where(ArtifactRow.run_id == run_id).order_by(ArtifactRow.serial)
            ids = list(self._session.scalars(products))
            made.update(ids)
            below = tuple(self.artifact(product, "made") for product in ids)
            children.append(_run_node(self._session, run_id, f"read as {read_as}", below))
        direct = (
            select(ArtifactRow.id)
            .join(ArtifactParentRow, ArtifactParentRow.artifact_id == ArtifactRow.id)
            .where(ArtifactParentRow.parent_id == artifact_id)
            .order_by(ArtifactRow.serial)
        )
        for child in self._session.scalars(direct).all():
            if child not in made:
                children.append(self.artifact(child, "child"))
        return _artifact_node(row, role, tuple(children))

    def judgement(self, judgement_id: int) -> Node:
        datasets = (
            select(ArtifactRow.id)
            .join(DatasetJudgementRow, DatasetJudgementRow.artifact_id == ArtifactRow.id)
            .where(DatasetJudgementRow.judgement_id == judgement_id)
            .order_by(ArtifactRow.serial)
        )
        below = tuple(self.artifact(dataset, "held by") for dataset in self._session.scalars(datasets).all())
        return _judgement_node(self._session, judgement_id, below)


def _require(session: Session, artifact_id: str) -> ArtifactRow:
    row = session.get(ArtifactRow, artifact_id)
    if row is None:
        raise DataError(f"no artifact {artifact_id!r}", "See which there are with `assent lineage`.")
    return row


def _inputs(session: Session, run_id: str) -> list[tuple[str, str]]:
    query = select(RunInputRow.role, RunInputRow.artifact_id).where(RunInputRow.run_id == run_id)
    return [
        (role, artifact)
        for role, artifact in session.execute(query.order_by(RunInputRow.role, RunInputRow.artifact_id))
    ]


def _artifact_node(row: ArtifactRow, role: str, children: tuple[Node, ...], repeated: bool = False) -> Node:
    facts = {"kind": row.kind, "content_hash": row.content_hash, "path": row.path}
    return Node("artifact", row.id, f"{row.kind} {row.id}", role, facts, children, repeated)


def _run_node(session: Session, run_id: str, role: str, children: tuple[Node, ...]) -> Node:
    row = session.get_one(RunRow, run_id)
    facts = {"kind": row.kind, "round": row.round, "state": row.state, "settings_hash": row.settings_hash}
    return Node("run", row.id, f"run {row.id} ({row.kind}, round {row.round}, {row.state})", role, facts, children)


def _judgement_node(session: Session, judgement_id: int, children: tuple[Node, ...]) -> Node:
    row = session.get(JudgementRow, judgement_id)
    if row is None:
        raise DataError(f"no judgement {judgement_id} in the store")
    facts = {"task_id": row.task_id, "person_id": row.person_id, "ranks": row.ranks}
    return Node("judgement", str(row.id), f"judgement {row.id} of task {row.task_id}", "", facts, children)
