"""A request's body as it comes in: bounded in size, and in how long a caller may take to send it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

from litestar.types import HTTPRequestEvent, HTTPScope, Receive

from streams.gateway.requests.problems import BadCallError, CallerGoneError, TooOftenError

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """How much a request may bring.

    Attributes:
        file: Bytes of a file.
        text: Bytes of one field.
        texts: Bytes of all fields together.
        buffered: Bytes of a body that is no multipart form: it is read as a whole.
        json: Bytes of JSON.
        fields: Fields, or values of arrays.
        idle: Seconds without a byte.
        start: Seconds that every body has, however small.
        rate: Bytes per second that a body must come with in the long run.
    """

    file: int = 100 * MIB
    text: int = MIB
    texts: int = 2 * MIB
    buffered: int = 16 * MIB
    json: int = 2 * MIB
    fields: int = 2048
    idle: float = 30.0
    start: float = 30.0
    rate: float = 4096.0


class Buffers:
    """What whole bodies may take of memory, all together.

    Small ones take nothing: connections bound them, and whoever sends large ones slowly keeps no call out.
    """

    def __init__(self, most: int = 64 * MIB, small: int = MIB // 16) -> None:
        self._free = most
        self._small = small

    def share_of(self, size: int) -> int:
        """Give what a body of so many bytes takes."""
        return max(size - self._small, 0)

    def take(self, size: int) -> None:
        """Take so many bytes.

        Raises:
            TooOftenError: There are not as many.
        """
        if size > self._free:
            raise TooOftenError("Too many large requests at once; try again in a second")
        self._free -= size

    def give_back(self, size: int) -> None:
        """Give bytes back."""
        self._free += size


class Body:
    """The body of one request; read it once."""

    def __init__(self, scope: HTTPScope, receive: Receive, limits: Limits) -> None:
        """Look at what the request's head says of it.

        Raises:
            BadCallError: It is compressed, or its length is no number.
        """
        headers = dict(scope["headers"])
        self._receive = receive
        self._limits = limits
        self.content_type = headers.get(b"content-type", b"").decode("latin-1").strip()
        _check_encoding(headers.get(b"content-encoding", b"").decode("latin-1"))
        self.length = _length(headers.get(b"content-length"))

    async def chunks(self, most: int) -> AsyncIterator[bytes]:
        """Give the body piece by piece, none of them empty.

        Args:
            most: Bytes that it may have.

        Raises:
            BadCallError: It is too large or comes too slowly.
            CallerGoneError: The caller hung up.
        """
        if self.length is not None:
            check_size(self.length, most)
        clock, received = asyncio.get_running_loop().time, 0
        begun = clock()
        while True:
            until = begun + self._limits.start + received / self._limits.rate
            message = await self._next(min(until, clock() + self._limits.idle))
            if chunk := message["body"]:
                received += len(chunk)
                check_size(received, most)
                yield chunk
            if not message["more_body"]:
                return

    async def whole(self, buffers: Buffers) -> bytearray:
        """Give all of a body that is no multipart form; what it took of `buffers` is to be given back."""
        read = bytearray()
        try:
            async for chunk in self.chunks(self._limits.buffered):
                buffers.take(buffers.share_of(len(read) + len(chunk)) - buffers.share_of(len(read)))
                read += chunk
        except BaseException:
            buffers.give_back(buffers.share_of(len(read)))
            raise
        return read

    async def _next(self, until: float) -> HTTPRequestEvent:
        try:
            async with asyncio.timeout_at(until):
                message = await self._receive()
        except TimeoutError:
            raise BadCallError("The request's body comes too slowly, or not at all; send it again") from None
        if message["type"] == "http.disconnect":
            raise CallerGoneError("The caller hung up before the request was whole")
        return cast("HTTPRequestEvent", message)


def check_size(size: int, most: int) -> None:
    """Refuse what is too large.

    Raises:
        BadCallError: It has more bytes than it may.
    """
    if size > most:
        raise BadCallError(f"File size too large. Got {size}. Maximum is {most}; send large files in chunks")


def _check_encoding(encoding: str) -> None:
    if encoding.strip().lower() not in {"", "identity"}:
        raise BadCallError(f"Content-Encoding {encoding[:64]!r} is not accepted; send the body as it is")


def _length(header: bytes | None) -> int | None:
    if header is None:
        return None
    if not header.isdigit():
        raise BadCallError(f"Content-Length {header[:20].decode('latin-1')!r} is no number of bytes")
    return int(header[:20])
