"""The transactions of one source partition: fence, load, commit.

This module is why nothing is lost and nothing counted twice.

1. `open` starts a producer under a transactional id that belongs to the partition. The broker raises its
   epoch: an earlier owner's open transaction is aborted, and none of its later ones can commit. What a broker
   forgot to end is then ended as it had decided.
2. `open` then reads the partition's rows from the changelogs, committed records only. Nobody else can
   add to them any more, so what it reads is final. The row `@offset` says what of the log is folded in.
3. `commit` writes outputs, changed rows and the next `@offset` in one transaction: all or nothing.

The committed rows are therefore always the fold of the outcomes of the records that `@offset` names, whoever
made them and however often a worker died. Group offsets are for lag monitors and autoscalers; nothing here
reads them. As they cost two of a transaction's five round trips, they travel along every few seconds only.
"""

import asyncio
import re
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidTimestampError, MessageSizeTooLargeError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from schemas.errors import InvariantError, TopicsError
from schemas.times import steady_time, utc_datetime
from schemas.topics import MAX_RECORD_BYTES, OFFSET_KEY, TABLES, TopicNames
from streams.fold.changes import Changes
from streams.fold.outcomes import Output
from streams.fold.streams.tag_counts import Share
from streams.fold.streams.told import told
from streams.kafka.checks.topics import being_moved, too_small
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming, partitions_of
from streams.kafka.last_transaction import was_committed
from streams.kafka.producers import close_producer, end_transaction_of, transaction
from streams.kafka.topic_ids import topic_exists, topic_id
from streams.state.changelogs import catch_up, changelog_partitions
from streams.state.partition import ID_KEY, UPLOADS_KEY, PartitionState
from streams.state.turns import in_turns
from streams.units.faults import ClockError
from streams.units.meter import UnitMeter

TELL_EVERY = 5.0  # seconds between two group offsets
_BATCH_BYTES = 1_000_000
_LEADING_OFFSET = re.compile(rb'\{"o":(-?\d+)[,}]')
_RECORDS_PER_TURN = 200  # some milliseconds' worth
_CHECKED = ("images", "trends", "interests")
_Message = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]  # key, value, headers
_Row = tuple[str, str, bytes | None]  # table, key, row
_Batches = dict[tuple[str, int], list[_Message]]  # by topic and partition


class Ledger:
    """The only way to change a partition's state.

    Attributes:
        state: The committed state; changed by `open` and `commit` only, while the ledger is open.
        streams: Those that are on, each with Kafka's id of its topic, or its name where topics have none.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        names: TopicNames,
        state: PartitionState,
        meter: UnitMeter | None = None,
        *,
        accepted: str = "",
        moves: bool = False,
        headers: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> None:
        """Make a ledger; `open` takes the partition over.

        Args:
            connection: Where the topics are.
            names: What they are called.
            state: The partition's.
            meter: Counts and times transactions; None: nobody does.
            accepted: Kafka's id of an upload topic that stands in for the one that was folded in: its copy.
            moves: Whether the state is moved to more partitions; nobody else may open it meanwhile.
            headers: What records of a topic carry besides; it may change meanwhile.
        """
        self._connection = connection
        self._names = names
        self._changelogs = {table: names.changelog(table) for table in TABLES}
        self._meter = meter
        self._accepted = accepted
        self._moves = moves
        self._headers = {} if headers is None else headers
        self._sent = 0  # bytes of the transaction under way
        self._producer: AIOKafkaProducer | None = None
        self._uploads: uuid.UUID | None = None  # the upload topic's Kafka id
        self._told = 0  # the group's offset
        self._told_at = -TELL_EVERY
        self.state = state
        self.streams: dict[str, str] = {}

    @property
    def is_group_offset_due(self) -> bool:
        """Whether it is time for the next transaction to tell the group's offset."""
        return self.state.next_offset != self._told and time.monotonic() - self._told_at >= TELL_EVERY

    async def open(self) -> None:
        """Fence every earlier owner, then load what was committed.

        Raises:
            InvariantError: A row knows of an event that is not folded in by `@offset`.
            TopicsError: The upload topic is another one than was folded in.
            KafkaError: The broker refuses or does not answer.
        """
        transactional_id = f"{self._names.app_id}-{self.state.partition}"
        self._producer = AIOKafkaProducer(
            **self._connection.aiokafka_options(),
            transactional_id=transactional_id,
            max_request_size=MAX_RECORD_BYTES,
            max_batch_size=_BATCH_BYTES,
        )
        async with (
            consuming(self._connection, "read_uncommitted") as consumer,
            consuming(self._connection) as committed_only,
        ):
            committed = await was_committed(consumer._client, transactional_id)  # noqa: SLF001
            await self._producer.start()
            if not self._moves and await topic_exists(consumer._client, self._names.rescale):  # noqa: SLF001
                raise TopicsError(being_moved(self._names))
            held_up = await self._held_up(consumer, committed_only)
            places = await self._written_to(consumer, held_up)
            await end_transaction_of(self._producer, places, committed=committed)
            ends = await consumer.end_offsets(list(changelog_partitions(self._names, [self.state])))
            uploads = await topic_id(consumer._client, self._names.upload_log)  # noqa: SLF001
            for stream, topic in self._names.stream_topics.items():
                self.streams[stream] = str(await topic_id(consumer._client, topic) or topic)  # noqa: SLF001
            await catch_up(committed_only, self._names, self.state, ends)
        self._check_uploads(uploads)
        await asyncio.to_thread(self._check_rows)  # nobody else changes them before this is over

    async def _written_to(
        self, consumer: AIOKafkaConsumer, held_up: Sequence[TopicPartition]
    ) -> list[TopicPartition]:
        """Where an earlier owner's transaction may hang; not where nothing is."""
        names = self._names
        topics = (*names.outputs, *self._changelogs.values())
        places = [TopicPartition(topic, self.state.partition) for topic in topics]
        ends = await consumer.end_offsets(places)
        return [place for place in (*places, *held_up) if ends.get(place, 1)]

    async def _held_up(
        self, consumer: AIOKafkaConsumer, committed_only: AIOKafkaConsumer
    ) -> list[TopicPartition]:
        """The partitions of the upload topic with an open transaction: ours may have forwarded to them."""
        uploads = await partitions_of(consumer, [self._names.upload_log])
        stable, ends = await asyncio.gather(
            committed_only.end_offsets(uploads), consumer.end_offsets(uploads)
        )
        return [place for place in uploads if stable[place] < ends[place]]

    async def close(self) -> None:
        """Stop the producer. A transaction that is still open is left to the next owner's fence."""
        if self._producer is not None:
            await close_producer(self._producer)

    async def commit(self, changes: Changes, next_offset: int, above: Sequence[int] | None = None) -> None:
        """Make `changes` and how far the log is folded in true together: `next` and `above` of `Progress`.

        Args:
            changes: The transaction's.
            next_offset: The watermark.
            above: The runs from there on; None: as they are, if the watermark is.

        Raises:
            Exception: The outcome is unknown, or another owner took over. The caller must end the process.
        """
        producer = self._producer
        if producer is None:
            raise InvariantError("commit before open")
        self._note_offset(changes, next_offset, above)
        rows = [row async for row in in_turns(changes.encoded())]
        share = Share(self.state.partition, self.state.stream_time)
        batches = await self._batches(chain(changes.outputs, told(changes, self._names, share)), rows)
        started, self._sent = time.monotonic(), 0
        try:
            offsets = await self._transact(producer, batches, next_offset)
        except Exception as error:
            if self._meter is not None:
                self._meter.note_failure(error)
            raise
        if self._meter is not None:
            self._meter.note_transaction(time.monotonic() - started, self._sent)
        await self._absorb(rows, offsets)

    async def _transact(
        self, producer: AIOKafkaProducer, batches: _Batches, next_offset: int
    ) -> dict[str, int]:
        async with transaction(producer):
            offsets = await self._send(producer, batches)
            if time.monotonic() - self._told_at >= TELL_EVERY:
                await self._tell_group(producer, next_offset)
        return offsets

    async def _tell_group(self, producer: AIOKafkaProducer, next_offset: int) -> None:
        source = TopicPartition(self._names.upload_log, self.state.partition)
        committed = {source: OffsetAndMetadata(next_offset, "")}
        await producer.send_offsets_to_transaction(committed, self._names.app_id)
        self._told, self._told_at = next_offset, time.monotonic()

    def _note_offset(self, changes: Changes, next_offset: int, above: Sequence[int] | None) -> None:
        if above is None:
            above = self.state.progress.above if next_offset == self.state.next_offset else ()
        meta = {**(changes.get("meta", OFFSET_KEY) or {}), "next": next_offset, "above": list(above)}
        if not above:
            del meta["above"]
        changes.put("meta", OFFSET_KEY, meta)
        if self.state.identity is None:
            changes.put("meta", ID_KEY, {"id": uuid.uuid4().hex})
        if self._uploads is not None and self.state.uploads_id != str(self._uploads):
            changes.put("meta", UPLOADS_KEY, {"id": str(self._uploads)})

    async def _batches(self, outputs: Iterable[Output], rows: Iterable[_Row]) -> _Batches:
        own = self.state.partition
        batches: _Batches = defaultdict(list)
        async for output in in_turns(outputs):
            place = (output.topic, own if output.partition is None else output.partition)
            more = self._headers.get(output.topic)
            headers = [*output.headers, more] if more and output.value is not None else [*output.headers]
            batches[place].append((output.key, output.value, headers))
        async for table, key, value in in_turns(rows):
            batches[self._changelogs[table], own].append((key.encode(), value, []))
        return batches

    async def _send(self, producer: AIOKafkaProducer, batches: _Batches) -> dict[str, int]:
        """Send everything and wait for it; give the next offset of each topic in our partition.

        A commit would succeed even where a send failed: so every one of them is awaited here. Where a newer
        owner has fenced us, several fail at once and in their own words; the fence is the reason to give.
        """
        now = int(steady_time() * 1000)
        sends = (self._send_to(producer, place, messages, now) for place, messages in batches.items())
        sent = await asyncio.gather(*sends, return_exceptions=True)
        failures = [outcome for outcome in sent if isinstance(outcome, BaseException)]
        if failures:
            raise next((failure for failure in failures if isinstance(failure, ProducerFenced)), failures[0])
        own = self.state.partition
        return {
            topic: offset
            for (topic, partition), offset in zip(batches, sent, strict=True)
            if isinstance(offset, int) and partition == own
        }

    async def _send_to(
        self, producer: AIOKafkaProducer, place: tuple[str, int], messages: list[_Message], now: int
    ) -> int:
        topic, partition = place
        next_offset = 0
        waiting = messages
        while waiting:
            batch = producer.create_batch()
            count = 0
            for key, value, headers in waiting:
                if batch.append(key=key, value=value, timestamp=now, headers=headers) is None:
                    break
                count += 1
                if count % _RECORDS_PER_TURN == 0:
                    await asyncio.sleep(0)
            if not count:
                raise InvariantError(
                    f"a record of {len(waiting[0][1] or b'')} bytes fits no batch to {topic}"
                )
            self._sent += batch.size()
            delivery = await producer.send_batch(batch, topic, partition=partition)
            try:
                next_offset = (await delivery).offset + count
            except MessageSizeTooLargeError as error:
                raise TopicsError(too_small(topic)) from error
            except InvalidTimestampError as error:
                raise ClockError(_says(now)) from error
            waiting = waiting[count:]
        return next_offset

    async def _absorb(self, rows: Sequence[_Row], offsets: dict[str, int]) -> None:
        """Apply what was committed, in turns with the event loop; all of it, even where we are cancelled.

        Positions move when the rows are there: a snapshot of the time between must not lack any of them.
        """
        self._check_positions(offsets)
        waiting = iter(rows)
        try:
            async for row in in_turns(waiting):
                self.state.apply(*row)
        finally:
            for row in waiting:
                self.state.apply(*row)
            for table in {table for table, _, _ in rows}:
                self.state.positions[table] = offsets[self._changelogs[table]]
            self.state.fresh_at = time.time()

    def _check_positions(self, offsets: dict[str, int]) -> None:
        for table, topic in self._changelogs.items():
            if offsets.get(topic, self.state.positions[table]) < self.state.positions[table]:
                raise TopicsError(
                    f"topic {topic} was recreated while the worker ran, and has lost its rows; "
                    "docs/operations.md tells what that means; choose a new app_id to begin anew"
                )

    def _check_uploads(self, uploads: uuid.UUID | None) -> None:
        """Refuse to go on with another topic: as many records as were folded in would be passed over."""
        known, self._uploads = self.state.uploads_id, uploads
        if None not in {known, uploads} and str(uploads) not in {known, self._accepted}:
            found = f"topic {self._names.upload_log} was recreated: its id is {uploads}"
            folded = f"{self.state.next_offset} records of partition {self.state.partition} came from {known}"
            anew = "choose a new app_id, so that its state begins anew"
            copied = f"if it is a copy with the same offsets, set TAGSTREAM_UPLOADS_TOPIC_ID={uploads}"
            raise TopicsError(f"{found}, and {folded}; {anew}; {copied}")

    def _check_rows(self) -> None:
        progress = self.state.progress
        for table in _CHECKED:
            for key, value in self.state.rows[table].items():
                if not progress.holds(_source_offset(value)):
                    rule = f"holds an event at or beyond {OFFSET_KEY}={progress.next}"
                    raise InvariantError(f"row {key!r} of {table} {rule}")


def _says(now: int) -> str:
    return (
        f"Kafka refuses records of {utc_datetime(now):%Y-%m-%d %H:%M:%S} UTC; set this machine's clock right"
    )


def _source_offset(row: bytes) -> int:
    """A row's "o". It is written first, so that a million of them are checked in a second."""
    found = _LEADING_OFFSET.match(row)
    return int(found[1]) if found else int(orjson.loads(row)["o"])
