"""An honest client beside an attack: it asks for health, uploads now and then, and looks at the memory.

A process of its own, so that what it measures is the worker's and not the attacker's time. It talks in
lines of JSON, see `benchmarks.processes.Program`: the first tells it where the worker is and what to upload,
the second to stop; then it tells what it saw.
"""

import asyncio
import contextlib
import sys
import time
import uuid
from typing import Any

import msgspec
import orjson
from aiokafka import AIOKafkaProducer

from benchmarks.processes import resident_mb
from schemas.topics import TopicNames
from streams.kafka.connection import KafkaConnection
from streams.kafka.output_follower import OutputFollower

HEALTH_INTERVAL = 0.02  # seconds
MEMORY_INTERVAL = 0.1
PATIENCE = 30.0  # seconds for an answer, and at the end for the last results
NEVER = 1e9  # seconds


class Order(msgspec.Struct):
    """Where to look, and what to upload how many times a second."""

    port: int
    pid: int
    bootstrap: str
    app_id: str
    prefix: str
    rate: float
    event: dict[str, Any]


class Onlooker:
    """What is seen so far."""

    def __init__(self, order: Order, producer: AIOKafkaProducer, names: TopicNames) -> None:
        self.healthz: list[float] = []
        self.memory: list[float] = []
        self.took: dict[str, float] = {}
        self.published: dict[str, float] = {}
        self._order = order
        self._producer = producer
        self._topic = names.uploads
        self._name = uuid.uuid4().hex[:8]

    async def watch_health(self) -> None:
        """Ask anew by a connection of its own each time, as a probe does."""
        while True:
            began = time.perf_counter()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._probe()
            self.healthz.append(time.perf_counter() - began)
            await asyncio.sleep(HEALTH_INTERVAL)

    async def _probe(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._order.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await reader.read()
        writer.close()

    async def watch_memory(self) -> None:
        """Look now and then."""
        while True:
            self.memory.append(resident_mb(self._order.pid))
            await asyncio.sleep(MEMORY_INTERVAL)

    async def upload(self) -> None:
        """Publish at a steady rate."""
        began, rate = time.monotonic(), self._order.rate
        while rate:
            number = len(self.published)
            await asyncio.sleep(max(began + number / rate - time.monotonic(), 0))
            key = f"onlooker-{self._name}-{number}"
            event = {"public_id": key, **self._order.event}
            self.published[key] = time.perf_counter()
            await self._producer.send(self._topic, orjson.dumps(event), key.encode())

    async def follow(self, follower: OutputFollower) -> None:
        """See when each has its outcome."""
        async for record in follower.records():
            if record.key in self.published and record.key not in self.took:
                self.took[record.key] = time.perf_counter() - self.published[record.key]

    async def until_complete(self) -> None:
        """Wait for the outcome of what was published."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while len(self.took) < len(self.published):
                    await asyncio.sleep(0.05)


def say(answer: object) -> None:
    """Answer."""
    print(orjson.dumps(answer).decode(), flush=True)


async def hear() -> str:
    """The next order."""
    return await asyncio.to_thread(sys.stdin.readline)


async def main() -> None:
    """Look on until a line says stop."""
    say({})
    order = msgspec.json.decode(await hear(), type=Order)
    connection, names = KafkaConnection(order.bootstrap), TopicNames(order.app_id, order.prefix)
    producer = AIOKafkaProducer(bootstrap_servers=order.bootstrap)
    await producer.start()
    async with OutputFollower(connection, names, ("categorization", "dead-letter")) as follower:
        onlooker = Onlooker(order, producer, names)
        publishing = asyncio.create_task(onlooker.upload())
        works = (onlooker.watch_health(), onlooker.watch_memory(), onlooker.follow(follower))
        tasks = [asyncio.create_task(work) for work in works]
        say({})
        await hear()
        publishing.cancel()
        await onlooker.until_complete()
        for task in tasks:
            task.cancel()
        await asyncio.gather(publishing, *tasks, return_exceptions=True)
    await producer.stop()
    uploads = [onlooker.took.get(key, NEVER) for key in onlooker.published]
    say({"healthz": onlooker.healthz, "uploads": uploads, "memory": onlooker.memory})
    await hear()


if __name__ == "__main__":
    asyncio.run(main())
