"""One partition of several topics in the order in which their records came to be.

Each topic has its own order alone. But all records of a transaction bear one time, and a unit begins its next
one only when every record of the last can be read. So a record is given once each topic was read to where it
ended after that record was there: then nothing older can come, and times tell who is first.
"""

import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from schemas.uploads import Record
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import as_record, close_consumer, open_consumer

log = logging.getLogger(__name__)

_POLL_MS = 500
_MAX_RECORDS = 250  # of a poll: what is parsed at once
_MAX_BUFFERED = 1000  # records of one topic that wait for those of others
_RECENT_MS = 60_000


class Batch(NamedTuple):
    """Records in order, and by topic the offset behind them."""

    records: list[Record]
    next: dict[str, int]


class MergedLog:
    """The records of one partition of some topics, committed ones only.

    Attributes:
        behind: Records that are known of and not given yet.
    """

    def __init__(self, connection: KafkaConnection, topics: Sequence[str], partition: int) -> None:
        self.behind = 0
        self._places = [TopicPartition(topic, partition) for topic in topics]
        self._waiting: dict[TopicPartition, deque[ConsumerRecord]] = {
            place: deque() for place in self._places
        }
        self._consumer = open_consumer(connection)

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await close_consumer(self._consumer)

    async def recent(self, now_ms: int) -> dict[str, int]:
        """Where each topic stood a minute ago."""
        ends = await self._consumer.end_offsets(self._places)
        found = await self._consumer.offsets_for_times(dict.fromkeys(self._places, now_ms - _RECENT_MS))
        return {
            place.topic: at.offset if (at := found[place]) is not None else ends[place]
            for place in self._places
        }

    async def batches(self, offsets: Mapping[str, int]) -> AsyncIterator[Batch]:
        """All records from these offsets on, for ever; where they are deleted, from the first one left."""
        self._consumer.assign(self._places)
        starts = await self._consumer.beginning_offsets(self._places)
        ends = await self._consumer.end_offsets(self._places)
        for place in self._places:
            wanted = min(offsets.get(place.topic, 0), ends[place])  # beyond the end: it was made anew
            self._consumer.seek(place, max(wanted, starts[place]))
        while True:
            await self._poll()
            if any(self._waiting.values()):
                batch = await self._settled()
                if batch.records:
                    yield batch

    async def _poll(self) -> None:
        got = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
        for place, messages in got.items():
            self._waiting[place].extend(messages)
        full = [place for place in self._places if len(self._waiting[place]) >= _MAX_BUFFERED]
        self._consumer.pause(*full)
        self._consumer.resume(*(place for place in self._places if place not in full))

    async def _settled(self) -> Batch:
        """What can be given of the records that are here by now."""
        here = {place: queue[-1].offset for place, queue in self._waiting.items() if queue}
        try:
            ends = await self._consumer.end_offsets(self._places)
        except KafkaTimeoutError as error:  # it has tried for long by itself
            log.warning("waiting for Kafka, to tell receivers what was committed: %s", error)
            return Batch([], {})
        while [place for place in self._places if not await self._is_read(place, ends[place])]:
            await self._poll()
        unread = [place for place in self._places if await self._consumer.position(place) < ends[place]]
        given: list[Record] = []
        offsets: dict[str, int] = {}
        while len(given) < _MAX_RECORDS and all(self._waiting[place] for place in unread):
            place = self._oldest()
            if place is None or self._waiting[place][0].offset > here.get(place, -1):
                break
            message = self._waiting[place].popleft()
            offsets[place.topic] = message.offset + 1
            given.append(as_record(message))
        self.behind = sum(map(len, self._waiting.values()))
        return Batch(given, offsets)

    async def _is_read(self, place: TopicPartition, end: int) -> bool:
        """Whether a topic is read as far as it went; of one that is far behind, the next records do."""
        return bool(self._waiting[place]) or await self._consumer.position(place) >= end

    def _oldest(self) -> TopicPartition | None:
        """The topic whose next record is the oldest; the first of several."""
        with_records = [place for place in self._places if self._waiting[place]]
        return min(with_records, key=lambda place: self._waiting[place][0].timestamp, default=None)
