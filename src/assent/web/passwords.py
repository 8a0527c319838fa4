"""Passwords: argon2id with the library's current defaults (RFC 9106, low-memory profile)."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from assent.types.errors import DataError

SHORTEST, LONGEST = 10, 256
_hasher = PasswordHasher()
_NOBODY = _hasher.hash("nobody has this password")


def hash_password(password: str) -> str:
    """What is kept of a password.

    Raises:
        DataError: it is too short or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise DataError(f"password: from {SHORTEST} to {LONGEST} characters", "A sentence makes a good one.")
    return _hasher.hash(password)


def is_password(kept: str | None, password: str) -> bool:
    """True if this is the password. It takes as long where there is none, so that time tells nothing."""
    try:
        return _hasher.verify(kept or _NOBODY, password[:LONGEST]) and kept is not None
    except (VerificationError, InvalidHashError):
        return False
