"""Content hashes of values and of folders: what makes an artifact's name and tells two settings apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no NaN.

    Raises:
        ValueError: the value holds NaN or infinity.
        TypeError: the value holds something JSON cannot say.
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def hash_json(value: Any) -> str:
    """SHA-256 (64 hex digits) of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def hash_folder(folder: Path) -> str:
    """SHA-256 (64 hex digits) over the names and bytes of all files under a folder, whatever order they lie in.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    total = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        total.update(f"{file.relative_to(folder).as_posix()}\x00{digest}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def artifact_id(kind: str, content_hash: str) -> str:
    """The name of an artifact: its kind and the first 12 hex digits of its content hash, `policy-1a2b3c4d5e6f`."""
    return f"{kind}-{content_hash[:12]}"


def differing_keys(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Where two nested settings differ, as `dotted.key: old -> new`, sorted by key."""
    missing = object()
    lines: list[str] = []
    for key in sorted(set(old) | set(new)):
        before, after = old.get(key, missing), new.get(key, missing)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            lines += differing_keys(before, after, f"{prefix}{key}.")
        elif before != after:
            was = "(not set)" if before is missing else json.dumps(before, default=str)
            now = "(not set)" if after is missing else json.dumps(after, default=str)
            lines.append(f"{prefix}{key}: {was} -> {now}")
    return lines
