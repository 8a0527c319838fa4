"""The audit log: who did what to what, and when. It is only ever added to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from assent.store.database import Store
from assent.store.service_tables import AccountRow, AuditRow
from assent.store.tables import PersonRow


@dataclass(frozen=True)
class AuditEntry:
    """One act. `actor` is the person's name; empty where it was the command line."""

    id: int
    account_id: int | None
    actor: str
    action: str
    object_kind: str
    object_id: str
    details: Mapping[str, Any]
    happened_at: datetime


def record(
    session: Session,
    store: Store,
    account_id: int | None,
    action: str,
    object_kind: str,
    object_id: object,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write an act down in the transaction that does it, so that neither is there without the other."""
    row = AuditRow(
        account_id=account_id,
        action=action,
        object_kind=object_kind,
        object_id=str(object_id),
        details=dict(details or {}),
        happened_at=store.now(),
    )
    session.add(row)


def list_audit(store: Store, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
    """The newest acts first, or those before one of them."""
    query = (
        select(AuditRow, PersonRow.name)
        .outerjoin(AccountRow, AccountRow.id == AuditRow.account_id)
        .outerjoin(PersonRow, PersonRow.id == AccountRow.person_id)
        .order_by(AuditRow.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(AuditRow.id < before)
    with store.read() as session:
        return [
            AuditEntry(
                row.id,
                row.account_id,
                name or "",
                row.action,
                row.object_kind,
                row.object_id,
                row.details,
                row.happened_at,
            )
            for row, name in session.execute(query)
        ]
