"""The HTTP server that benchmarks fetch from: a process of its own, everything in memory.

    python -m benchmarks.image_server [--port 8099] [--photos FOLDER]

`/SET/NUMBER` is a photo of the set, another one for each next number. Each answer carries the number in a
JPEG comment, so no two have the same bytes, and nothing is spared by remembering what was seen before. It is
as cheap as Python can be (a protocol on uvloop): on a machine with few cores it takes time from those who are
measured, from all of them alike. `/tags-1000/NUMBER` is an "image" for the stub tagger, with some of 1,000
tags.
"""

import asyncio
import json
import random
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.photo_sets import load_sets
from benchmarks.program import parser_of

TAGS = "tags-"  # and a number of tags: the set of "images" for the stub tagger
_TAGS_PER_IMAGE = 8
_START_OF_IMAGE = 2  # bytes
_LOST = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


class _Conversation(asyncio.Protocol):
    """Answers the requests of one connection, in order."""

    def __init__(self, sets: dict[str, list[bytes]]) -> None:
        self._sets = sets
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for request in requests:
            self._answer(request.split(b" ", 2)[1].decode("latin-1"))

    def _answer(self, target: str) -> None:
        if self._transport is None:
            raise RuntimeError("an answer before the connection")
        _, name, number = target.split("/")
        if name.startswith(TAGS):
            self._transport.write(tags_answer(int(name.removeprefix(TAGS)), int(number)))
            return
        photos = self._sets.get(name)
        if photos is None:
            self._transport.write(_LOST)
            return
        self._transport.writelines(answer(photos[int(number) % len(photos)], int(number)))


def answer(photo: bytes, number: int) -> list[bytes | memoryview]:
    """The parts of an answer whose body is the photo with a number in it."""
    comment = b"\xff\xfe\x00\x0a" + number.to_bytes(8)
    length = len(photo) + len(comment)
    head = f"HTTP/1.1 200 OK\r\ncontent-type: image/jpeg\r\ncontent-length: {length}\r\n\r\n".encode()
    return [head + photo[:_START_OF_IMAGE] + comment, memoryview(photo)[_START_OF_IMAGE:]]


def tags_answer(tags: int, number: int) -> bytes:
    """An answer for the stub tagger: eight tags, by Zipf's law, the same for the same number."""
    chance = random.Random(number)
    names = {f"tag{int(tags ** chance.random()) - 1}": 0.9 for _ in range(_TAGS_PER_IMAGE)}
    body = json.dumps(names).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def serve(sets: dict[str, list[bytes]], port: int) -> None:
    """Serve until killed; the first line says where."""
    server = await asyncio.get_running_loop().create_server(lambda: _Conversation(sets), "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = parser_of(__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--photos", type=Path, help="a folder of JPEG files to use instead of the samples")
    options = parser.parse_args()
    uvloop.run(serve(load_sets(options.photos), options.port))


if __name__ == "__main__":
    main()
