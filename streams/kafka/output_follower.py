"""Following the output topics, as a consumer of the results would: committed records only."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.cloudevents import Headers
from schemas.dead_letters import Fault, read_fault
from schemas.origins import TopicPartitionOffset, routed_from
from schemas.topics import OFFSET_KEY, Progress, TopicNames
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import close_consumer, open_consumer, partitions_of

_POLL = 0.1  # seconds
_REMEMBERED = 100_000  # copies whose places nobody has asked for yet


Kind = Literal["categorization", "tag-update", "dead-letter"]
KINDS: tuple[Kind, ...] = ("categorization", "tag-update", "dead-letter")


@dataclass(frozen=True)
class OutputRecord:
    """One record of an output topic.

    Attributes:
        value: The decoded JSON; of a dead letter the original value, as bytes.
        fault: What was wrong, where it is a dead letter.
    """

    kind: Kind
    key: str
    value: Any
    headers: Headers
    fault: Fault | None

    def as_json(self) -> bytes:
        """The record as one line of JSON."""
        if self.fault is None:
            return orjson.dumps({"kind": self.kind, "value": self.value})
        fault = {
            name: getattr(self.fault, name) for name in ("reason", "stage", "retryable", "error", "message")
        }
        text = (self.value or b"").decode(errors="replace")
        return orjson.dumps({"kind": self.kind, "key": self.key, "fault": fault, "original": text})


class _Follower:
    """A consumer of topics from their end, or from their beginning. Use as an async context manager."""

    _consumer: AIOKafkaConsumer

    def __init__(self, connection: KafkaConnection, topics: Iterable[str], *, from_beginning: bool) -> None:
        self._connection = connection
        self._topics = list(topics)
        self._begin = read_from_beginning if from_beginning else read_from_end

    async def __aenter__(self) -> Self:
        self._consumer = open_consumer(self._connection)  # not before: it wants to be closed
        try:
            await self._consumer.start()
            await self._begin(self._consumer, self._topics)
        except BaseException:
            await close_consumer(self._consumer)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await close_consumer(self._consumer)


class OutputFollower(_Follower):
    """Reads output topics from now on, or from their beginning. Use as an async context manager."""

    def __init__(
        self,
        connection: KafkaConnection,
        names: TopicNames,
        kinds: Sequence[Kind] = KINDS,
        *,
        from_beginning: bool = False,
    ) -> None:
        topics = (names.categorizations, names.tag_updates, names.dead_letters)
        self._kinds = {topic: kind for kind, topic in zip(KINDS, topics, strict=True) if kind in kinds}
        super().__init__(connection, self._kinds, from_beginning=from_beginning)

    async def records(self) -> AsyncIterator[OutputRecord]:
        """The records as they come, for ever."""
        while True:
            for record in await self._next(500):
                yield record

    async def rest(self) -> AsyncIterator[OutputRecord]:
        """The records that are there by now."""
        partitions = list(self._consumer.assignment())
        ends = await self._consumer.end_offsets(partitions)
        while [place for place in partitions if await self._consumer.position(place) < ends[place]]:
            for record in await self._next(100):
                yield record

    async def _next(self, timeout_ms: int) -> list[OutputRecord]:
        batches = await self._consumer.getmany(timeout_ms=timeout_ms)
        return [
            _output_record(self._kinds[place.topic], message.key, message.value, message.headers)
            for place, messages in batches.items()
            for message in messages
        ]


async def read_from_beginning(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> None:
    """Let a consumer read topics from their beginning."""
    partitions = await partitions_of(consumer, topics)
    _place(consumer, await consumer.beginning_offsets(partitions))


async def read_from_end(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> None:
    """Let a consumer read topics from now on."""
    partitions = await partitions_of(consumer, topics)
    _place(consumer, await consumer.end_offsets(partitions))


def _place(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    consumer.assign(list(offsets))
    for place, offset in offsets.items():
        consumer.seek(place, offset)


def _output_record(kind: Kind, key: bytes | None, value: bytes | None, headers: Headers) -> OutputRecord:
    name = (key or b"").decode(errors="replace")
    if kind == "dead-letter":
        return OutputRecord(kind, name, value, headers, read_fault(headers))
    return OutputRecord(kind, name, orjson.loads(value or b"null"), headers, None)


class CommittedOffsets(_Follower):
    """Follows the row `@offset` of each partition, which every transaction writes beside its outcomes.

    The group's offsets would say the same, but only every few seconds. Use as an async context manager.
    """

    def __init__(self, connection: KafkaConnection, names: TopicNames) -> None:
        super().__init__(connection, [names.changelog("meta")], from_beginning=False)
        self._progress: dict[int, Progress] = {}

    async def now(self) -> Mapping[int, Progress]:
        """For each partition what of its log is committed, where anything was since the entry.

        Raises:
            KafkaError: The broker refuses.
        """
        for place, messages in (await self._consumer.getmany()).items():
            for message in messages:
                if message.key == OFFSET_KEY.encode() and message.value is not None:
                    self._progress[place.partition] = Progress.read(orjson.loads(message.value))
        return self._progress

    async def until(self, partition: int, offset: int) -> None:
        """Wait until an event that was published after the entry is committed."""
        while not (await self.now()).get(partition, Progress()).holds(offset):  # noqa: ASYNC110 - they wake nobody
            await asyncio.sleep(_POLL)


class LogPlaces(_Follower):
    """Says where events are in the log that units read, of those that are published after the entry.

    That is where they were published, or where they were copied to. Use as an async context manager.
    """

    def __init__(self, connection: KafkaConnection, names: TopicNames) -> None:
        super().__init__(connection, [names.upload_log], from_beginning=False)
        self._copied = bool(names.inputs)
        self._copies: dict[TopicPartitionOffset, tuple[int, int]] = {}
        self._reading = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return await super().__aenter__() if self._copied else self

    async def __aexit__(self, *exits: object) -> None:
        if self._copied:
            await super().__aexit__(*exits)

    async def of(self, published: TopicPartitionOffset) -> tuple[int, int]:
        """Wait until an event is in the log; its partition and offset there.

        Raises:
            KafkaError: The broker refuses.
        """
        if not self._copied:
            return published.partition, published.offset
        while published not in self._copies:
            async with self._reading:
                if published not in self._copies:
                    await self._read()
        return self._copies.pop(published)

    async def _read(self) -> None:
        for place, messages in (await self._consumer.getmany(timeout_ms=500)).items():
            for message in messages:
                if (origin := routed_from(message.headers)) is not None:
                    self._copies[origin] = (place.partition, message.offset)
        while len(self._copies) > _REMEMBERED:
            del self._copies[next(iter(self._copies))]
