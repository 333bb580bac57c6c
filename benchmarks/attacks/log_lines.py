"""Thousands of requests that are broken in many ways: nothing that a stranger sends fills the log."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from benchmarks.attacks.checks import Check

if TYPE_CHECKING:
    from benchmarks.attacks.arena import Arena

SETTINGS = {"TAGSTREAM_TAGGER": "stub"}
LOOP = 0.05
REQUESTS = 3000
AT_ONCE = 20
PATIENCE = 10.0  # seconds
_HOST = b"Host: localhost\r\n"
BROKEN = (
    b"POST / HTTP/1.1\r\n" + _HOST + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /healthz HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /trends/top HTTP/9.9\r\n" + _HOST + b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"GET /%ff%fe?%ff=%00 HTTP/1.1\r\n" + _HOST + b"Authorization: Bearer \xff\xfe\r\n\r\n",
    b"GET /trends/top?limit=koala HTTP/1.1\r\nHost: koala.example\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n" + _HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"CONNECT example.com:443 HTTP/1.1\r\n" + _HOST + b"\r\n",
    b"GET /images/x HTTP/1.1\r\n" + _HOST + b"Content-Length: -1\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n" + _HOST + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
)


async def attack(arena: Arena) -> list[Check]:
    """Send each of them hundreds of times, and do not wait for more than a second."""
    log = arena.cluster.log_path(0)
    before = log.stat().st_size
    at_once = asyncio.Semaphore(AT_ONCE)
    async with arena.watched() as seen, asyncio.TaskGroup() as tasks:
        for number in range(REQUESTS):
            tasks.create_task(_send(arena.port, BROKEN[number % len(BROKEN)], at_once))
    written = log.read_bytes()[before:]
    return [
        Check("bytes written to the log", len(written), 10_000),
        Check("tracebacks written to the log", written.count(b"Traceback"), 0),
        Check("slowest answer of /healthz, s", seen.healthz_max, 0.1, clocked=True),
    ]


async def _send(port: int, request: bytes, at_once: asyncio.Semaphore) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        async with at_once, asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            writer.write_eof()
            await reader.read()
            writer.close()
