"""Compressed bodies that explode, from strangers without a token, over a hundred connections at once."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import zlib
from typing import TYPE_CHECKING

from benchmarks.attacks.checks import Check

if TYPE_CHECKING:
    from benchmarks.attacks.arena import Arena

SETTINGS = {"TAGSTREAM_TAGGER": "stub"}
LOOP = 0.05
CONNECTIONS = 100
ROUNDS = 3
UNPACKED = 400_000_000  # bytes
PATIENCE = 30.0  # seconds
HEALTHZ = 0.1


async def attack(arena: Arena) -> list[Check]:
    """Send them to paths that are there and to some that are not, by methods that have bodies and others."""
    before = arena.memory
    zeros = bytes(UNPACKED)
    bodies = {"gzip": gzip.compress(zeros, 9), "deflate": zlib.compress(zeros, 9)}
    del zeros
    requests = [
        (method, path, coding)
        for method in ("POST", "GET", "PUT")
        for path in ("/", "/healthz", "/trends/top", "/images/koala")
        for coding in bodies
    ]
    async with arena.watched() as seen:
        for _ in range(ROUNDS):
            async with asyncio.TaskGroup() as tasks:
                for number in range(CONNECTIONS):
                    method, path, coding = requests[number % len(requests)]
                    tasks.create_task(_send(arena.port, f"{method} {path}", coding, bodies[coding]))
    return [
        Check("slowest answer of /healthz, s", seen.healthz_max, HEALTHZ, clocked=True),
        Check("memory above that before, MB", max(seen.memory) - before, 60),
    ]


async def _send(port: int, line: str, coding: str, body: bytes) -> None:
    coded = f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}"
    head = f"{line} HTTP/1.1\r\nHost: localhost\r\n{coded}\r\n\r\n"
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode() + body)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            await reader.read()
            writer.close()
