"""Erasing a person: what they said is withdrawn, what names them is removed, and what it shaped is listed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from assent.store.accounts import Account, revoke_tokens
from assent.store.audit import record
from assent.store.database import Store
from assent.store.judgements import judgement_of, row_of
from assent.store.leases import lock_tasks
from assent.store.lineage import Reference, descendants
from assent.store.queries import batches
from assent.store.revisions import is_current, note_whether_open
from assent.store.service_tables import AccountRow, DraftRow, LinkRow, SessionRow
from assent.store.tables import ArtifactRow, AssignmentRow, DatasetJudgementRow, JudgementRow, PersonRow
from assent.types.errors import ConflictError, NotFoundError


@dataclass(frozen=True)
class Erased:
    """What came of it: how many judgements were withdrawn, and which artifacts had learnt from any."""

    judgements: int
    artifacts: tuple[str, ...]  # dataset versions and the models made of them; these stay as they are


def touched_by(store: Store, person_id: int) -> tuple[str, ...]:
    """The dataset versions that hold a judgement of this person's, and all that was made from them."""
    held = (
        select(DatasetJudgementRow.artifact_id)
        .join(JudgementRow, JudgementRow.id == DatasetJudgementRow.judgement_id)
        .where(JudgementRow.person_id == person_id)
        .distinct()
    )
    with store.read() as session:
        datasets = list(session.scalars(held))
    nodes = (node for name in datasets for node in descendants(store, Reference("artifact", name)).walk())
    found = {node.id for node in nodes if node.kind == "artifact"}
    with store.read() as session:
        order = session.scalars(select(ArtifactRow.id).order_by(ArtifactRow.serial))
        return tuple(name for name in order if name in found)


def erase_person(store: Store, account_id: int, by: Account) -> Erased:
    """Withdraw all that a person judged and remove what names them. Datasets and models stay, and are listed.

    Raises:
        NotFoundError: no such account.
        ConflictError: it is an owner's.
    """
    with store.read() as session:
        account = session.get(AccountRow, account_id)
        if account is None:
            raise NotFoundError(f"no account {account_id}")
        person_id = account.person_id
    artifacts = touched_by(store, person_id)
    with store.write() as session:
        account = session.get_one(AccountRow, account_id, with_for_update=True)
        if account.role == "owner":
            raise ConflictError("an owner is not erased", "Make them an annotator first.")
        withdrawn = _withdraw_all(session, store, person_id)
        _remove_name(session, store, account)
        record(
            session,
            store,
            by.id,
            "erase person",
            "account",
            account_id,
            {"judgements": withdrawn, "artifacts": list(artifacts)},
        )
    return Erased(withdrawn, artifacts)


def _withdraw_all(session: Session, store: Store, person_id: int) -> int:
    query = select(JudgementRow).where(JudgementRow.person_id == person_id, is_current())
    current = session.scalars(query.order_by(JudgementRow.id)).all()
    for some in batches(current):
        tasks = list(lock_tasks(session, [row.task_id for row in some]))
        assignments = _assignments(session, [row.assignment_id for row in some])
        for old in some:
            row = assignments[old.assignment_id]
            new = row_of(judgement_of(old), row, f"erase:{old.id}", store.now(), old.revision + 1, withdrawn=True)
            session.add(new)
            row.state, row.expires_at = "expired", store.now()
        session.flush()
        note_whether_open(session.connection(), tasks)
    words = (JudgementRow.note != "") | (JudgementRow.rewrite != "")
    mine = select(AssignmentRow.id).where(AssignmentRow.person_id == person_id)
    session.execute(delete(DraftRow).where(DraftRow.assignment_id.in_(mine)))
    session.execute(update(JudgementRow).where(JudgementRow.person_id == person_id, words).values(note="", rewrite=""))
    return len(current)


def _assignments(session: Session, ids: Iterable[int]) -> dict[int, AssignmentRow]:
    rows = session.scalars(select(AssignmentRow).where(AssignmentRow.id.in_(list(ids))))
    return {row.id: row for row in rows}


def _remove_name(session: Session, store: Store, account: AccountRow) -> None:
    person = session.get_one(PersonRow, account.person_id)
    person.name, person.profile = f"erased person {person.id}", {}
    account.login, account.password_hash = f"erased-{account.id}", None
    account.state, account.groups = "excluded", []
    session.execute(delete(SessionRow).where(SessionRow.account_id == account.id))
    links = (LinkRow.account_id == account.id) | (LinkRow.used_by == account.id)
    session.execute(update(LinkRow).where(links).values(note="", expires_at=store.now()))
    revoke_tokens(session, store, account.id)
