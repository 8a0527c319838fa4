"""Accounts: who may come in and what they may do. Passwords come here hashed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from assent.store.audit import record
from assent.store.database import Store
from assent.store.service_tables import AccountRow, ApiTokenRow, SessionRow
from assent.store.tables import PersonRow
from assent.types.errors import ConflictError, DataError, NotAllowedError, NotFoundError
from assent.types.feedback import PersonKind

ROLES = ("owner", "manager", "adjudicator", "annotator", "read-only")
STATES = ("active", "paused", "excluded")


@dataclass(frozen=True)
class Account:
    """How a person comes in."""

    id: int
    person_id: int
    name: str
    login: str
    role: str
    state: str
    groups: tuple[str, ...]
    has_password: bool


def add_account(
    session: Session,
    store: Store,
    name: str,
    login: str,
    role: str,
    groups: Sequence[str] = (),
    password_hash: str | None = None,
) -> AccountRow:
    """Enter a person with an account, inside a write transaction.

    Raises:
        ConflictError: the login or the name is taken.
        DataError: an empty name, an unknown role.
    """
    name, login = name.strip(), login.strip().lower()
    if not name or not login or len(name) > 200 or len(login) > 200:
        raise DataError("a name and a login name are needed, of at most 200 characters each")
    if role not in ROLES:
        raise DataError(f"no role {role!r}", f"It is one of {', '.join(ROLES)}.")
    if session.scalar(select(AccountRow.id).where(AccountRow.login == login)) is not None:
        raise ConflictError(f"the login name {login!r} is taken", "Choose another one.")
    person = session.scalar(select(PersonRow).where(PersonRow.name == name))
    if person is not None:
        raise ConflictError(f"the name {name!r} is taken", "Choose another one, e.g. with an initial.")
    person = PersonRow(name=name, kind=PersonKind.HUMAN.value, profile={}, created_at=store.now())
    session.add(person)
    session.flush()
    row = AccountRow(
        person_id=person.id,
        login=login,
        role=role,
        password_hash=password_hash,
        state="active",
        groups=sorted(set(groups)),
        created_at=store.now(),
    )
    session.add(row)
    session.flush()
    return row


def list_accounts(store: Store) -> list[Account]:
    """All accounts in order of entry."""
    with store.read() as session:
        query = select(AccountRow, PersonRow.name).join(PersonRow, PersonRow.id == AccountRow.person_id)
        return [account_of(row, name) for row, name in session.execute(query.order_by(AccountRow.id))]


def get_account(store: Store, account_id: int) -> Account:
    """One account.

    Raises:
        NotFoundError: there is none of this id.
    """
    with store.read() as session:
        return read_account(session, account_id)


def read_account(session: Session, account_id: int) -> Account:
    """The same, inside a transaction."""
    row = session.get(AccountRow, account_id)
    if row is None:
        raise NotFoundError(f"no account {account_id}")
    return account_of(row, session.get_one(PersonRow, row.person_id).name)


def password_hash_of(store: Store, login: str) -> tuple[int, str] | None:
    """The account and password hash behind a login name; None if there is none."""
    with store.read() as session:
        row = session.scalar(select(AccountRow).where(AccountRow.login == login.strip().lower()))
        return None if row is None or row.password_hash is None else (row.id, row.password_hash)


def set_password(store: Store, account_id: int, password_hash: str) -> None:
    """Change the password; every session of the account ends."""
    with store.write() as session:
        session.get_one(AccountRow, account_id).password_hash = password_hash
        _end_sessions(session, account_id)
        record(session, store, account_id, "change password", "account", account_id)


def change_account(
    store: Store,
    account_id: int,
    by: Account,
    role: str | None = None,
    state: str | None = None,
    groups: Sequence[str] | None = None,
) -> Account:
    """Change what an account may do. Who is paused or excluded is signed out; what they judged stays.

    Raises:
        NotFoundError: no such account.
        NotAllowedError: only an owner may change an owner's or a manager's account or make one.
        ConflictError: the last owner would be lost.
    """
    with store.write() as session:
        row = session.get(AccountRow, account_id, with_for_update=True)
        if row is None:
            raise NotFoundError(f"no account {account_id}")
        if by.role != "owner" and {row.role, role} & {"owner", "manager"}:
            raise NotAllowedError("only an owner changes the accounts of owners and managers")
        loses_owner = row.role == "owner" and (role not in (None, "owner") or state not in (None, "active"))
        if loses_owner and _active_owners(session) < 2:
            raise ConflictError("this is the last owner", "Make someone else an owner first.")
        changes = {"role": role, "state": state, "groups": None if groups is None else sorted(set(groups))}
        for name, value in changes.items():
            if value is not None:
                setattr(row, name, value)
        if state in ("paused", "excluded") or role is not None:
            _end_sessions(session, account_id)
        said = {name: value for name, value in changes.items() if value is not None}
        record(session, store, by.id, "change account", "account", account_id, said)
        session.flush()
        return read_account(session, account_id)


def end_access(store: Store, account_id: int, by: int) -> None:
    """Sign an account out everywhere."""
    with store.write() as session:
        _end_sessions(session, account_id)
        record(session, store, by, "sign out everywhere", "account", account_id)


def revoke_tokens(session: Session, store: Store, account_id: int) -> None:
    """No program comes in with this account's tokens any more."""
    query = select(ApiTokenRow).where(ApiTokenRow.account_id == account_id, ApiTokenRow.revoked_at.is_(None))
    for token in session.scalars(query):
        token.revoked_at = store.now()


def account_of(row: AccountRow | Row[Any], name: str) -> Account:
    """A row, or its columns, as a value."""
    has_password = row.password_hash is not None
    return Account(row.id, row.person_id, name, row.login, row.role, row.state, tuple(row.groups), has_password)


def _end_sessions(session: Session, account_id: int) -> None:
    for row in session.scalars(select(SessionRow).where(SessionRow.account_id == account_id)):
        session.delete(row)


def _active_owners(session: Session) -> int:
    query = select(func.count()).select_from(AccountRow)
    return session.scalar(query.where(AccountRow.role == "owner", AccountRow.state == "active")) or 0
