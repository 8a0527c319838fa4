"""One of several server processes: what it serves, the parent has put into the environment."""

from __future__ import annotations

import json
import os
from pathlib import Path

from fastapi import FastAPI

from assent.store import Store
from assent.store.secrets import installation_secret
from assent.web.app import create_app
from assent.web.service import Service


def app() -> FastAPI:
    """The application of this process, with a store of its own."""
    said = json.loads(os.environ["ASSENT_SERVICE"])
    folder = Path(said["folder"])
    store = Store.open(said["database_url"] or folder / "assent.db")
    return create_app(Service(store, installation_secret(store), folder, said["remote"], tuple(said["hosts"])))
