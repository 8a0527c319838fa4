"""The service over a small store, on SQLite and on PostgreSQL, and people in every role."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from assent.store import NewTask, Store, Workspace, add_completions, add_prompts, add_tasks, start_run
from assent.store.campaigns import serve_the_loop
from assent.store.secrets import installation_secret
from assent.types.messages import user_prompt
from assent.types.protocols import SamplingParams
from assent.web import Service
from assent.web.limits import Limit, RateLimits
from tests.unit.store.conftest import Clock, rollouts_of
from tests.web.people import House
from tests.web.postgres import binaries, cluster

NO_LIMITS = Limit(1_000_000, 1.0)
# For tests whose SQL others send to PostgreSQL already: there they run in `make test-all` alone.
MOSTLY_SQLITE = ("sqlite", pytest.param("postgresql", marks=pytest.mark.slow))
mostly_sqlite = pytest.mark.parametrize("database_url", MOSTLY_SQLITE, indirect=True)
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The beginning of a cluster's URLs, with an empty database `pattern` of the newest schema."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed: make postgres")
    with cluster() as url:
        create_database(url, "pattern")
        Store.open(url + "pattern").close()
        yield url


def create_database(url: str, name: str, pattern: str = "template1") -> str:
    """A new database; returns its URL."""
    engine = create_engine(url + "postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {pattern}"))
    engine.dispose()
    return url + name


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, workspace: Workspace) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{workspace.database}"
    return new_database(request)


def new_database(request: pytest.FixtureRequest, pattern: str = "pattern") -> str:
    """A database of the test's own on PostgreSQL, like this one; returns its URL."""
    return create_database(request.getfixturevalue("postgres"), f"test{next(_numbers)}", pattern)


@pytest.fixture(scope="session")
def empty_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once, as its migrations take a while, and copied for each test."""
    return Workspace.create(tmp_path_factory.mktemp("pattern") / "w").path


@pytest.fixture
def workspace(tmp_path: Path, empty_workspace: Path) -> Workspace:
    shutil.copytree(empty_workspace, tmp_path / "w")
    return Workspace(tmp_path / "w")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database_url: str, clock: Clock) -> Iterator[Store]:
    with Store.open(database_url, now=clock) as opened:
        yield opened


@pytest.fixture
def make_run(store: Store) -> Callable[..., list[int]]:
    """Makes a run with tasks, each over completions of a prompt of its own; returns the tasks' ids."""

    def make(
        run_id: str = "round1-sample",
        tasks: int = 4,
        overlap: int = 1,
        purpose: str = "train",
        kind: str = "sample",
        count: int = 3,
    ) -> list[int]:
        prompts = add_prompts(store, [user_prompt(f"{run_id} {purpose}: question {i}?") for i in range(tasks)])
        start_run(store, run_id, kind, 1, {"purpose": "test"})
        version = f"sft-{purpose}"
        ids = add_completions(store, run_id, prompts, rollouts_of(tasks, count, version), SamplingParams(1.0, 8))
        rows = [
            NewTask(prompt, tuple(ids[count * i : count * (i + 1)]), overlap=overlap, purpose=purpose)
            for i, prompt in enumerate(prompts)
        ]
        return add_tasks(store, run_id, rows)

    return make


@pytest.fixture
def service(store: Store, workspace: Workspace) -> Service:
    serve_the_loop(store)
    limits = RateLimits(sign_in=NO_LIMITS, submit=NO_LIMITS)
    return Service(store, installation_secret(store), workspace.path, hosts=("testserver",), limits=limits)


@pytest.fixture
def house(service: Service) -> Iterator[House]:
    """The service with its people; `house("annotator")` is a browser that one of them uses."""
    with House(service) as opened:
        yield opened
