"""Workers as processes, to be started, killed and asked; and an independent client of their topics."""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from support.judge.recent import settled

from schemas.topics import OFFSET_KEY, TopicNames, split_topics
from schemas.uploads import UploadData
from streams.kafka.admin import open_admin, partition_counts
from streams.kafka.connection import KafkaConnection


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


LOOP_WATCHED = {"TAGSTREAM_LOOP_LIMIT": "0.5"}
"""For workers under load: one whose event loop is held for longer ends, as no test expects."""
TAGSTREAM_WORKER = (sys.executable, "-m", "streams.cli", "worker")
FAUST_WORKER = (sys.executable, "-m", "faust", "-A", "streams.app", "worker")


@dataclass
class Cluster:
    """Workers of one application, each a process of its own, started by either command."""

    bootstrap: str
    name: str
    folder: Path
    partitions: int = 4
    environment: dict[str, str] = field(default_factory=dict)
    ports: dict[int, int] = field(default_factory=dict)
    metrics_ports: dict[int, int] = field(default_factory=dict)
    processes: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)
    command: Sequence[str] = TAGSTREAM_WORKER

    @property
    def names(self) -> TopicNames:
        inputs = split_topics(self.environment.get("TAGSTREAM_UPLOADS_TOPICS", ""))
        streams = split_topics(self.environment.get("TAGSTREAM_STREAMS", ""))
        return TopicNames(self.name, f"{self.name}.", inputs, streams=streams)

    async def start(self, worker: int) -> None:
        """Start a worker, or start it again after a kill."""
        port = self.ports.setdefault(worker, free_port())
        environment = {
            "TAGSTREAM_APP_ID": self.name,
            "TAGSTREAM_TOPIC_PREFIX": f"{self.name}.",
            "TAGSTREAM_PARTITIONS": str(self.partitions),
            "TAGSTREAM_INSTANCE_ID": f"{self.name}-{worker}",
            "TAGSTREAM_WEB_PORT": str(port),
            "TAGSTREAM_METRICS_PORT": str(self.metrics_ports.setdefault(worker, free_port())),
            "TAGSTREAM_DATA_DIR": str(self.folder / f"worker-{worker}"),
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            **self.environment,
        }
        with self.log_path(worker).open("ab") as log:
            self.processes[worker] = await asyncio.create_subprocess_exec(
                *self.command,
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
            )

    def log_path(self, worker: int) -> Path:
        return self.folder / f"worker-{worker}.log"

    def signal(self, worker: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.processes[worker].send_signal(number)

    async def kill(self, worker: int) -> None:
        """kill -9."""
        self.signal(worker, signal.SIGKILL)
        await self.processes[worker].wait()

    async def ended(self, worker: int, seconds: float = 150) -> int:
        """Wait until a worker has ended by itself; return its exit code."""
        return await asyncio.wait_for(self.processes[worker].wait(), seconds)

    async def stop(self, worker: int) -> int:
        """Ask a worker to stop; return its exit code."""
        self.signal(worker, signal.SIGTERM)
        return await asyncio.wait_for(self.processes[worker].wait(), 120)

    async def close(self) -> None:
        for worker, process in self.processes.items():
            if process.returncode is None:
                self.signal(worker, signal.SIGCONT)
                await self.kill(worker)

    async def get(self, worker: int, path: str) -> Any:  # noqa: ANN401 - JSON
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{self.ports[worker]}{path}")
            return answer.json()

    async def metrics(self, worker: int, accept: str = "") -> str:
        """What a worker tells Prometheus."""
        async with httpx.AsyncClient(trust_env=False) as client:
            address = f"http://127.0.0.1:{self.metrics_ports[worker]}/metrics"
            answer = await client.get(address, headers={"accept": accept}, timeout=10)
            answer.raise_for_status()
            return answer.text

    async def until_ready(self, workers: Iterable[int], seconds: float = 60) -> None:
        """Wait until each of these workers answers, and they have all partitions between them, loaded."""
        async with asyncio.timeout(seconds):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    answers = [await self.get(worker, "/readyz") for worker in workers]
                    states = itertools.chain.from_iterable(answer["partitions"] for answer in answers)
                    if len({state["partition"] for state in states if state["ready"]}) == self.partitions:
                        return
                await asyncio.sleep(0.2)

    async def publish(self, events: Sequence[UploadData]) -> None:
        await self.publish_raw(
            [((event.public_id or "").encode(), msgspec.json.encode(event), []) for event in events]
        )

    async def publish_raw(
        self, records: Iterable[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]]
    ) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=10, enable_idempotence=True)
        await producer.start()
        try:
            sends = [
                await producer.send(self.names.uploads, value, key, headers=headers)
                for key, value, headers in records
            ]
            await asyncio.gather(*sends)
        finally:
            await producer.stop()

    async def read(self, topic: str) -> list[ConsumerRecord]:
        """Read every committed record of a topic, as any client of the broker would see it."""
        own = topic in self.names.inputs
        partitions = await self.partitions_of(topic) if own else self.partitions
        return [record async for record in self.records(topic, range(partitions))]

    async def partitions_of(self, topic: str) -> int:
        """How many partitions a topic has."""
        async with open_admin(KafkaConnection(self.bootstrap)) as admin:
            return (await partition_counts(admin, [topic]))[topic]

    async def records(self, topic: str, partitions: Iterable[int]) -> AsyncIterator[ConsumerRecord]:
        """Read the committed records that some partitions hold now, one by one: there may be many."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, isolation_level="read_committed")
        await consumer.start()
        try:
            places = [TopicPartition(topic, partition) for partition in partitions]
            ends = await consumer.end_offsets(places)
            starts = await consumer.beginning_offsets(places)
            consumer.assign(places)
            for place, start in starts.items():
                consumer.seek(place, start)
            while any([await consumer.position(place) < ends[place] for place in places]):
                for messages in (await consumer.getmany(timeout_ms=200, max_records=1000)).values():
                    for message in messages:
                        yield message
        finally:
            await consumer.stop()

    async def results(self) -> list[Any]:
        return [orjson.loads(message.value) for message in await self.read(self.names.categorizations)]

    async def table(self, table: str) -> dict[tuple[int, str], Any]:
        """A table's rows by partition and key, from its changelog alone; counts are all in their buckets."""
        rows: dict[tuple[int, str], Any] = {}
        async for message in self.records(self.names.changelog(table), range(self.partitions)):
            place = (message.partition, message.key.decode())
            if message.value is None:
                rows.pop(place, None)
            else:
                rows[place] = orjson.loads(message.value)
        if table != "trends":
            return rows
        by_partition: dict[int, dict[str, Any]] = {}
        for (partition, key), row in rows.items():
            by_partition.setdefault(partition, {})[key] = row
        return {
            (partition, key): row
            for partition, its_rows in by_partition.items()
            for key, row in settled(its_rows).items()
        }

    async def counts(self, window: str = "all:0:") -> Counter[str]:
        """The count of each tag in a window, summed over the partitions."""
        counts: Counter[str] = Counter()
        for (_, key), row in (await self.table("trends")).items():
            if key.startswith(window):
                counts[key.removeprefix(window)] += row["n"]
        return counts

    async def until_folded(self, records: int, seconds: float = 120) -> None:
        """Wait until so many records of the upload topic are folded in."""
        async with asyncio.timeout(seconds):
            while True:
                rows = await self.table("meta")
                if sum(row["next"] for (_, key), row in rows.items() if key == OFFSET_KEY) >= records:
                    return
                await asyncio.sleep(0.3)
