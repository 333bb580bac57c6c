"""Reading one partition of a topic from an exact offset, committed records only.

No consumer group takes part: a unit knows by itself where it stands.
"""

import logging
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from schemas.errors import TopicsError
from schemas.uploads import Record
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import as_record, close_consumer, open_consumer

log = logging.getLogger(__name__)

_POLL_MS = 1000
_MAX_RECORDS = 500


class PartitionLog:
    """The records of one partition, in order and without gaps of our making.

    Attributes:
        end_offset: The end of what is committed, as last heard from the broker; None: it was not heard yet.
        reached: All records before it were given. Behind the last of them it moves on over what is none:
            the markers of publishers' transactions, and records that were aborted.
        behind_open_transaction: Records, markers included, that nobody can read yet, as a publisher's
            transaction is open; None: not heard yet.
    """

    def __init__(self, connection: KafkaConnection, topic: str, partition: int) -> None:
        self.end_offset: int | None = None
        self.reached = 0
        self.behind_open_transaction: int | None = None
        self._place = TopicPartition(topic, partition)
        self._skipped = 0  # told with the next record, so that it is committed
        self._consumer = open_consumer(connection)

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await close_consumer(self._consumer)

    async def records(self, offset: int) -> AsyncIterator[Record]:
        """Every committed record from `offset` on, for ever.

        Raises:
            TopicsError: The log is shorter than what was already processed: the topic was recreated.
        """
        async for batch in self.batches(offset):
            for record in batch:
                yield record

    async def batches(self, offset: int) -> AsyncIterator[list[Record]]:
        """The same in batches, as they come; an empty one where nothing came for a while.

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
            self._note_ends()
            messages = batches.get(self._place, ())
            if messages:
                offset, skipped = messages[-1].offset + 1, self._skipped
                self._skipped = 0
                yield [as_record(messages[0], skipped), *map(as_record, messages[1:])]
            else:
                yield []
            self.reached = await self._consumer.position(self._place)

    def _note_ends(self) -> None:
        stable, end = self._consumer.last_stable_offset(self._place), self._consumer.highwater(self._place)
        self.end_offset = stable
        self.behind_open_transaction = None if None in {stable, end} else max(end - stable, 0)

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
            self._skipped += first - offset
        return max(offset, first)
