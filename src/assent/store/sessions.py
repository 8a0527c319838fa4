"""The ways in: links that work once, sessions of browsers, and tokens of programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, or_, select
from sqlalchemy.orm import Session

from assent.store.accounts import ROLES, Account, account_of, add_account, read_account
from assent.store.audit import record
from assent.store.database import Store
from assent.store.secrets import hash_of, new_token
from assent.store.service_tables import AccountRow, ApiTokenRow, LinkRow, SessionRow
from assent.store.tables import PersonRow
from assent.types.errors import ConflictError, DataError, NotAllowedError, NotFoundError

SESSION_HOURS = 24 * 14
LINK_HOURS = 24 * 7
OWNER_LINK_HOURS = 24
SCOPES = ("judge", "read", "adjudicate", "manage", "own")

_OF_ACCOUNT = select(AccountRow.__table__, PersonRow.name).join(PersonRow, PersonRow.id == AccountRow.person_id)
_BY_SESSION = (
    _OF_ACCOUNT.add_columns(SessionRow.id.label("session_id"), SessionRow.csrf)
    .join(SessionRow, SessionRow.account_id == AccountRow.id)
    .where(SessionRow.token_hash == bindparam("hash"), AccountRow.state == "active")
    .where(SessionRow.expires_at > bindparam("now"))
)
_BY_TOKEN = (
    _OF_ACCOUNT.add_columns(ApiTokenRow.scopes)
    .join(ApiTokenRow, ApiTokenRow.account_id == AccountRow.id)
    .where(ApiTokenRow.token_hash == bindparam("hash"), AccountRow.state == "active", ApiTokenRow.revoked_at.is_(None))
    .where(or_(ApiTokenRow.expires_at.is_(None), ApiTokenRow.expires_at > bindparam("now")))
)


@dataclass(frozen=True)
class Entrance:
    """Who is let in by a session or a token, and with which part of their rights (all if `scopes` is None)."""

    account: Account
    session_id: int | None = None
    csrf: str = ""
    scopes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Link:
    """A link as it may be shown: without its token."""

    id: int
    role: str
    groups: tuple[str, ...]
    note: str
    account_id: int | None
    used_by: int | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


@dataclass(frozen=True)
class ApiToken:
    """A program's key as it may be shown."""

    id: int
    account_id: int
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


def make_link(
    store: Store,
    role: str,
    groups: Sequence[str] = (),
    note: str = "",
    account_id: int | None = None,
    by: Account | None = None,
    hours: float = LINK_HOURS,
) -> str:
    """Make a link that lets somebody in once, and return its token, which is not kept.

    Args:
        store: the open store.
        role: of the account that it leads to.
        groups: of that account.
        note: for whom it is meant.
        account_id: an account that is there already, to sign in to.
        by: who makes it; None is the command line.
        hours: how long it can be used.

    Raises:
        NotAllowedError: only owners let owners and managers in.
        DataError: an unknown role.
    """
    if role not in ROLES:
        raise DataError(f"no role {role!r}", f"It is one of {', '.join(ROLES)}.")
    token = new_token()
    with store.write() as session:
        if account_id is not None:
            role = read_account(session, account_id).role
        if by is not None and by.role != "owner" and role in ("owner", "manager"):
            raise NotAllowedError("only an owner invites owners and managers")
        now = store.now()
        row = LinkRow(
            token_hash=hash_of(token),
            role=role,
            groups=sorted(set(groups)),
            note=note,
            account_id=account_id,
            made_by=None if by is None else by.id,
            used_by=None,
            created_at=now,
            expires_at=now + timedelta(hours=hours),
            used_at=None,
        )
        session.add(row)
        session.flush()
        record(session, store, row.made_by, "make link", "link", row.id, {"role": role, "note": note})
    return token


def owner_link(store: Store) -> str:
    """A link for the owner, who is made when it is first used. Earlier unused ones of the command line end."""
    with store.write() as session:
        unused = LinkRow.used_at.is_(None), LinkRow.made_by.is_(None), LinkRow.role == "owner"
        session.execute(delete(LinkRow).where(*unused))
        query = select(AccountRow.id).where(AccountRow.role == "owner", AccountRow.state == "active")
        owner = session.scalar(query.order_by(AccountRow.id).limit(1))
    return make_link(store, "owner", account_id=owner, hours=OWNER_LINK_HOURS, note="from the command line")


def look_at_link(store: Store, token: str) -> Link:
    """What a link leads to, without using it.

    Raises:
        NotFoundError: it is unknown, was used, or ran out.
    """
    with store.read() as session:
        return _link(_require_link(session, token, store.now()))


def use_link(
    store: Store, token: str, name: str = "", login: str = "", password_hash: str | None = None
) -> tuple[Account, str]:
    """Use a link up: make its account where it leads to a new one, and begin a session.

    Returns:
        The account, and the session's token.

    Raises:
        NotFoundError: the link is unknown, was used, or ran out.
        ConflictError: the name or the login is taken (the link can still be used).
    """
    with store.write() as session:
        row = _require_link(session, token, store.now())
        if row.account_id is None:
            account = add_account(session, store, name, login, row.role, row.groups, password_hash)
        else:
            account = session.get_one(AccountRow, row.account_id)
        if account.state != "active":
            raise NotFoundError("this account is closed", "Ask who invited you.")
        row.used_at, row.used_by = store.now(), account.id
        record(session, store, account.id, "use link", "link", row.id, {"role": row.role})
        return read_account(session, account.id), _begin_session(session, store, account.id)


def list_links(store: Store) -> list[Link]:
    """All links, the newest first."""
    with store.read() as session:
        return [_link(row) for row in session.scalars(select(LinkRow).order_by(LinkRow.id.desc()))]


def withdraw_link(store: Store, link_id: int, by: Account) -> None:
    """End a link that was not used.

    Raises:
        NotFoundError: no such link.
        ConflictError: it was used.
        NotAllowedError: only an owner ends an owner's.
    """
    with store.write() as session:
        row = session.get(LinkRow, link_id)
        if row is None:
            raise NotFoundError(f"no link {link_id}")
        if row.used_at is not None:
            raise ConflictError("this link was used", "Pause or exclude the account instead.")
        if by.role != "owner" and row.role in ("owner", "manager"):
            raise NotAllowedError("only an owner ends the links of owners and managers")
        row.expires_at = store.now()
        record(session, store, by.id, "withdraw link", "link", link_id)


def sign_in(store: Store, account_id: int) -> str:
    """Begin a session and return its token.

    Raises:
        NotAllowedError: the account is paused or excluded.
    """
    with store.write() as session:
        if session.get_one(AccountRow, account_id).state != "active":
            raise NotAllowedError("this account is closed", "Ask who invited you.")
        record(session, store, account_id, "sign in", "account", account_id)
        return _begin_session(session, store, account_id)


def entrance_by_session(store: Store, token: str) -> Entrance | None:
    """Who a session's token belongs to; None if it is unknown or ran out, or the account is closed."""
    with store.look() as connection:
        found = connection.execute(_BY_SESSION, {"hash": hash_of(token), "now": store.now()}).one_or_none()
    return None if found is None else Entrance(account_of(found, found.name), found.session_id, found.csrf)


def entrance_by_token(store: Store, token: str) -> Entrance | None:
    """Who a program's token belongs to; None if it is unknown, revoked or out of time, or the account is closed."""
    with store.look() as connection:
        found = connection.execute(_BY_TOKEN, {"hash": hash_of(token), "now": store.now()}).one_or_none()
    return None if found is None else Entrance(account_of(found, found.name), scopes=tuple(found.scopes))


def sign_out(store: Store, session_id: int) -> None:
    """End one session."""
    with store.write() as session:
        session.execute(delete(SessionRow).where(SessionRow.id == session_id))


def make_api_token(
    store: Store, account: Account, name: str, scopes: Sequence[str], hours: float | None = None
) -> tuple[int, str]:
    """Make a key for a program; returns its id and the token, which is not kept.

    Raises:
        DataError: no name, no scope or an unknown one.
    """
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise DataError(f"no scope {unknown[0]!r}", f"A token's scopes are some of {', '.join(SCOPES)}.")
    if not scopes or not name.strip():
        raise DataError("a token needs a name and at least one scope")
    token = new_token()
    with store.write() as session:
        now = store.now()
        row = ApiTokenRow(
            account_id=account.id,
            name=name.strip(),
            token_hash=hash_of(token),
            scopes=sorted(set(scopes)),
            created_at=now,
            expires_at=None if hours is None else now + timedelta(hours=hours),
            revoked_at=None,
        )
        session.add(row)
        session.flush()
        record(session, store, account.id, "make token", "token", row.id, {"scopes": row.scopes})
        return row.id, token


def list_api_tokens(store: Store, account_id: int) -> list[ApiToken]:
    """An account's tokens, the newest first."""
    query = select(ApiTokenRow).where(ApiTokenRow.account_id == account_id).order_by(ApiTokenRow.id.desc())
    with store.read() as session:
        return [
            ApiToken(
                row.id,
                row.account_id,
                row.name,
                tuple(row.scopes),
                row.created_at,
                row.expires_at,
                row.revoked_at,
            )
            for row in session.scalars(query)
        ]


def revoke_api_token(store: Store, token_id: int, account: Account) -> None:
    """End one of one's own tokens.

    Raises:
        NotFoundError: no such token, or someone else's.
    """
    with store.write() as session:
        row = session.get(ApiTokenRow, token_id)
        if row is None or row.account_id != account.id:
            raise NotFoundError(f"no token {token_id}")
        row.revoked_at = row.revoked_at or store.now()
        record(session, store, account.id, "revoke token", "token", token_id)


def _begin_session(session: Session, store: Store, account_id: int) -> str:
    now, token = store.now(), new_token()
    session.execute(delete(SessionRow).where(SessionRow.expires_at <= now))
    expires = now + timedelta(hours=SESSION_HOURS)
    session.add(
        SessionRow(
            account_id=account_id, token_hash=hash_of(token), csrf=new_token(), created_at=now, expires_at=expires
        )
    )
    session.flush()
    return token


def _require_link(session: Session, token: str, now: datetime) -> LinkRow:
    query = select(LinkRow).where(LinkRow.token_hash == hash_of(token)).with_for_update()
    row = session.scalar(query)
    if row is None or row.used_at is not None or row.expires_at <= now:
        raise NotFoundError("this link was used or ran out", "Ask for a new one.")
    return row


def _link(row: LinkRow) -> Link:
    return Link(
        row.id,
        row.role,
        tuple(row.groups),
        row.note,
        row.account_id,
        row.used_by,
        row.created_at,
        row.expires_at,
        row.used_at,
    )
