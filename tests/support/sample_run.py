"""`tagstream run` as a test starts it: with topics, ports and files of its own."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from support.cluster import free_port


@dataclass(frozen=True)
class SampleRun:
    """A run of the samples.

    Attributes:
        process: The command.
        port: Where its API is.
        photo_port: Where its worker may fetch photos from.
        environment: What leads other commands to its broker, topics and API.
    """

    process: asyncio.subprocess.Process
    port: int
    photo_port: int
    environment: Mapping[str, str]

    async def is_up(self) -> None:
        """Wait until it has tagged the samples and stays up."""
        assert self.process.stdout is not None
        async with asyncio.timeout(120):
            while b"Ctrl-C" not in (line := await self.process.stdout.readline()):
                assert line, "it has ended"


@contextlib.asynccontextmanager
async def sample_run(
    kafka: str, unique: str, folder: Path, *flags: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[SampleRun]:
    """Start it; it is stopped in the end."""
    port, photo_port = free_port(), free_port()
    environment = {
        **os.environ,
        "COLUMNS": "200",
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "TAGSTREAM_APP_ID": unique,
        "TAGSTREAM_TOPIC_PREFIX": f"{unique}.",
        "TAGSTREAM_API": f"http://127.0.0.1:{port}",
        "TAGSTREAM_GATEWAY_PORT": str(free_port()),
        **(settings or {}),
    }
    arguments = ["--data-dir", str(folder / "data"), "--web-port", str(port), "--photo-port", str(photo_port)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", "run", *flags, *arguments),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield SampleRun(process, port, photo_port, environment)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
