"""Reading one partition of a topic from an exact offset, committed records only.

No consumer group takes part: a unit of work knows by itself where it stands.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from schemas.uploads import Record
from streams.errors import TopicsError
from streams.kafka_connection import KafkaConnection
from streams.record_batches import read_any_header_name

log = logging.getLogger(__name__)

_POLL_MS = 1000
_MAX_RECORDS = 500


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
    """Give a consumer outside of any group, of committed records unless asked, with any header names."""
    read_any_header_name()
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
    """Give a consumer that is started, and stop it."""
    consumer = open_consumer(connection, isolation)
    try:
        await consumer.start()
        yield consumer
    finally:
        await close_consumer(consumer)


class PartitionLog:
    """The records of one partition, in order and without gaps of our making.

    Attributes:
        end_offset: The end of what is committed, as last heard from the broker; None: it was not heard yet.
        reached: All records before it were given. Behind the last of them it moves on over what is none:
            the markers of publishers' transactions, and records that were aborted.
    """

    def __init__(self, connection: KafkaConnection, topic: str, partition: int) -> None:
        self.end_offset: int | None = None
        self.reached = 0
        self._place = TopicPartition(topic, partition)
        self._consumer = open_consumer(connection)

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await close_consumer(self._consumer)

    async def records(self, offset: int) -> AsyncIterator[Record]:
        """Give every committed record from `offset` on, for ever.

        Raises:
            TopicsError: The log is shorter than what was already processed: the topic was recreated.
        """
        offset = await self._check_range(offset)
        self._consumer.assign([self._place])
        self._consumer.seek(self._place, offset)  # at once: a partition without a position would be an error
        while True:
            try:
                batches = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
            except OffsetOutOfRangeError:  # retention overtook us
                offset = await self._check_range(offset)
                self._consumer.seek(self._place, offset)
                continue
            self.end_offset = self._consumer.last_stable_offset(self._place)
            for message in batches.get(self._place, ()):
                offset = message.offset + 1
                yield _record(message)
            self.reached = await self._consumer.position(self._place)

    async def _check_range(self, offset: int) -> int:
        first: int = (await self._consumer.beginning_offsets([self._place]))[self._place]
        end: int = (await self._consumer.end_offsets([self._place]))[self._place]
        self.end_offset = end
        if offset > end:
            cure = "if it was recreated on purpose, choose a new app_id, so that its state begins anew"
            message = f"{self._place} ends at {end}, but {offset} records are already processed; {cure}"
            raise TopicsError(message)
        if offset < first:
            log.error("%s: records %d to %d were deleted before we read them", self._place, offset, first - 1)
        return max(offset, first)


def _record(message: ConsumerRecord) -> Record:
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp=message.timestamp,
        key=message.key,
        value=message.value,
        headers=message.headers,
    )
