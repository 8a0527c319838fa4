"""`assent up`: the feedback service of a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console

from assent.cli.options import HERE, Where
from assent.cli.tasks import open_loop_campaign
from assent.config import load_settings
from assent.store import Store, Workspace
from assent.store.sessions import owner_link
from assent.store.workspace import DATABASE_VARIABLE
from assent.types.errors import SettingsError

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def up(
    workspace: Where = HERE,
    host: Annotated[str, typer.Option("--host", help="the address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="the port to listen on")] = 8000,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="let other machines in; cookies then need TLS (https)")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(
            "--url", help="how people reach it from elsewhere, e.g. https://judge.example", show_default=False
        ),
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", help="a PEM file, where no proxy does TLS", show_default=False)
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="its key", show_default=False)] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url",
            envvar=DATABASE_VARIABLE,
            help="postgresql+psycopg://user@host/name",
            show_default="the workspace's assent.db",
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="server processes; more than 1 on PostgreSQL")] = 1,
) -> None:
    """Serve the pages in which people judge, and print a link that lets the owner in once.

    It may run beside `assent loop`, which takes up what was judged.
    """
    from assent.cli.serving import Address, serve

    place = Workspace.open(workspace)
    address = Address(host, port, _remote(host, allow_remote), url, tls_certificate, tls_key)
    _check(address)
    with open_for_service(place, database_url) as store:
        if workers > 1 and store.engine.dialect.name == "sqlite":
            raise SettingsError(
                "--workers: SQLite is written by one process at a time", "give --database-url, or leave it at 1"
            )
        link = f"{address.base}/link/{owner_link(store)}"
        console = Console()
        console.print(f"serving {place.path.name} at {address.base}", highlight=False, markup=False)
        console.print("this link lets the owner in, once, within a day:", highlight=False)
        console.print(f"  {link}", highlight=False, markup=False, soft_wrap=True)
        console.file.flush()
        serve(place, store, address, database_url, workers)


def open_for_service(place: Workspace, database_url: str | None) -> Store:
    """The workspace's store, with a campaign for the loop's runs."""
    store = place.open_store() if database_url is None else Store.open(database_url)
    open_loop_campaign(store, load_settings([place.settings_file]))
    return store


def _remote(host: str, allowed: bool) -> bool:
    if host in LOOPBACK:
        return allowed
    if not allowed:
        raise SettingsError(
            f"--host {host} lets other machines in", "say so with --allow-remote; people then need https to sign in"
        )
    return True


def _check(address: object) -> None:
    from assent.cli.serving import Address

    assert isinstance(address, Address)
    if (address.certificate is None) != (address.key is None):
        raise SettingsError("--tls-certificate and --tls-key go together")
    if address.url is not None:
        parts = urlsplit(address.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"--url {address.url} is no address", "its form is https://judge.example")
        if address.remote and parts.scheme != "https":
            raise SettingsError(f"--url {address.url}: without TLS, nobody can sign in from elsewhere", "use https://")
