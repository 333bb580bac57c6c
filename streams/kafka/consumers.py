"""Consumers outside of any group, as everything here reads Kafka: committed records only, unless asked."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Collection, Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.uploads import Record
from streams.kafka.connection import KafkaConnection
from streams.kafka.lenient_headers import use_lenient_headers


class _Consumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is untyped
    """Asks for the leaders of all topics at once.

    aiokafka itself asks for those of one topic, waits for 0.1 s, and goes on with the next one.
    """

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        self._learn(partitions)
        starts: dict[TopicPartition, int] = await super().beginning_offsets(partitions)
        return starts

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        self._learn(partitions)
        ends: dict[TopicPartition, int] = await super().end_offsets(partitions)
        return ends

    def _learn(self, partitions: Collection[TopicPartition]) -> None:
        for place in partitions:
            self._client.add_topic(place.topic)


def open_consumer(connection: KafkaConnection, isolation: str = "read_committed") -> AIOKafkaConsumer:
    """Make a consumer outside of any group, of committed records unless asked, with any header names."""
    use_lenient_headers()
    return _Consumer(
        **connection.aiokafka_options(),
        isolation_level=isolation,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=500,
    )


async def close_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer; whoever stops it goes on.

    Without a broker aiokafka's `stop` ends with the cancellation of its own tasks, before it closes its
    connections. To let that through would end the caller's task, without a word and for no reason.
    """
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait({stopping})  # raises only if the caller itself is cancelled
    if stopping.cancelled():
        await consumer._client.close()  # noqa: SLF001 - what `stop` was about to do
    else:
        stopping.result()


@contextlib.asynccontextmanager
async def consuming(
    connection: KafkaConnection, isolation: str = "read_committed"
) -> AsyncGenerator[AIOKafkaConsumer, None]:
    """Start a consumer, and stop it."""
    consumer = open_consumer(connection, isolation)
    try:
        await consumer.start()
        yield consumer
    finally:
        await close_consumer(consumer)


async def partitions_of(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
    """All partitions of some topics, in order."""
    found = []
    for topic in topics:
        await consumer._client.add_topic(topic)  # noqa: SLF001 - no public call loads one topic's metadata
        numbers = consumer.partitions_for_topic(topic) or set()
        found += [TopicPartition(topic, number) for number in sorted(numbers)]
    return found


def as_record(message: ConsumerRecord, skipped: int = 0) -> Record:
    """What a consumer read, as everything here knows it; `skipped` records before it were gone."""
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp=message.timestamp,
        key=message.key,
        value=message.value,
        headers=message.headers,
        skipped=skipped,
    )
