"""`assent backup`: the database as one file, taken while it is in use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assent.cli.options import HERE, Where
from assent.store import Store, Workspace
from assent.store.backup import back_up
from assent.store.workspace import DATABASE_VARIABLE


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a file that is not there yet", show_default=False)],
    workspace: Where = HERE,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url",
            envvar=DATABASE_VARIABLE,
            help="postgresql+psycopg://user@host/name",
            show_default="the workspace's assent.db",
        ),
    ] = None,
) -> None:
    """Write the database to one file, while people judge or the loop runs.

    From SQLite it is a database that takes the place of assent.db; from PostgreSQL an archive for pg_restore. Models
    and datasets lie beside it, in artifacts/, and are never changed: copy them as they are.
    """
    place = Workspace.open(workspace)
    with place.open_store() if database_url is None else Store.open(database_url) as store:
        found = back_up(store, file)
    typer.echo(f"{found}: {found.stat().st_size} bytes")
