"""Records what a real SDK asks for.

It runs a program of examples/move_from_cloudinary, in a folder with its photos:

    PYTHONPATH=tests python -m support.sdk.recording FILE.json FOLDER ruby .../calls.rb
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from support.sdk.recorded import CLOUD, KEY, SECRET, Recorded

BODY = json.dumps(
    {
        "public_id": "koala",
        "version": 1795987445,
        "created_at": "2026-11-24T12:00:00Z",
        "resource_type": "image",
        "type": "upload",
        "tags": [],
        "info": {},
    }
).encode()
HEAD = (
    "HTTP/1.1 200 OK",
    "Content-Type: application/json",
    f"Content-Length: {len(BODY)}",
    "X-FeatureRateLimit-Limit: 500",
    "X-FeatureRateLimit-Remaining: 499",
    "X-FeatureRateLimit-Reset: Wed, 25 Nov 2026 00:00:00 GMT",
    "Connection: close",
    "",
    "",
)


async def read_request(reader: asyncio.StreamReader, photos: Mapping[str, bytes]) -> Recorded:
    """The next request of a connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    if "chunked" not in headers.get("transfer-encoding", ""):
        return Recorded.of(
            head, await reader.readexactly(int(headers.get("content-length", 0))), None, photos
        )
    body, chunks = b"", []
    while size := int(await reader.readline(), 16):
        chunks.append(size)
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return Recorded.of(head, body, chunks, photos)


async def record(folder: Path, photos: Mapping[str, bytes], command: list[str]) -> list[Recorded]:
    """Run a program in a folder, and give what it asks for."""
    requests: list[Recorded] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader, photos))
        writer.write("\r\n".join(HEAD).encode() + BODY)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**20)
    port = server.sockets[0].getsockname()[1]
    url = f"cloudinary://{KEY}:{SECRET}@{CLOUD}?upload_prefix=http://127.0.0.1:{port}"
    environment = {**os.environ, "CLOUDINARY_URL": url}
    program = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environment)
    assert await program.wait() == 0
    server.close()
    return requests


def main() -> None:
    """Record one program's requests into a file."""
    path, folder, command = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    photos = {photo.name: photo.read_bytes() for photo in folder.glob("*.jpg")}
    requests = asyncio.run(record(folder, photos, command))
    path.write_text(json.dumps([asdict(request) for request in requests], indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
