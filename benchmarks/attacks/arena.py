"""Where an attack takes place: a broker, one worker, and an honest client of both that looks on.

The worker has a token for each caller of `TOKENS`, and ends where its event loop is held for longer than
`LOOP_LIMIT`. What the honest client sees is measured by `benchmarks.attacks.onlooker`, a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from aiokafka import AIOKafkaProducer
from support.cluster import Cluster

from benchmarks.processes import Program, resident_mb
from streams.web.access.callers import Scope
from streams.web.access.tokens import lines_of, new_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from pathlib import Path

LOOP_LIMIT = 0.25  # seconds of CPU time; a worker whose loop is held for longer ends, and so does the attack
READER, ADMIN = "reader", "admin"
FOLDED_WITHIN = 300.0  # seconds
HONEST = {"url": "data:,%7B%22koala%22%3A0.9%7D", "tenant": "onlooker"}  # the stub tagger finds a koala


@dataclass(frozen=True)
class Seen:
    """What the honest client saw, in seconds and MB. Uploads without a result are infinitely late."""

    healthz: list[float]
    uploads: list[float]
    memory: list[float]

    @property
    def healthz_max(self) -> float:
        """The slowest answer of `/healthz`."""
        return max(self.healthz, default=float("inf"))

    def upload(self, share: float) -> float:
        """The time that such a share of the uploads took at most: 0.5 for the median."""
        ordered = sorted(self.uploads)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("inf")


@dataclass
class Arena:
    """One worker under attack.

    Attributes:
        cluster: It alone is in there, as number 0.
        tokens: By caller.
        seconds: How long an attack that has no end of its own goes on.
    """

    cluster: Cluster
    tokens: dict[str, str]
    folder: Path
    published: int = 0
    seconds: float = 60.0
    _producer: AIOKafkaProducer | None = field(default=None, repr=False)

    @property
    def port(self) -> int:
        """Where the query API listens."""
        return self.cluster.ports[0]

    @property
    def pid(self) -> int:
        """The worker's process."""
        return self.cluster.processes[0].pid

    @property
    def memory(self) -> float:
        """The worker's memory now, in MB."""
        return resident_mb(self.pid)

    @property
    def alive(self) -> bool:
        """Whether the worker still runs."""
        return self.cluster.processes[0].returncode is None

    async def ask(self, path: str, caller: str = READER, seconds: float = 30) -> httpx.Response:
        """Ask the query API as one of the callers."""
        headers = {"authorization": f"Bearer {self.tokens[caller]}"}
        async with httpx.AsyncClient(trust_env=False, timeout=seconds) as client:
            return await client.get(f"http://127.0.0.1:{self.port}{path}", headers=headers)

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's series that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        lines = (await self.cluster.metrics(0)).splitlines()
        found = (line for line in lines if line.startswith((f"{name}{{", f"{name} ")))
        return sum(float(line.rpartition(" ")[2]) for line in found if all(part in line for part in wanted))

    async def publish(self, events: Iterable[tuple[str, Mapping[str, Any] | bytes]]) -> None:
        """Publish events by their keys, each as JSON or as it is."""
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                bootstrap_servers=self.cluster.bootstrap, linger_ms=5, max_request_size=8_000_000
            )
            await self._producer.start()
        topic, sends = self.cluster.names.uploads, []
        for key, event in events:
            value = event if isinstance(event, bytes) else json.dumps(event).encode()
            sends.append(await self._producer.send(topic, value, key.encode()))
        await asyncio.gather(*sends)
        self.published += len(sends)

    async def until_ready(self, seconds: float = 90) -> None:
        """Wait until the worker has all partitions, loaded."""
        async with asyncio.timeout(seconds):
            while not await self._is_ready():
                await asyncio.sleep(0.2)

    async def _is_ready(self) -> bool:
        if not self.alive:
            raise RuntimeError(f"the worker has ended; its log: {self.cluster.log_path(0)}")
        with contextlib.suppress(httpx.TransportError):
            partitions = (await self.ask("/readyz", ADMIN)).json().get("partitions", [])
            ready = {partition["partition"] for partition in partitions if partition["ready"]}
            return len(ready) == self.cluster.partitions
        return False

    async def until_folded(self, seconds: float = FOLDED_WITHIN) -> None:
        """Wait until all that is in the upload topic has its outcome."""
        async with asyncio.timeout(seconds):
            while (lag := await self._lag()) != 0:
                if not self.alive:
                    raise RuntimeError(f"the worker has ended; its log: {self.cluster.log_path(0)}")
                await asyncio.sleep(0.5 if lag is None or lag > 10 else 0.1)

    async def _lag(self) -> int | None:
        with contextlib.suppress(httpx.TransportError):
            partitions = (await self.ask("/readyz", ADMIN)).json().get("partitions", [])
            lags = [partition["lag"] for partition in partitions]
            return None if None in lags or not lags else sum(lags)
        return None

    @contextlib.asynccontextmanager
    async def watched(self, uploads: float = 5.0, event: Mapping[str, Any] = HONEST) -> AsyncIterator[Seen]:
        """Have the honest client look on meanwhile; it has seen nothing before the end.

        Args:
            uploads: How many it publishes per second.
            event: What it publishes, without the public id.
        """
        seen = Seen([], [], [])
        onlooker = Program("benchmarks.attacks.onlooker")
        await onlooker.start()
        names = self.cluster.names
        await onlooker.ask(
            {
                "port": self.port,
                "pid": self.pid,
                "bootstrap": self.cluster.bootstrap,
                "app_id": names.app_id,
                "prefix": names.prefix,
                "rate": uploads,
                "event": event,
            }
        )
        try:
            yield seen
        finally:
            told = await onlooker.ask({})
            await onlooker.stop()
            for name in ("healthz", "uploads", "memory"):
                getattr(seen, name).extend(told[name])

    async def close(self) -> None:
        """End producer and worker."""
        if self._producer is not None:
            await self._producer.stop()
        await self.cluster.close()


@contextlib.asynccontextmanager
async def open_arena(bootstrap: str, folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Arena]:
    """Start a worker of its own application, and wait until it is ready."""
    tokens = _write_tokens(folder / "tokens.toml")
    settings = {
        "TAGSTREAM_TOKENS": str(folder / "tokens.toml"),
        "TAGSTREAM_LOOP_LIMIT": str(LOOP_LIMIT),
        "TAGSTREAM_RATE_LIMIT": "0",
        "TAGSTREAM_LOG_FORMAT": "json",
        **environment,
    }
    name = f"attack-{uuid.uuid4().hex[:8]}"
    arena = Arena(Cluster(bootstrap, name, folder, environment=settings), tokens, folder)
    try:
        await arena.cluster.start(0)
        await arena.until_ready()
        yield arena
    finally:
        await arena.close()


def _write_tokens(path: Path) -> dict[str, str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    tokens = {READER: new_token(), ADMIN: new_token()}
    scopes = {READER: [Scope.READ], ADMIN: [Scope.READ, Scope.ADMIN]}
    path.touch(0o600)
    path.write_text("\n\n".join(lines_of(token, scopes[name], ["*"], name) for name, token in tokens.items()))
    return tokens
