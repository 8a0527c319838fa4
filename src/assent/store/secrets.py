"""Tokens: what a link, a session or a program shows to come in. The store keeps their hashes alone."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy.orm import Session

from assent.store.database import Store
from assent.store.queries import add_unless_there
from assent.store.service_tables import InstallationRow


def new_token() -> str:
    """256 random bits as text that a URL can hold."""
    return secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """What is kept of a token. It has 256 random bits, so no salt or slow hash is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def installation_secret(store: Store) -> str:
    """What is secret to this installation, made when it is first asked for."""
    with store.read() as session:
        row = session.get(InstallationRow, 1)
    if row is not None:
        return row.secret
    with store.write() as session:
        return _make(session, store)


def sign(secret: str, *parts: object) -> str:
    """A short name for these values that cannot be guessed or read without the secret."""
    text = "\x1f".join(map(str, parts))
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


def _make(session: Session, store: Store) -> str:
    row = session.get(InstallationRow, 1)
    if row is None:  # another process may still be first
        row = InstallationRow(id=1, secret=secrets.token_hex(32), created_at=store.now())
        if not add_unless_there(session, row):
            row = session.get_one(InstallationRow, 1)
    return row.secret
