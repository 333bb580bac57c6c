"""A hostile source: a process of its own that answers as its paths say.

    python -m benchmarks.attacks.hostile_server ADDRESS

`/dear/N` is an image that costs much, another one for each N; `/hang/N` is never answered, `/drip/N` never
ends; `/wire/KIND/N` sends what is no body, without end. The first line says the port; whatever is asked on
standard input is answered with how many bytes each kind has sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import sys
import zlib
from collections import Counter

import orjson

_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
WIRE = {
    "zeros": (_CHUNKED, b"0" * 65_536),
    "extension": (_CHUNKED + b"5;", b"a" * 65_536),
    "bytes": (_CHUNKED, b"1\r\nx\r\n" * 10_000),
    "trailers": (_CHUNKED + b"1\r\nx\r\n0\r\n", b"A: b\r\n" * 10_000),
    "hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 1_500),
    "reason": (b"HTTP/1.1 200 ", b"A" * 65_536),
}
"""What is no body, by kind: what comes first, and what comes again and again."""

_SIDE = 7_071  # pixels: half a hundred million in all, as many as are decoded
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIXEL = 8  # bytes: four colours of 16 bits
_PAETH = b"\x04"
_DRIP_INTERVAL = 0.5  # seconds


def dear_png() -> bytes:
    """Interlaced, 16 bits, filtered by Paeth: some seconds of CPU time in less than half a megabyte."""
    packer, data = zlib.compressobj(6), []
    for left, top, across, down in _PASSES:
        row = _PAETH + b"\x01" * (-(-(_SIDE - left) // across) * _PIXEL)
        data += [packer.compress(row) for _ in range(-(-(_SIDE - top) // down))]
    data.append(packer.flush())
    head = struct.pack(">IIBBBBB", _SIDE, _SIDE - 1, 16, 6, 0, 0, 1)
    parts = ((b"IHDR", head), (b"IDAT", b"".join(data)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


class HostileServer:
    """Answers, and counts what was sent."""

    def __init__(self, image: bytes) -> None:
        self.sent: Counter[str] = Counter()
        self._image = image
        self._never = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection until it breaks."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                kind, *rest = head.split()[1].decode("latin-1").strip("/").split("/")
                await self._answer(kind, rest[0], writer)
        writer.close()

    async def _answer(self, kind: str, detail: str, writer: asyncio.StreamWriter) -> None:
        match kind:
            case "dear":
                body = self._image + os.urandom(8)  # behind its end: no image is known already
                await self._send(kind, b"%bContent-Length: %d\r\n\r\n%b" % (_OK, len(body), body), writer)
            case "hang":
                await self._never.wait()
            case "drip":
                await self._send(kind, b"%bContent-Length: 1000000\r\n\r\n" % _OK, writer)
                while True:
                    await self._send(kind, b"\xff", writer)
                    await asyncio.sleep(_DRIP_INTERVAL)
            case "wire":
                first, again = WIRE[detail]
                await self._send(detail, first, writer)
                while True:
                    await self._send(detail, again, writer)

    async def _send(self, kind: str, data: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        self.sent[kind] += len(data)


async def main(address: str) -> None:
    """Serve until killed."""
    hostile = HostileServer(dear_png())
    server = await asyncio.start_server(hostile.answer, address, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(orjson.dumps(hostile.sent).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
