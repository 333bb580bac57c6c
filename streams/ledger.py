"""The transactions of one source partition: fence, load, commit.

This module is why nothing is lost and nothing counted twice.

1. `open` starts a producer under a transactional id that belongs to the partition. The broker raises its
   epoch: an earlier owner's open transaction is aborted, and none of its later ones can commit.
2. `open` then reads the partition's rows from the changelogs, committed records only. Nobody else can
   add to them any more, so what it reads is final. The row `@offset` says how far the log is folded in.
3. `commit` writes outputs, changed rows and the next `@offset` in one transaction: all or nothing.

The committed rows are therefore always the fold of the log's first `@offset` records, whoever made them
and however often a worker died. Group offsets travel along for lag monitors; nothing here reads them.
"""

import asyncio
import logging
from collections.abc import Iterable

import orjson
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from streams.changes import Changes
from streams.errors import InvariantError
from streams.kafka_connection import KafkaConnection
from streams.outcomes import Output
from streams.partition_log import open_consumer
from streams.topics import MAX_RECORD_BYTES, TABLES, TopicNames

log = logging.getLogger(__name__)

OFFSET_KEY = "@offset"
COMMIT_DEADLINE = 60.0  # seconds; past it the outcome is unknown


class Ledger:
    """State of one source partition, and the only way to change it.

    Attributes:
        rows: The committed rows by table and key, as their changelogs have them.
        next_offset: The first offset of the source partition that is not folded in yet.
    """

    def __init__(self, connection: KafkaConnection, names: TopicNames, partition: int) -> None:
        self._connection = connection
        self._names = names
        self._partition = partition
        self._producer: AIOKafkaProducer | None = None
        self.rows: dict[str, dict[str, bytes]] = {table: {} for table in TABLES}
        self.next_offset = 0

    async def open(self) -> None:
        """Fence every earlier owner, then load what was committed.

        Raises:
            InvariantError: A row knows of an event beyond `@offset`.
            KafkaError: The broker refuses or does not answer.
        """
        self._producer = AIOKafkaProducer(
            **self._connection.aiokafka_options(),
            transactional_id=f"{self._names.app_id}-{self._partition}",
            max_request_size=MAX_RECORD_BYTES,
            linger_ms=2,
        )
        await self._producer.start()
        await self._load()
        meta = self.rows["meta"].get(OFFSET_KEY)
        self.next_offset = orjson.loads(meta)["next"] if meta else 0
        self._check_rows()

    async def close(self) -> None:
        """Give the producer back. A transaction that is still open is left to the next owner's fence."""
        if self._producer is not None:
            await self._producer.stop()

    async def commit(self, changes: Changes, next_offset: int) -> None:
        """Make `changes` and `next_offset` true together.

        Raises:
            Exception: The outcome is unknown, or another owner took over. The caller must end the process.
        """
        producer, source = self._producer, TopicPartition(self._names.uploads, self._partition)
        if producer is None:
            raise InvariantError("commit before open")
        changes.put("meta", OFFSET_KEY, {"next": next_offset})
        rows = list(changes.encoded())
        async with asyncio.timeout(COMMIT_DEADLINE), producer.transaction():
            sent = [await self._send(producer, output) for output in self._records(changes.outputs, rows)]
            await asyncio.gather(*sent)  # a commit would succeed even where a send failed
            offsets = {source: OffsetAndMetadata(next_offset, "")}
            await producer.send_offsets_to_transaction(offsets, self._names.app_id)
        self._absorb(rows)
        self.next_offset = next_offset

    def _records(
        self, outputs: Iterable[Output], rows: Iterable[tuple[str, str, bytes | None]]
    ) -> Iterable[Output]:
        yield from outputs
        for table, key, value in rows:
            yield Output(self._names.changelog(table), key.encode(), value)

    async def _send(self, producer: AIOKafkaProducer, output: Output) -> asyncio.Future[object]:
        sent: asyncio.Future[object] = await producer.send(
            output.topic, output.value, output.key, partition=self._partition, headers=list(output.headers)
        )
        return sent

    def _absorb(self, rows: Iterable[tuple[str, str, bytes | None]]) -> None:
        for table, key, value in rows:
            if value is None:
                self.rows[table].pop(key, None)
            else:
                self.rows[table][key] = value

    async def _load(self) -> None:
        tables = {TopicPartition(self._names.changelog(table), self._partition): table for table in TABLES}
        consumer = open_consumer(self._connection)
        await consumer.start()
        try:
            ends = await consumer.end_offsets(list(tables))
            starts = await consumer.beginning_offsets(list(tables))
            consumer.assign(list(tables))
            for place, start in starts.items():
                consumer.seek(place, start)
            while [place for place in tables if await consumer.position(place) < ends[place]]:
                batches = await consumer.getmany(timeout_ms=200, max_records=500)
                for place, messages in batches.items():
                    self._absorb((tables[place], message.key.decode(), message.value) for message in messages)
        finally:
            await consumer.stop()

    def _check_rows(self) -> None:
        for table in ("images", "trends"):
            for key, value in self.rows[table].items():
                if orjson.loads(value)["o"] >= self.next_offset:
                    message = (
                        f"row {key!r} of {table} holds an event at or beyond {OFFSET_KEY}={self.next_offset}"
                    )
                    raise InvariantError(message)
