"""Where a benchmark takes place: a broker and an image server, each a process of its own."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.processes import Program, children, cpu_seconds, only_on
from streams.app.cores import available_cores
from streams.cli.local.embedded_broker import EmbeddedBroker


@dataclass(frozen=True)
class Testbed:
    """What everybody uses.

    Attributes:
        bootstrap: The broker's address.
        server: The image server's URL.
        folder: For files.
        cores: Where those who are measured run; None: anywhere.
        broker_pids: The broker's processes.
        server_pid: The image server's.
    """

    bootstrap: str
    server: str
    folder: Path
    cores: set[int] | None
    broker_pids: list[int]
    server_pid: int

    @property
    def threads(self) -> int:
        """How many threads whoever is measured decodes and infers with."""
        return len(self.cores) if self.cores else available_cores()

    def cpu_seconds(self) -> dict[str, float]:
        """The CPU time that the servers have taken so far."""
        return {"broker": cpu_seconds(*self.broker_pids), "image_server": cpu_seconds(self.server_pid)}


@asynccontextmanager
async def open_testbed(*, pinned: bool = False, photos: Path | None = None) -> AsyncIterator[Testbed]:
    """Start the servers.

    Args:
        pinned: Keep those who are measured on the first core, and the servers on the others.
        photos: A folder of photos to use instead of the samples.
    """
    first, *others = sorted(os.sched_getaffinity(0))
    if pinned and not others:
        raise SystemExit("--pinned needs two cores or more")
    image_server = Program("benchmarks.image_server", *(["--photos", str(photos)] if photos else []))
    with TemporaryDirectory() as folder, only_on(set(others) if pinned else None):
        port = await image_server.start()
        before = set(children(os.getpid()))
        with EmbeddedBroker(Path(folder) / "kafka", 0) as broker:
            try:
                yield Testbed(
                    bootstrap=broker.bootstrap_servers,
                    server=f"http://127.0.0.1:{port}",
                    folder=Path(folder),
                    cores={first} if pinned else None,
                    broker_pids=sorted(set(children(os.getpid())) - before),
                    server_pid=image_server.pid,
                )
            finally:
                await image_server.stop()
