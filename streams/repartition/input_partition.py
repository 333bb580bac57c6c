"""One partition of an upload topic in work: each of its records is copied to its image's partition, once.

As a unit's ledger does it: the owner starts a producer under the partition's name, which refuses every
earlier owner from then on, and then reads how far the copies reach. Copies and that row are one transaction.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidTimestampError, MessageSizeTooLargeError

from schemas.errors import InvariantError, TopicsError
from schemas.sources.translate import Translator
from schemas.times import steady_time
from schemas.topics import TopicNames
from schemas.uploads import Record
from streams.kafka.checks.topics import too_small
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming
from streams.kafka.partition_log import PartitionLog
from streams.kafka.producers import close_producer, take_over, transaction
from streams.kafka.topic_ids import topic_id
from streams.repartition.meter import SourceMeter
from streams.repartition.resume_points import PARTITION, ResumePoint, checked, key_of, read_resume_points
from streams.repartition.routing import Routed, route, route_translated
from streams.units.faults import ClockError, innermost, may_be_fenced
from streams.units.unit import FENCE_GRACE

log = logging.getLogger(__name__)

_BUSY = 200  # records that came at once: more wait
_QUIET = 1.0  # seconds without records, after which markers of transactions are passed over


@dataclass(frozen=True)
class Repartitioning:
    """What all partitions share.

    Attributes:
        partitions: How many the log has.
        interval: Seconds between two transactions under load; a lone record does not wait.
        end_process: Ends the process, saying where it failed and why.
        translators: How messages of sources become upload events, by topic.
        meter: Counts what becomes of them; None: nobody does.
    """

    connection: KafkaConnection
    names: TopicNames
    partitions: int
    interval: float
    end_process: Callable[[str, BaseException], None]
    translators: Mapping[str, Translator] = field(default_factory=dict)
    meter: SourceMeter | None = None


class InputPartition:
    """A partition of an upload topic, from its log to the log of the state.

    Attributes:
        place: Which one.
        point: How far it is copied, as committed; None before that is known.
    """

    def __init__(self, place: TopicPartition, shared: Repartitioning) -> None:
        self.place = place
        self.point: ResumePoint | None = None
        self._shared = shared
        self._log: PartitionLog | None = None
        self._producer: AIOKafkaProducer | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    @property
    def lag(self) -> int | None:
        """Records that are not copied; None: not known yet."""
        end = self._log.end_offset if self._log else None
        return None if end is None or self.point is None else max(end - self.point.next, 0)

    def start(self) -> None:
        """Begin to copy, in the background."""
        self._task = asyncio.create_task(self._run(), name=f"repartition-{key_of(self.place)}")

    async def close(self) -> None:
        """Finish the transaction under way, then let go."""
        self._closing = True
        await self._idle.wait()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                self.point = await self._open(stack)
                log.info("%s: repartitioned from offset %d on", key_of(self.place), self.point.next)
                record_log = PartitionLog(self._shared.connection, *self.place)
                self._log = await stack.enter_async_context(record_log)
                await self._copy_for_ever(self._log, self.point)
        except Exception as error:  # whatever it was: reading anew gives the truth
            log.critical("repartitioning %s failed", key_of(self.place), exc_info=error)
            cause = innermost(error)
            if may_be_fenced(cause):
                await asyncio.sleep(FENCE_GRACE)
            self._shared.end_process(f"repartitioning {key_of(self.place)}", cause)

    async def _open(self, stack: AsyncExitStack) -> ResumePoint:
        """Fence every earlier owner, then read how far its copies reach."""
        connection, names = self._shared.connection, self._shared.names
        transactional_id = f"{names.app_id}-repartition-{self.place.topic}-{self.place.partition}"
        written = (names.upload_log, names.inputs_changelog)
        self._producer = await take_over(connection, transactional_id, written)
        stack.push_async_callback(close_producer, self._producer)
        async with consuming(connection) as consumer:
            found = await topic_id(consumer._client, self.place.topic)  # noqa: SLF001 - nobody else tells
        rows = await read_resume_points(connection, names)
        return checked(self.place, rows, None if found is None else str(found))

    async def _copy_for_ever(self, record_log: PartitionLog, point: ResumePoint) -> None:
        moved = time.monotonic()
        async for records in record_log.batches(point.next):
            if self._closing:
                return
            reached = records[-1].offset + 1 if records else record_log.reached
            known = self.point.next if self.point else 0
            quiet = time.monotonic() - moved >= _QUIET
            if reached > known and (records or quiet):
                now = int(steady_time() * 1000)
                routed = await asyncio.to_thread(self._routed, records, now)
                await self._commit(routed, ResumePoint(reached, point.id))
                moved = time.monotonic()
                if len(records) < _BUSY:
                    await asyncio.sleep(self._shared.interval)

    def _routed(self, records: Sequence[Record], now: int) -> Routed:
        translator = self._shared.translators.get(self.place.topic)
        if translator is None:
            return route(records, self._shared.partitions, now)
        return route_translated(records, translator, self._shared.partitions, now)

    async def _commit(self, routed: Routed, point: ResumePoint) -> None:
        if self._closing:
            return
        self._idle.clear()
        try:
            await self._transact(routed, point)
            self.point = point
            if self._shared.meter is not None:
                self._shared.meter.note(routed.made)
        finally:
            self._idle.set()

    async def _transact(self, routed: Routed, point: ResumePoint) -> None:
        producer, names = self._producer, self._shared.names
        if producer is None:
            raise InvariantError("commit before open")
        async with transaction(producer):
            sends = [
                await producer.send(
                    names.upload_log,
                    record.value,
                    record.key,
                    record.partition,
                    record.timestamp,
                    list(record.headers),
                )
                for record in routed.records
            ]
            row = point.encode()
            sends.append(
                await producer.send(names.inputs_changelog, row, key_of(self.place).encode(), PARTITION)
            )
            await self._delivered(sends)

    async def _delivered(self, sends: Sequence["asyncio.Future[object]"]) -> None:
        """Wait for all: a commit would succeed even where a send failed."""
        try:
            await asyncio.gather(*sends)
        except MessageSizeTooLargeError as error:
            raise TopicsError(too_small(self._shared.names.upload_log)) from error
        except InvalidTimestampError as error:
            raise ClockError("Kafka refuses records of our time; set this machine's clock right") from error
