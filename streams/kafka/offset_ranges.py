"""Ranges of offsets in a topic, with an end: what was committed between a moment and now, oldest first."""

import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from schemas.uploads import Record
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import as_record, consuming

STALLED_AFTER = 30.0  # seconds without a record, although there are more
_POLL_MS = 500
_MAX_RECORDS = 500


@dataclass(frozen=True)
class OffsetRanges:
    """Offsets of a topic by partition: from where, and before which.

    Reading the same ranges twice gives the same records, whatever was published meanwhile.
    """

    topic: str
    starts: dict[int, int]
    ends: dict[int, int]


async def find_offset_ranges(
    connection: KafkaConnection, topic: str, since: int | None = None, isolation: str = "read_committed"
) -> OffsetRanges:
    """Find the offset ranges of a topic up to now.

    Args:
        connection: How to reach Kafka.
        topic: A topic that exists.
        since: Milliseconds since the epoch; records before are left out. None: from the beginning.
        isolation: `read_uncommitted`: open transactions of others are before the ends.
    """
    async with consuming(connection, isolation) as consumer:
        await consumer._client.add_topic(topic)  # noqa: SLF001 - no public call loads one topic's metadata
        places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        ends = await consumer.end_offsets(places)
        starts = await consumer.beginning_offsets(places)
        if since is not None:
            found = await consumer.offsets_for_times(dict.fromkeys(places, max(since, 0)))
            starts = {
                place: max(starts[place], found[place].offset) if found[place] else ends[place]
                for place in places
            }
        return OffsetRanges(
            topic,
            {place.partition: start for place, start in starts.items()},
            {place.partition: end for place, end in ends.items()},
        )


async def log_ends(connection: KafkaConnection, topic: str) -> dict[int, int]:
    """Where each partition of a topic ends now, open transactions of others included.

    Raises:
        KafkaError: Kafka does not answer.
    """
    return (await find_offset_ranges(connection, topic, isolation="read_uncommitted")).ends


async def read_partition(
    connection: KafkaConnection, topic: str, partition: int
) -> AsyncGenerator[Record, None]:
    """Read all that is committed of a partition, to the true end of what is written.

    Whoever has fenced the partition's earlier owners so has all of theirs: what they committed last may not
    be stable yet. Use `contextlib.aclosing` around it.

    Raises:
        KafkaTimeoutError: The cluster stopped answering.
    """
    found = await find_offset_ranges(connection, topic, isolation="read_uncommitted")
    ranges = OffsetRanges(topic, {partition: found.starts[partition]}, {partition: found.ends[partition]})
    async with contextlib.aclosing(read_offset_ranges(connection, ranges)) as records:
        async for record in records:
            yield record


async def read_offset_ranges(
    connection: KafkaConnection, ranges: OffsetRanges
) -> AsyncGenerator[Record, None]:
    """Read the records of ranges by Kafka's timestamps as far as each partition's order allows.

    Only a few fetches' worth of records is in memory. Use `contextlib.aclosing` around it.

    Raises:
        KafkaTimeoutError: The cluster stopped answering.
    """
    async with consuming(connection) as consumer:
        merge = _Merge(consumer, ranges)
        while (record := await merge.next()) is not None:
            yield record


class _Merge:
    """The partitions' records as one stream: the oldest of their next records comes next."""

    def __init__(self, consumer: AIOKafkaConsumer, ranges: OffsetRanges) -> None:
        self._consumer = consumer
        self._ends = {
            TopicPartition(ranges.topic, partition): end
            for partition, end in ranges.ends.items()
            if ranges.starts[partition] < end
        }
        self._unread = set(self._ends)
        self._queues: dict[TopicPartition, deque[Record]] = {place: deque() for place in self._ends}
        if self._ends:
            consumer.assign(list(self._ends))
        for place in self._ends:
            consumer.seek(place, ranges.starts[place.partition])

    async def next(self) -> Record | None:
        deadline = time.monotonic() + STALLED_AFTER
        while empty := [place for place in self._unread if not self._queues[place]]:
            if await self._fill(empty):
                deadline = time.monotonic() + STALLED_AFTER
            elif time.monotonic() > deadline:
                raise KafkaTimeoutError(f"no answer from Kafka for {STALLED_AFTER:g} s")
        heads = [queue for queue in self._queues.values() if queue]
        return min(heads, key=lambda queue: queue[0].timestamp).popleft() if heads else None

    async def _fill(self, empty: list[TopicPartition]) -> bool:
        """Fetch for partitions that have nothing in store; return whether that led anywhere."""
        unread = len(self._unread)
        batches = await self._consumer.getmany(*empty, timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
        for place, messages in batches.items():
            self._queues[place] += [
                as_record(message) for message in messages if message.offset < self._ends[place]
            ]
        for place in empty:  # not told by the last record: markers of transactions come behind it
            if await self._consumer.position(place) >= self._ends[place]:
                self._unread.discard(place)
        return bool(batches) or len(self._unread) < unread
