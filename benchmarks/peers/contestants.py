"""The peers as contestants: processes of another virtual environment, with topics of their own."""

import asyncio
import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.measured import Topics, measure_run
from benchmarks.pairs import Run
from benchmarks.processes import free_port, only_on
from benchmarks.testbed import Testbed

PARTITIONS = 4
WARM_UP = 40  # images
_JOINED = 3.0  # seconds for the last of several processes to get its partitions
_DEADLINE = 120.0  # seconds
_TIMED = {"message.timestamp.type": "LogAppendTime"}  # some results would carry the time of their event


@dataclass(frozen=True)
class Peer:
    """How a peer is run.

    Attributes:
        package: What must be installed.
        commands: Gives the commands of so many processes, after the interpreter, with what they are told.
        scales: Whether it can run in several processes.
        polls: Whether it computes while it has nothing to do, so that it must be halted while others run.
    """

    package: str
    commands: Callable[["Told"], list[list[str]]]
    scales: bool = True
    polls: bool = False


@dataclass(frozen=True)
class Told:
    """What a peer's processes are told.

    Attributes:
        arguments: On the command line.
        processes: How many there shall be.
        port: One that is free.
    """

    arguments: list[str]
    processes: int
    port: int


def _module(name: str, *arguments: str) -> list[str]:
    return ["-m", f"benchmarks.peers.{name}", *arguments]


def _bytewax(told: Told) -> list[list[str]]:
    ports = [told.port, *(free_port() for _ in range(told.processes - 1))]
    addresses = ";".join(f"127.0.0.1:{port}" for port in ports)
    flow = ["-m", "bytewax.run", "benchmarks.peers.bytewax_flow:flow"]
    if told.processes == 1:
        return [flow]
    return [[*flow, "-i", str(index), "-a", addresses] for index in range(told.processes)]


def _mosec(told: Told) -> list[list[str]]:
    port = ["--port", str(told.port)]
    generous = ["--max-request-size", "50000000", "--timeout", "60000"]
    server = _module("mosec_server", *port, "--address", "127.0.0.1", *generous)
    return [server, _module("mosec_consumer", *told.arguments)]


PEERS = {
    "naive": Peer("confluent_kafka", lambda told: [_module("naive", *told.arguments)], scales=False),
    "handwritten": Peer("aiokafka", lambda told: [_module("handwritten", *told.arguments)], scales=False),
    "quix": Peer("quixstreams", lambda told: [_module("quix_app", *told.arguments)] * told.processes),
    "bytewax": Peer("bytewax", _bytewax, polls=True),
    "mosec": Peer("mosec", _mosec),
}


def installed(python: Path, name: str) -> bool:
    """Whether a peer can be run."""
    command = [python, "-c", f"import {PEERS[name].package}"]
    return python.exists() and subprocess.run(command, check=False, capture_output=True).returncode == 0


class Contender:
    """A peer in so many processes. Use as an async context manager; a contestant then."""

    def __init__(
        self, name: str, place: Testbed, python: Path, *, processes: int, model: Path | None
    ) -> None:
        """Describe it.

        Args:
            name: Of the peer.
            place: Where it happens.
            python: The interpreter that has the peer installed.
            processes: How many.
            model: A model folder instead of the default model.
        """
        self.name = name
        unique = f"{name}-{uuid.uuid4().hex[:8]}"
        self._topics = Topics(f"{unique}.uploads", f"{unique}.results", PARTITIONS)
        self._place = place
        self._python = python
        self._model = model
        self._port = free_port()
        self._told = Told(self._arguments(processes), processes, self._port)
        self._processes: list[asyncio.subprocess.Process] = []
        self._next = 1

    def _arguments(self, processes: int) -> list[str]:
        named = {
            "--bootstrap": self._place.bootstrap,
            "--uploads": self._topics.uploads,
            "--results": self._topics.results,
            "--threads": self._place.threads,
            "--processes": processes,
            "--port": self._port,
            **({"--model": self._model} if self._model else {}),
        }
        return [str(word) for pair in named.items() for word in pair]

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._end)
            await _create(self._place.bootstrap, (self._topics.uploads, self._topics.results))
            with only_on(self._place.cores):
                for command in PEERS[self.name].commands(self._told):
                    await self._start(command)
            await self._run("0.2mp", WARM_UP, _DEADLINE)
            await asyncio.sleep(_JOINED)
            await self._run("0.2mp", WARM_UP, _DEADLINE)
            self._halt()
            stack.pop_all()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._end()

    async def run(self, photos: str, images: int) -> Run:
        """Tag so many images of a set."""
        self._signal(signal.SIGCONT)
        try:
            run = await self._run(photos, images, None)
        finally:
            self._halt()
        return replace(run, parts={"processes": self._told.processes, **run.parts})

    async def _run(self, photos: str, images: int, deadline: float | None) -> Run:
        numbers = range(self._next, self._next + images)
        self._next += images
        limit = {} if deadline is None else {"deadline": deadline}
        return (await measure_run(self._place, self._topics, self._pids, photos, numbers, **limit)).run

    def _pids(self) -> Sequence[int]:
        return [process.pid for process in self._processes]

    async def _start(self, command: list[str]) -> None:
        environment = {
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PEER_BOOTSTRAP": self._place.bootstrap,
            "PEER_UPLOADS": self._topics.uploads,
            "PEER_RESULTS": self._topics.results,
            "PEER_PROCESSES": str(self._told.processes),
            "PEER_MODEL": str(self._model or ""),
        }
        with (self._place.folder / f"{self._topics.uploads}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                self._python,
                *command,
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)

    def _halt(self) -> None:
        if PEERS[self.name].polls:
            self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            if process.returncode is None:
                os.killpg(process.pid, number)

    async def _end(self) -> None:
        self._signal(signal.SIGKILL)
        for process in self._processes:
            await process.wait()


async def _create(bootstrap: str, topics: Sequence[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs=_TIMED) for topic in topics])
    finally:
        await admin.close()
