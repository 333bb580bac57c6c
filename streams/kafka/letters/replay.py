"""Publishing dead letters again: the records that they were, each to the partition where it was."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

from aiokafka.errors import KafkaTimeoutError

from schemas.origins import TRANSLATED_HEADER, UNTRANSLATED, TopicPartitionOffset
from schemas.replays import replay_headers
from schemas.topics import MAX_RECORD_BYTES, TopicNames
from streams.kafka.connection import KafkaConnection
from streams.kafka.letters.letters import Letter
from streams.kafka.producers import open_producer

DEADLINE = 60.0  # seconds in which Kafka must take a chunk; the producer by itself would try for ever
CHUNK_LETTERS = 500
CHUNK_BYTES = 4_194_304
_BATCH_BYTES = 500_000


class Replayer:
    """An idempotent producer of replays. Use as an async context manager.

    Attributes:
        sent: Events that Kafka has.
        in_doubt: Events that it was given and did not acknowledge.
        foreign: Letters that do not say where they came from, are from another topic, or had no room for the
            event: not replayed.
    """

    def __init__(
        self, connection: KafkaConnection, names: TopicNames, on_sent: Callable[[int], None] = lambda _: None
    ) -> None:
        self.sent = self.in_doubt = self.foreign = 0
        self._connection = connection
        self._names = names
        self._on_sent = on_sent
        self._stack = contextlib.AsyncExitStack()
        self._producer: Any = None

    async def __aenter__(self) -> Self:
        options = {"max_request_size": MAX_RECORD_BYTES, "max_batch_size": _BATCH_BYTES}
        opened = open_producer(self._connection, **options)
        self._producer = await self._stack.enter_async_context(opened)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def replay(self, letters: AsyncIterator[Letter]) -> None:
        """Publish letters again, in their order; a chunk is acknowledged before the next one is read.

        Raises:
            KafkaError: Kafka did not take one, or did not say so in time. `sent` and `in_doubt` are right.
        """
        async for chunk in _chunks(letters):
            by_partition = defaultdict(list)
            for letter in chunk:
                failed, place = letter.failed, await self._place_of(letter)
                if failed and place and letter.whole:
                    by_partition[place].append((letter, failed))
                else:
                    self.foreign += 1
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._send_all(by_partition)
            except TimeoutError:
                raise KafkaTimeoutError(f"no acknowledgement within {DEADLINE:g} s") from None

    async def _place_of(self, letter: Letter) -> tuple[str, int] | None:
        """Topic and partition that a letter's event is published to; None: it was written by others."""
        failed, headers = letter.failed, letter.record.headers
        if failed is None:
            return None
        if failed.topic in self._names.sources:
            if any(name == UNTRANSLATED for name, _ in headers):
                return failed.topic, failed.partition
            if TRANSLATED_HEADER in headers:
                partitions = await self._producer.partitions_for(self._names.uploads)
                return self._names.uploads, letter.record.partition % len(partitions)
        # Workers write a letter to the partition of its event.
        ours = (failed.topic, failed.partition) == (self._names.uploads, letter.record.partition)
        return (failed.topic, failed.partition) if ours else None

    async def _send_all(
        self, by_partition: dict[tuple[str, int], list[tuple[Letter, TopicPartitionOffset]]]
    ) -> None:
        sends = (self._send(place, letters) for place, letters in by_partition.items())
        for failure in await asyncio.gather(*sends, return_exceptions=True):
            if failure is not None:
                raise failure

    async def _send(self, place: tuple[str, int], waiting: list[tuple[Letter, TopicPartitionOffset]]) -> None:
        now = int(time.time() * 1000)
        while waiting:
            batch = self._producer.create_batch()
            count = 0
            for letter, failed in waiting:
                headers = replay_headers(letter.record, failed)
                record = letter.record
                if batch.append(key=record.key, value=record.value, timestamp=now, headers=headers) is None:
                    break
                count += 1
            if not count:
                raise ValueError(f"dead letter {waiting[0][0].place} fits no batch")
            self.in_doubt += count
            await (await self._producer.send_batch(batch, place[0], partition=place[1]))
            self.in_doubt -= count
            self.sent += count
            self._on_sent(count)
            waiting = waiting[count:]


async def _chunks(letters: AsyncIterator[Letter]) -> AsyncIterator[list[Letter]]:
    chunk: list[Letter] = []
    size = 0
    async for letter in letters:
        chunk.append(letter)
        size += len(letter.record.value or b"")
        if len(chunk) >= CHUNK_LETTERS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
