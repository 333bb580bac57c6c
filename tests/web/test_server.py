"""The worker's own server: how it starts and ends, heads and bodies, what else can be served, the docs."""

import asyncio
import contextlib
import gzip
import re
import socket
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from litestar import post
from litestar.params import RawBody
from litestar.types import Scope as AsgiScope
from support.web_client import client_of, query_app, serving

from schemas.answers.trends import Health
from streams.app.settings import Settings
from streams.web.access.guard import Guard
from streams.web.api.routes import NoParameters, Route
from streams.web.app import MAX_BODY, create_api
from streams.web.connections import MAX_HEAD
from streams.web.door import Entry
from streams.web.server import WebServer


@dataclass
class Idle:
    """A worker without partitions."""

    status: str = "ready"
    units: dict[int, Any] = field(default_factory=dict)
    rules: None = None


async def say(port: int, *pieces: bytes) -> bytes:
    """Send bytes as they are; give all that comes back until the other side closes, also in the middle."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = bytearray()
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        while data := await asyncio.wait_for(reader.read(65_536), 5):
            said += data
    writer.close()
    return bytes(said)


# Start and end


async def test_a_port_that_is_taken() -> None:
    """The fault comes through with the address: a worker says so, and ends."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"\('127\.0\.0\.1', {port}\): (\[errno \d+\] )?address already"):
            await WebServer(query_app(Idle())).start("127.0.0.1", port)


@pytest.mark.parametrize("patient", [True, False])
async def test_a_stop_waits_for_answers(
    patient: bool,  # noqa: FBT001 - a case
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is under way is answered, within the deadline; beyond, it is given up, and no line logged."""
    begun, release = asyncio.Event(), asyncio.Event()

    async def slow(_question: NoParameters) -> Health:
        """Take long."""
        begun.set()
        await release.wait()
        return Health("done", [])

    monkeypatch.setattr("streams.web.server.STOP_DEADLINE", 1)
    server = WebServer(query_app(Idle(), [Route("/slow", NoParameters, Health, slow)]))
    port = await server.start("127.0.0.1", 0)
    answer = asyncio.create_task(say(port, b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    await begun.wait()
    stopping = asyncio.create_task(server.stop())
    while await accepts(port):
        await asyncio.sleep(0.01)
    if patient:
        release.set()
    await stopping
    assert (b'"done"' in await answer) == patient
    assert caplog.records == []


async def accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


# Heads and bodies

PIECE = b"x" * 8192


async def test_a_head_has_a_size() -> None:
    """400, whether it comes whole or in pieces that never end."""
    begin = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: "
    async with serving(query_app(Idle())) as port:
        for pieces in ([begin, *[PIECE] * 1000], [begin + b"x" * MAX_HEAD + b"\r\n\r\n"]):
            answer = await say(port, *pieces)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
        fits = begin + b"x" * (MAX_HEAD - 200) + b"\r\nConnection: close\r\n\r\n"
        assert (await say(port, fits)).startswith(b"HTTP/1.1 200 ")


async def test_no_body_is_unpacked() -> None:
    """Twenty bombs at once: nobody waits, for they are answered unread, and their connections end."""
    bomb = gzip.compress(b"\0" * 100_000_000, 9)
    async with serving(query_app(Idle())) as port, httpx.AsyncClient(trust_env=False) as client:
        head = f"Host: localhost\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
        asked = [
            asyncio.create_task(say(port, method + b" / HTTP/1.1\r\n" + head, bomb))
            for method in (b"POST", b"GET", b"PUT", b"DELETE") * 5
        ]
        waits = []
        while not all(task.done() for task in asked):
            begin = time.perf_counter()
            await client.get(f"http://127.0.0.1:{port}/healthz")
            waits.append(time.perf_counter() - begin)
        assert max(waits, default=0) < 0.5  # one of them takes longer to unpack
        for task in asked:
            answer = await task
            assert answer == b"" or answer.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("size", [b"Content-Length: 3", b"Transfer-Encoding: chunked"])
async def test_a_connection_ends_with_an_unread_body(size: bytes) -> None:
    """Its rest is not waited for; without a body the next question comes over the same connection."""
    async with serving(query_app(Idle())) as port:
        head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
        answer = (await say(port, head + size + b"\r\n\r\n")).lower()
        assert answer.startswith(b"http/1.1 200 ")
        assert b"connection: close\r\n" in answer
        twice = head + b"Content-Length: 0\r\n\r\n" + head + b"Connection: close\r\n\r\n"
        assert (await say(port, twice)).count(b"HTTP/1.1 200 ") == 2


# What else can be served


@post("/echo", status_code=200)
async def echo(body: RawBody, scope: AsgiScope) -> dict[str, Any]:
    """Give a body back."""
    caller = scope["user"]
    return {"size": len(body), "caller": caller.name if caller else None}


async def test_other_handlers_are_behind_the_door(tmp_path: Any) -> None:  # noqa: ANN401
    """A handler of Litestar's is for callers, unless its path is named; its body has a bounded size."""
    tokens = tmp_path / "tokens.toml"
    tokens.write_text("")
    tokens.chmod(0o600)
    guard = Guard.of(Settings(tokens=tokens))
    closed = create_api([], guard=guard, handlers=[echo])
    async with client_of(closed) as client, client.post("/echo", data=b"abc") as answer:
        assert (answer.status, (await answer.json())["error"]) == (401, "token_missing")
    opened = create_api([], guard=guard, handlers=[echo], entries={"/echo": Entry.COUNTED})
    async with client_of(opened) as client:
        async with client.post("/echo", data=b"abc") as answer:
            assert await answer.json() == {"size": 3, "caller": None}
        async with client.post("/echo", data=b"x" * (MAX_BODY + 1)) as answer:
            assert (answer.status, (await answer.json())["error"]) == (413, "http_413")
        async with client.get("/echo") as answer:
            assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_the_docs_need_nothing_from_elsewhere() -> None:
    """One page, of every operation; a browser may run no script and load nothing."""
    async with client_of(query_app(Idle())) as client:
        async with client.get("/docs") as answer:
            page, policy = await answer.text(), answer.headers["content-security-policy"]
        assert answer.content_type == "text/html"
        assert "GET /healthz" in page
        assert not re.search(r"<script|<link|<img|src=|https?:", page)
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        for path in ("/docs/", "/docs/openapi.json", "/docs/elsewhere"):
            async with client.get(path) as answer:
                assert (answer.status, (await answer.json())["error"]) == (404, "http_404")
