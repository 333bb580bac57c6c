"""A real HTTP server on loopback: it serves the sample photos, and misbehaves where a test asks for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Script = Callable[["Connection"], Awaitable[None]]

PHOTOS = Path(__file__).parents[2] / "streams" / "photos"


class Connection:
    """One client's connection.

    Attributes:
        head: The request that is being answered, from its request line to its last header.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = b""
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def gone(self) -> None:
        """Wait until the client closes."""
        await self._reader.read()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


class PhotoServer:
    """The server. `/NAME.jpg` is a sample photo; `scripts` maps other paths to what happens there.

    Attributes:
        targets: The request targets that were asked for, in order.
        accepted: How many connections were opened so far.
        open: How many are open now.
        busy: How many requests of each Host header are being answered now.
        most_busy: How many that were at most.
    """

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.targets: list[str] = []
        self.heads: list[bytes] = []
        self.accepted = 0
        self.open = 0
        self.busy: Counter[str] = Counter()
        self.most_busy: Counter[str] = Counter()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.create_task(self._converse(Connection(reader, writer), reader))
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)

    async def _converse(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        self.accepted += 1
        self.open += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    first = await reader.readexactly(1)
                    if first == b"\x16":  # a TLS handshake: answer as web servers do
                        await connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                        break
                    connection.head = first + await reader.readuntil(b"\r\n\r\n")
                    await self._answer(connection)
        finally:
            self.open -= 1
            await connection.close()

    async def _answer(self, connection: Connection) -> None:
        lines = connection.head.decode("latin-1").split("\r\n")
        target = lines[0].split(" ")[1]
        host = next(line[6:] for line in lines if line.lower().startswith("host: "))
        self.targets.append(target)
        self.heads.append(connection.head)
        path = target.partition("?")[0]
        self.busy[host] += 1
        self.most_busy[host] = max(self.most_busy[host], self.busy[host])
        try:
            await self.scripts.get(path, _photo(path))(connection)
        finally:
            self.busy[host] -= 1


def _photo(path: str) -> Script:
    photo = PHOTOS / path.lstrip("/")
    if path.endswith(".jpg") and photo.is_file():
        return says("200 OK", "content-type: image/jpeg", body=photo.read_bytes())
    return says("404 Not Found")


def says(status: str, *headers: str, body: bytes = b"") -> Script:
    """Answer in good form, and keep the connection."""
    lines = [f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}", "", ""]
    return writes("\r\n".join(lines).encode("latin-1") + body, close=False)


def writes(data: bytes, *, close: bool = True) -> Script:
    """Write just these bytes."""

    async def script(connection: Connection) -> None:
        await connection.send(data)
        if close:
            raise ConnectionAbortedError

    return script


def drips(head: bytes, piece: bytes, every: float) -> Script:
    """Write a piece now and then, without end."""

    async def script(connection: Connection) -> None:
        await connection.send(head)
        while True:
            await connection.send(piece)
            await asyncio.sleep(every)

    return script


def floods(head: bytes, piece: bytes) -> Script:
    """Write pieces as fast as they are taken, without end."""
    return drips(head, piece, 0)


def says_later(seconds: float, script: Script) -> Script:
    """Do it after a while."""

    async def late(connection: Connection) -> None:
        await asyncio.sleep(seconds)
        await script(connection)

    return late


async def hangs(connection: Connection) -> None:
    """Say nothing until the client leaves."""
    await connection.gone()
    raise ConnectionAbortedError
