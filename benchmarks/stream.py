"""The Kafka side of a benchmark: upload events in, the times of results out."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import Self

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.uploads import UploadData

THRESHOLD = 0.3
_USERS = 1000


def uploads(server: str, photos: str, first: int, count: int) -> Iterator[UploadData]:
    """Events that each name another image of a set."""
    now = time.time()
    for number in range(first, first + count):
        yield UploadData(
            public_id=f"{photos}-{number}",
            url=f"{server}/{photos}/{number}",
            user_id=f"user{number % _USERS}",
            uploaded_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            auto_tagging=THRESHOLD,
        )


async def publish(bootstrap: str, topic: str, events: Iterable[UploadData]) -> None:
    """Publish upload events, and wait until the broker has them."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=10, enable_idempotence=True)
    await producer.start()
    try:
        sends = [
            await producer.send(topic, msgspec.json.encode(event), (event.public_id or "").encode())
            for event in events
        ]
        await asyncio.gather(*sends)
    finally:
        await producer.stop()


class Results:
    """The results that come from now on, committed ones only. Use as an async context manager.

    It asks twice a second for all there is: who is measured on the same cores must not feel it. So times are
    those that the records carry.
    """

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self._places = [TopicPartition(topic, partition) for partition in range(partitions)]
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            isolation_level="read_committed",
            fetch_min_bytes=50_000_000,
            fetch_max_wait_ms=500,
            enable_auto_commit=False,
        )

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._consumer.assign(self._places)
        await self._consumer.seek_to_end()
        for place in self._places:
            await self._consumer.position(place)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def next(self, count: int, seconds: float) -> list[tuple[float, bytes]]:
        """Wait for so many results; return the time that each carries, in seconds, and its value.

        Raises:
            TimeoutError: Fewer came.
        """
        found: list[tuple[float, bytes]] = []
        deadline = time.monotonic() + seconds
        while len(found) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {count} results came within {seconds:.0f} s")
            batches = await self._consumer.getmany(timeout_ms=1000)
            found += [
                (message.timestamp / 1000, message.value) for batch in batches.values() for message in batch
            ]
        return found
