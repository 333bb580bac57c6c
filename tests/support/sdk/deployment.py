"""A worker and a gateway with one cloud, as SDKs and strangers reach them."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.examples import PHOTOS
from support.gateway.gateways import GatewayCluster
from support.hostile.caller import Caller
from support.sdk.recorded import CLOUD, KEY, SECRET

CREDENTIALS = f"""
[[cloud]]
name = "{CLOUD}"

[[cloud.key]]
id = "{KEY}"
secret = "{SECRET}"

[[cloud]]
name = "elsewhere"

[[cloud.key]]
id = "elsewhere"
secret = "another-secret"
"""


@dataclass(frozen=True)
class Gateway:
    """Where a gateway listens, and what lies behind it."""

    cluster: GatewayCluster

    caller = Caller(CLOUD, KEY, SECRET)

    @property
    def url(self) -> str:
        """CLOUDINARY_URL."""
        return f"cloudinary://{KEY}:{SECRET}@{CLOUD}?upload_prefix=http://127.0.0.1:{self.port}"

    @property
    def photos(self) -> dict[str, bytes]:
        """The photos of the announcement, by the names that its calls give them."""
        names = {"koala.jpg": "koala.jpg", "landscape.jpg": "mountain.jpg"}
        return {name: (PHOTOS / photo).read_bytes() for name, photo in names.items()}

    @property
    def stored(self) -> set[str]:
        """Names of all objects."""
        return set(self.cluster.stored())

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.cluster.gateway_ports[0]

    async def ask(self, request: bytes, seconds: float = 60) -> tuple[int, Any]:
        """Status and JSON that answer a request's bytes; 0 if the connection ends without."""
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**22)
            try:
                sending = asyncio.create_task(_send(writer, request))
                answer = await _answer(reader)
                sending.cancel()
            finally:
                writer.close()
        return answer


@contextlib.asynccontextmanager
async def running_gateway(bootstrap: str, folder: Path) -> AsyncIterator[Gateway]:
    """One process that tags, answers and takes calls, with the real model."""
    credentials = folder / "credentials.toml"
    credentials.write_text(CREDENTIALS, "utf-8")
    credentials.chmod(0o600)
    environment = {"TAGSTREAM_TAGGER": "onnx", "TAGSTREAM_CREDENTIALS": str(credentials)}
    cluster = GatewayCluster(bootstrap, f"sdk-{uuid.uuid4().hex[:12]}", folder, environment=environment)
    try:
        await cluster.start_as(0, "tag,query,gateway")
        await cluster.until_ready([0], 120)
        await cluster.until_gateways([0])
        yield Gateway(cluster)
    finally:
        await cluster.close()


async def _send(writer: asyncio.StreamWriter, request: bytes) -> None:
    try:
        for start in range(0, len(request), 2**16):
            writer.write(request[start : start + 2**16])
            await writer.drain()
    except ConnectionError:
        pass  # who refuses a body need not read it


async def _answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
    except (ConnectionError, asyncio.IncompleteReadError):
        return 0, None
    return int(head.split(b" ", 2)[1]), json.loads(body) if body else None
