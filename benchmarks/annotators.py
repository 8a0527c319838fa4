"""Simulated annotators who reach the service over HTTP, many at once, and send every request twice.

The client is as bare as HTTP allows, so that on a small machine the server is measured and not the client.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


class Lost(Exception):
    """The connection ended before the answer came."""


@dataclass
class Connection:
    """One kept-open connection, made anew when it is lost."""

    port: int
    headers: str = ""
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: Any = None, more: str = "") -> tuple[int, Any]:
        """The status and the JSON content of the answer.

        Raises:
            Lost: the server ended meanwhile; whether it did what it was asked is not known.
        """
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n{self.headers}{more}\r\n"
        )
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self.port)
            reader, writer = self._streams
            writer.write(head.encode() + content)
            return await _answer(reader)
        except (OSError, asyncio.IncompleteReadError, ValueError, IndexError) as error:
            self.close()
            raise Lost from error

    def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def _answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status = int(head.split(" ", 2)[1])
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    content = await reader.readexactly(int(fields.get("content-length", 0)))
    return status, json.loads(content) if content else None


@dataclass
class Tally:
    """What all annotators together saw."""

    acknowledged: dict[int, int] = field(default_factory=dict)  # assignment -> judgement
    submit_seconds: list[float] = field(default_factory=list)
    next_seconds: list[float] = field(default_factory=list)
    requests: int = 0
    differing: int = 0  # a repeated request that was answered otherwise
    failures: dict[str, int] = field(default_factory=dict)  # status and code -> how often

    def failed(self, status: int, found: Any) -> None:
        """Count an answer that is none of those expected."""
        name = f"{status} {found.get('code', '') if isinstance(found, dict) else ''}".strip()
        self.failures[name] = self.failures.get(name, 0) + 1


async def annotate(
    port: int, tokens: Sequence[str], seconds: float, tally: Tally, think: float = 0.0, seed: int = 0
) -> None:
    """One annotator for each token, all at once, for so many seconds.

    Args:
        port: of the service, on loopback.
        tokens: bearer tokens with the scope `judge`.
        seconds: how long.
        tally: filled.
        think: mean seconds between a task and its judgement, exponentially distributed.
        seed: of thinking and of what they say.
    """
    deadline = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for number, token in enumerate(tokens):
            chance = random.Random(f"{seed}:{number}")
            group.create_task(_person(port, token, deadline, tally, think, chance))


async def _person(port: int, token: str, deadline: float, tally: Tally, think: float, chance: random.Random) -> None:
    connection = Connection(port, f"Authorization: Bearer {token}\r\n")
    await asyncio.sleep(chance.random() * think)
    while time.monotonic() < deadline:
        try:
            if not await _one(connection, tally, think, chance):
                await asyncio.sleep(0.2)
        except Lost:
            await asyncio.sleep(0.02)
    connection.close()


async def _one(connection: Connection, tally: Tally, think: float, chance: random.Random) -> bool:
    """Take a task and judge it. False if there was none."""
    path = "/api/v1/assignments"
    begun = time.monotonic()
    status, task = await connection.ask("POST", f"{path}/next", {})
    tally.next_seconds.append(time.monotonic() - begun)
    again, same = await connection.ask("POST", f"{path}/next", {})
    tally.requests += 2
    if status != 200:
        if status != 204:
            tally.failed(status, task)
        return False
    if again == 200 and same["id"] != task["id"]:
        tally.differing += 1
    if think:
        await asyncio.sleep(chance.expovariate(1.0 / think))
    ranks = list(range(1, len(task["completions"]) + 1))
    chance.shuffle(ranks)
    said = {"ranks": ranks, "seconds": 3.0}
    key = f"Idempotency-Key: {task['idempotency_key']}\r\n"
    numbers = []
    for _ in range(2):
        begun = time.monotonic()
        status, found = await connection.ask("POST", f"{path}/{task['id']}/submit", said, key)
        tally.submit_seconds.append(time.monotonic() - begun)
        tally.requests += 1
        if status != 200:
            tally.failed(status, found)
            return True
        numbers.append(found["judgement_id"])
        tally.acknowledged[task["id"]] = found["judgement_id"]
    tally.differing += numbers[0] != numbers[1]
    return True
