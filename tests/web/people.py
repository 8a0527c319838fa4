"""People with browsers and programs, who reach the service as they really do: over HTTP."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from starlette.testclient import TestClient

from assent.store.sessions import make_link, owner_link
from assent.web import Service, create_app

PASSWORD = "correct horse battery"


class Browser:
    """One person's browser, signed in; changes carry the CSRF token as the pages do."""

    def __init__(self, client: TestClient, name: str) -> None:
        self.client = client
        self.name = name
        found = re.search(r'name="csrf-token" content="([^"]+)"', client.get("/account").text)
        assert found, "no CSRF token in the page"
        self.headers = {"X-CSRF-Token": found[1]}
        self.me = self.get("/me")

    @property
    def id(self) -> int:
        return int(self.me["id"])

    def call(self, method: str, path: str, json: Any = None, headers: dict[str, str] | None = None) -> Any:
        """The bare answer."""
        said = {} if json is None else {"json": json}
        return self.client.request(method, f"/api/v1{path}", headers={**self.headers, **(headers or {})}, **said)

    def get(self, path: str) -> Any:
        return self.done("GET", path)

    def post(self, path: str, json: Any = None, status: int = 200) -> Any:
        return self.done("POST", path, json, status)

    def done(self, method: str, path: str, json: Any = None, status: int = 200) -> Any:
        """What was answered, which must have this status."""
        answer = self.call(method, path, json)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def next(self, **wanted: Any) -> Any:
        """The next assignment; the reason as text if there is none."""
        answer = self.call("POST", "/assignments/next", wanted)
        assert answer.status_code in (200, 204), answer.text
        return answer.json() if answer.status_code == 200 else answer.headers["Assent-Reason"]

    def submit(self, assignment: dict[str, Any], ranks: Sequence[int] = (), status: int = 200, **more: Any) -> Any:
        """Judge; by default in the order shown."""
        count = len(assignment["completions"])
        said = {"ranks": list(ranks) or list(range(1, count + 1)), "seconds": 5.0, **more}
        key = {"Idempotency-Key": assignment["idempotency_key"]}
        answer = self.call("POST", f"/assignments/{assignment['id']}/submit", said, key)
        assert answer.status_code == status, answer.text
        return answer.json()


class House:
    """The service, and everybody in it. The owner is there from the start."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.app = create_app(service)
        self.browsers: dict[str, Browser] = {}
        self._clients: list[TestClient] = []
        self.enter("owner", owner_link(service.store))

    def __call__(self, name: str) -> Browser:
        """The browser of the person of this name; who is not there yet is invited in the role of that name."""
        if name not in self.browsers:
            role = re.sub(r"\d+$", "", name)
            self.enter(name, make_link(self.service.store, role))
        return self.browsers[name]

    def enter(self, name: str, token: str) -> Browser:
        """Somebody follows a link."""
        client = self.client()
        assert client.get(f"/link/{token}").status_code == 200
        # To hash a password takes long on purpose: the owner alone has one.
        said = {"name": name.title(), "login": name, "password": PASSWORD if name == "owner" else ""}
        answer = client.post(f"/link/{token}", data=said)
        assert answer.status_code == 303, answer.text
        self.browsers[name] = Browser(client, name)
        return self.browsers[name]

    def client(self) -> TestClient:
        """A browser that nobody is signed in with."""
        client = TestClient(self.app, follow_redirects=False, raise_server_exceptions=False)
        self._clients.append(client)
        return client

    def __enter__(self) -> House:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()
