"""A client of the feedback service's API, for programs; it needs the standard library alone.

client = Client("http://127.0.0.1:8000", token)
while assignment := client.next():
    client.submit(assignment, ranks=[2, 1])
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from assent.types.errors import AssentError, WorkspaceError

RETRIED = (429, 503)


class AnswerError(AssentError):
    """The service refused; `status` and `code` say how."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = code


class Client:
    """One program's connection to a service. Not to be shared among threads.

    Every call is tried again after a lost connection or a busy server. That is safe: a judgement carries its
    assignment's idempotency key, and to ask for the next task gives the one that is held already.

    Args:
        url: where the service is, e.g. `http://127.0.0.1:8000`.
        token: from the service, with the scopes that the calls need.
        tries: of each call.
        timeout: of each try, in seconds.
    """

    def __init__(self, url: str, token: str, tries: int = 5, timeout: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a service's address begins with http:// or https://, got {url!r}")
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=timeout, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._tries = tries
        self.reason = ""  # why `next` gave nothing

    def next(self, campaign: int | None = None, beside: Sequence[int] = ()) -> dict[str, Any] | None:
        """The next assignment, as the page gets it; None if there is none, and `reason` says why."""
        status, headers, found = self._call("POST", "/assignments/next", {"campaign": campaign, "beside": list(beside)})
        self.reason = headers.get("assent-reason", "") if status == 204 else ""
        return None if status == 204 else dict(found)

    def submit(self, assignment: Mapping[str, Any], ranks: Sequence[int], **more: Any) -> dict[str, Any]:
        """Record a judgement: ranks by slot, 1 for the best; more fields as in the API's `Answer`."""
        key = {"Idempotency-Key": str(assignment["idempotency_key"])}
        said = {"ranks": list(ranks), **more}
        return dict(self._call("POST", f"/assignments/{assignment['id']}/submit", said, key)[2])

    def decline(self, assignment: Mapping[str, Any], reason: str = "skip") -> None:
        """Give a task back: `skip` or `cannot-judge`."""
        self._call("POST", f"/assignments/{assignment['id']}/decline", {"reason": reason})

    def take_up(self, assignment: Mapping[str, Any]) -> dict[str, Any]:
        """Hold a task again that was given back."""
        return dict(self._call("POST", f"/assignments/{assignment['id']}/take-up", {})[2])

    def judgements(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """All judgements as they stand now, page by page. Filters: `run_id`, `person_id`, `task_id`."""
        after: int | None = 0
        while after is not None:
            page = self.get("/judgements", after=after, limit=200, **filters)
            yield from page["items"]
            after = page["next"]

    def freeze(self, run_ids: Sequence[str], **rules: Any) -> dict[str, Any]:
        """Freeze a dataset version of these runs' judgements; rules as in the API's `FreezeIn`."""
        return dict(self._call("POST", "/datasets", {"run_ids": list(run_ids), **rules})[2])

    def lines(self, dataset: str, split: str) -> Iterator[dict[str, Any]]:
        """The lines of a split of a dataset version."""
        after: int | None = 0
        while after is not None:
            page = self.get(f"/datasets/{quote(dataset, safe='')}/{split}", after=after, limit=200)
            yield from page["items"]
            after = page["next"]

    def get(self, path: str, **query: Any) -> Any:
        """What any GET of the API answers, e.g. `get("/campaigns")`."""
        asked = urlencode({name: value for name, value in query.items() if value is not None})
        return self._call("GET", f"{path}?{asked}" if asked else path)[2]

    def post(self, path: str, said: Mapping[str, Any] | None = None) -> Any:
        """What any POST of the API answers. It is not repeated after a lost connection: it may have been done."""
        return self._call("POST", path, said or {}, once=True)[2]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _call(
        self,
        method: str,
        path: str,
        said: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> tuple[int, dict[str, str], Any]:
        body = None if said is None else json.dumps(said).encode()
        for attempt in range(1, self._tries + 1):
            try:
                status, answered, text = self._ask(method, path, body, {**self._headers, **(headers or {})})
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                if once or attempt == self._tries:
                    raise WorkspaceError(f"the service does not answer: {error}", "Is `assent up` running?") from error
            else:
                if status not in RETRIED or attempt == self._tries:
                    return status, answered, _content(status, text)
            time.sleep(min(2.0, 0.1 * 2**attempt))
        raise AssertionError("the last try returns or raises")

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        self._connection.request(method, f"/api/v1{path}", body, dict(headers))
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text


def _content(status: int, text: bytes) -> Any:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        found = {"error": text.decode(errors="replace")[:500]}
    if status >= 400:
        raise AnswerError(status, found.get("code", ""), found.get("error", f"status {status}"), found.get("hint", ""))
    return found
