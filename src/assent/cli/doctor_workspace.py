"""Checks of a workspace. They change nothing in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote

from assent.cli.doctor_model import check_backends, newest_model
from assent.cli.findings import Finding, examined
from assent.config import load_settings
from assent.store import Artifact, Workspace, hash_folder, list_artifacts, schema
from assent.types.errors import SettingsError, WorkspaceError


def check_workspace(workspace: Workspace) -> Iterator[Finding]:
    """Settings, database, lock and artifacts, each only if what it rests on was in order."""
    if not workspace.exists:
        yield Finding("workspace", "fail", f"{workspace.path} has no assent.toml", "make one with `assent init`")
        return
    yield examined("settings", lambda: check_settings(workspace))
    yield examined("lock", lambda: check_lock(workspace))
    database = examined("database", lambda: check_database(workspace))
    yield database
    if database.status == "ok":
        yield examined("artifacts", lambda: check_artifacts(workspace))
        folder = newest_model(workspace)
        if folder is not None:
            yield examined("backends", lambda: check_backends(workspace, folder))


def check_settings(workspace: Workspace) -> Finding:
    """`assent.toml` holds valid settings."""
    try:
        settings = load_settings([workspace.settings_file])
    except SettingsError as error:
        return Finding("settings", "fail", error.message, error.hint)
    return Finding(
        "settings",
        "ok",
        f"valid; {settings.task or settings.model.path or settings.rl.environment}, seed {settings.seed}",
    )


def check_lock(workspace: Workspace) -> Finding:
    """Whether another command is at work here."""
    try:
        with workspace.lock():
            return Finding("lock", "ok", "no other command is at work here")
    except WorkspaceError as error:
        return Finding("lock", "warn" if "in use" in error.message else "fail", error.message, error.hint)


def check_database(workspace: Workspace) -> Finding:
    """SQLite finds every page and every reference of the database whole."""
    rescue = "restore it from a backup, or rescue it with `sqlite3 assent.db .recover`"
    if not workspace.database.is_file():
        return Finding("database", "fail", f"{workspace.database} is missing", "restore it from a backup")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(workspace.database))}?mode=ro", uri=True)) as connection:
            problems = [row[0] for row in connection.execute("PRAGMA integrity_check(3)") if row[0] != "ok"]
            orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
            version = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            judgements = connection.execute("SELECT count(*) FROM judgements").fetchone()[0]
    except sqlite3.Error as error:
        return Finding("database", "fail", f"{workspace.database}: {error}", rescue)
    if problems:
        return Finding("database", "fail", f"damaged: {'; '.join(problems)}", rescue)
    if orphans:
        return Finding(
            "database", "fail", f"{len(orphans)} rows of {orphans[0][0]} refer to rows that are gone", rescue
        )
    if version is None or version[0] != schema.head():
        return Finding(
            "database", "warn", "of another version of assent", "the next command upgrades it, or says why not"
        )
    return Finding("database", "ok", f"whole, {judgements} judgements")


def check_artifacts(workspace: Workspace) -> Finding:
    """The files of every artifact are there, and are those that were registered."""
    with workspace.open_store() as store:
        artifacts = list_artifacts(store)
    damaged = [problem for artifact in artifacts if (problem := _problem_of(workspace, artifact))]
    if damaged:
        more = f" (and {len(damaged) - 3} more)" if len(damaged) > 3 else ""
        return Finding(
            "artifacts",
            "fail",
            "; ".join(damaged[:3]) + more,
            "restore the folder from a backup, or begin a new workspace",
        )
    return Finding("artifacts", "ok", f"{len(artifacts)} artifacts, their files unchanged")


def _problem_of(workspace: Workspace, artifact: Artifact) -> str:
    if not artifact.path:
        return ""
    folder = workspace.path / artifact.path
    if not folder.exists():
        return f"{artifact.id}: {artifact.path} is missing"
    if folder.is_dir() and hash_folder(folder) != artifact.content_hash:
        return f"{artifact.id}: files in {artifact.path} were changed"
    return ""
